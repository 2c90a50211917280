//! The server's revisions as the witness of an order of all writes.

use std::collections::BTreeMap;
use std::fmt;

use super::event::{Content, Event, Found, Op, Outcome};

/// Where the server's revisions contradict what clients saw.
#[derive(Clone, Debug)]
pub struct RevisionViolation {
    /// What is wrong.
    pub claim: String,
    /// The events that show it.
    pub events: Vec<Event>,
}

impl std::error::Error for RevisionViolation {}

impl fmt::Display for RevisionViolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.claim)?;
        self.events
            .iter()
            .try_for_each(|event| writeln!(formatter, "  key {:?}  {event}", event.key))
    }
}

/// Checks that revisions are one total order of the writes of all keys:
///
/// - no two commands were acknowledged with the same revision;
/// - a command called after another had returned, or after a read had found it, has the higher
///   revision;
/// - a read that names a revision names the write that had it: same key, same value, called
///   before the read returned; or a write of that value whose outcome is unknown, which has that
///   revision from then on;
/// - what a read finds is never older than what its key was known to be when it was called: by a
///   write that had returned, or by another read that had;
/// - a read that finds nothing comes after a removal that could be the key's latest write.
///
/// Acknowledged removals that removed nothing take no revision and are left out, and so is every
/// answer that names none. One pass over the events sorted by time.
///
/// # Errors
/// Shows the events that contradict each other.
///
/// # Panics
/// As [`super::check`].
pub fn check_revisions(events: &[Event]) -> Result<(), RevisionViolation> {
    events.iter().for_each(Event::assert_well_formed);
    let writes = Writes::collect(events)?;
    let mut order: Vec<&Event> = events.iter().collect();
    order.sort_by_key(|event| event.call_at);
    let mut returns: Vec<&Event> =
        events.iter().filter(|event| event.return_at.is_some()).collect();
    returns.sort_by_key(|event| event.return_at);
    let mut returns = returns.into_iter().peekable();
    let mut known = Known::default();
    for event in order {
        while let Some(returned) = returns.next_if(|past| past.return_at < Some(event.call_at)) {
            known.learn(returned);
        }
        if let Some(revision) = writes.revision(event) {
            known.check_write(event, revision)?;
        }
        if let Outcome::Read(found) = &event.result {
            writes.check_read(event, found.as_ref(), known.keys.get(event.key.as_str()))?;
        }
    }
    Ok(())
}

/// The revision that an acknowledged write took.
fn own_revision(event: &Event) -> Option<u64> {
    match &event.result {
        Outcome::Written { existed: Some(false), .. } if event.writes() == Some(None) => None,
        Outcome::Written { revision, .. } => *revision,
        Outcome::Read(_) | Outcome::Refused | Outcome::Unknown | Outcome::Failed => None,
    }
}

fn violation(claim: impl Into<String>, events: &[&Event]) -> RevisionViolation {
    let events = events.iter().map(|event| (*event).clone()).collect();
    RevisionViolation { claim: claim.into(), events }
}

/// Every write of the history, found by what a read names.
#[derive(Default)]
struct Writes<'a> {
    /// Acknowledged writes by revision and key.
    by_revision: BTreeMap<(u64, &'a str), &'a Event>,
    /// Writes that may have taken effect at a revision nobody was told: the earliest called of
    /// each key and content.
    unknown: BTreeMap<(&'a str, Option<&'a str>), &'a Event>,
    /// The acknowledged removals of each key, by revision.
    removals: BTreeMap<&'a str, Vec<&'a Event>>,
    /// The command that took each revision.
    commands: BTreeMap<u64, &'a Event>,
    /// The revision at which readers found what an unknown write wrote, and one of them.
    revealed: BTreeMap<(&'a str, &'a str), (u64, &'a Event)>,
}

impl<'a> Writes<'a> {
    fn collect(events: &'a [Event]) -> Result<Self, RevisionViolation> {
        let mut writes = Self::default();
        for event in events {
            let Some(content) = event.writes() else { continue };
            if let Some(revision) = own_revision(event) {
                writes.take(revision, event)?;
                writes.by_revision.insert((revision, &event.key), event);
                if content.is_none() {
                    writes.removals.entry(&event.key).or_default().push(event);
                }
            } else if may_have_written(event) {
                let earliest = writes.unknown.entry((&event.key, content)).or_insert(event);
                if event.call_at < earliest.call_at {
                    *earliest = event;
                }
            }
        }
        for removals in writes.removals.values_mut() {
            removals.sort_by_key(|event| own_revision(event));
        }
        for event in events {
            if let Outcome::Read(Some(Found { value, revision: Some(revision) })) = &event.result {
                writes.reveal(event, value, *revision)?;
            }
        }
        Ok(writes)
    }

    /// Notes that the command of an event took a revision.
    fn take(&mut self, revision: u64, event: &'a Event) -> Result<(), RevisionViolation> {
        let other = self.commands.entry(revision).or_insert(event);
        if (other.client, other.call_at) == (event.client, event.call_at) {
            return Ok(());
        }
        let claim = format!("two commands have revision {revision}");
        Err(violation(claim, &[other, event]))
    }

    /// Notes what a read tells of a write whose answer was lost.
    fn reveal(
        &mut self,
        read: &'a Event,
        value: &'a str,
        revision: u64,
    ) -> Result<(), RevisionViolation> {
        let key = read.key.as_str();
        let Some(write) = self.unknown.get(&(key, Some(value))).copied() else { return Ok(()) };
        if self.by_revision.contains_key(&(revision, key)) {
            return Ok(());
        }
        let (first, other) = self.revealed.entry((key, value)).or_insert((revision, read));
        if *first != revision {
            let claim = "two reads found the same write at two revisions";
            return Err(violation(claim, &[write, other, read]));
        }
        self.take(revision, write)
    }

    /// The revision that a write took, as far as anybody was told.
    fn revision(&self, event: &Event) -> Option<u64> {
        own_revision(event).or_else(|| {
            let value = event.writes().flatten()?;
            let (revision, _) = self.revealed.get(&(&*event.key, value))?;
            may_have_written(event).then_some(*revision)
        })
    }

    fn check_read(
        &self,
        read: &Event,
        found: Option<&Found>,
        known: Option<&(u64, &Event)>,
    ) -> Result<(), RevisionViolation> {
        let Some(found) = found else { return self.check_absent(read, known) };
        let Some(revision) = found.revision else { return Ok(()) };
        if let Some((latest, witness)) = known
            && revision < *latest
        {
            let claim = format!(
                "a read found revision {revision} of its key although revision {latest} had \
                 been seen before it was called"
            );
            return Err(violation(claim, &[witness, read]));
        }
        let key = read.key.as_str();
        let write = match self.by_revision.get(&(revision, key)) {
            Some(write) if write.writes() == Some(Some(&found.value)) => write,
            Some(write) => {
                let claim = format!("revision {revision} wrote something else than the read found");
                return Err(violation(claim, &[write, read]));
            }
            None => self
                .unknown
                .get(&(key, Some(&found.value)))
                .ok_or_else(|| self.no_such_write(read, found, revision))?,
        };
        if read.return_at.is_some_and(|return_at| return_at < write.call_at) {
            return Err(violation("a read found a write before it was called", &[read, write]));
        }
        Ok(())
    }

    /// A read names a revision that no write of its value can have: shows those that there are.
    fn no_such_write(&self, read: &Event, found: &Found, revision: u64) -> RevisionViolation {
        let content = Content(Some(&found.value));
        let claim = format!("a read found {content} at revision {revision}, where nothing put it");
        let writes = self.by_revision.values().filter(|write| {
            write.key == read.key && write.writes() == Some(Some(found.value.as_str()))
        });
        let shown: Vec<&Event> = writes.copied().chain([read]).collect();
        violation(claim, &shown)
    }

    fn check_absent(
        &self,
        read: &Event,
        known: Option<&(u64, &Event)>,
    ) -> Result<(), RevisionViolation> {
        let Some((latest, witness)) = known else { return Ok(()) };
        let key = read.key.as_str();
        let called =
            |removal: &&Event| read.return_at.is_none_or(|return_at| removal.call_at <= return_at);
        let acknowledged = self.removals.get(key).is_some_and(|removals| {
            let from = removals.partition_point(|removal| own_revision(removal) < Some(*latest));
            removals[from..].iter().any(called)
        });
        if acknowledged || self.unknown.get(&(key, None)).is_some_and(called) {
            return Ok(());
        }
        let claim = format!("a read found nothing, but nothing removed the key after {latest}");
        Err(violation(claim, &[witness, read]))
    }
}

fn may_have_written(event: &Event) -> bool {
    match &event.result {
        Outcome::Unknown => true,
        Outcome::Written { revision, existed } => {
            revision.is_none() && !(event.op == Op::Delete && *existed == Some(false))
        }
        Outcome::Read(_) | Outcome::Refused | Outcome::Failed => false,
    }
}

/// What had been told to anybody by some time.
#[derive(Default)]
struct Known<'a> {
    /// The highest revision of any command.
    latest: Option<(u64, &'a Event)>,
    /// The highest revision at which each key is known to have been written.
    keys: BTreeMap<&'a str, (u64, &'a Event)>,
}

impl<'a> Known<'a> {
    fn learn(&mut self, event: &'a Event) {
        let seen = match &event.result {
            Outcome::Read(Some(found)) => found.revision,
            Outcome::Written { .. } => own_revision(event),
            Outcome::Read(None) | Outcome::Refused | Outcome::Unknown | Outcome::Failed => None,
        };
        let Some(revision) = seen else { return };
        let key = self.keys.entry(&event.key).or_insert((revision, event));
        for known in [self.latest.get_or_insert((revision, event)), key] {
            if known.0 < revision {
                *known = (revision, event);
            }
        }
    }

    /// A command has a higher revision than all that were known when it was called.
    fn check_write(&self, event: &Event, revision: u64) -> Result<(), RevisionViolation> {
        match self.latest {
            Some((latest, witness)) if revision <= latest => {
                let claim = format!(
                    "revision {revision} was given to a command that was called after revision \
                     {latest} had been seen"
                );
                Err(violation(claim, &[witness, event]))
            }
            Some(_) | None => Ok(()),
        }
    }
}
