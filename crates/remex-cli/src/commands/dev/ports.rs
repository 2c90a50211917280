//! Ports of one kind, one for each node; and that no two kinds share one.

use std::fmt;
use std::str::FromStr;

use remex_http::Dialect;

use crate::exit::Failure;

/// Lowest port that is proposed: those below belong to well-known services.
const PROPOSED_MIN: u16 = 1024;

/// Where ports begin, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    start: u16,
    step: u16,
}

impl Range {
    pub(super) const fn new(start: u16, step: u16) -> Self {
        Self { start, step }
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (start, step) = text.split_once('+').unwrap_or((text, "1"));
        let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number != 0);
        match (number(start), number(step)) {
            (Some(start), Some(step)) => Ok(Self { start, step }),
            _ => Err("must be PORT, or PORT+STEP where nodes are STEP ports apart".to_owned()),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            1 => write!(formatter, "{}", self.start),
            step => write!(formatter, "{}+{step}", self.start),
        }
    }
}

/// Who connects to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    Clients,
    Peers,
    /// Clients of another system.
    Dialect(Dialect),
}

impl User {
    /// The option that puts these ports here.
    pub(super) fn option(self, range: Range) -> String {
        match self {
            Self::Clients => format!("--client-port {range}"),
            Self::Peers => format!("--peer-port {range}"),
            Self::Dialect(dialect) => format!("--dialect {dialect}={range}"),
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients => formatter.write_str("clients"),
            Self::Peers => formatter.write_str("peers"),
            Self::Dialect(dialect) => write!(formatter, "clients of {dialect}"),
        }
    }
}

/// The ports of one kind, in the order of the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    user: User,
    list: Vec<u16>,
    /// How far apart others would be put in their stead.
    step: u16,
    /// Where they come from: an option as typed, or a file.
    origin: String,
}

impl Ports {
    /// One port for each node, as an option has them.
    ///
    /// # Errors
    /// If there are not as many ports from there on.
    pub(super) fn asked(user: User, range: Range, nodes: u16) -> Result<Self, Failure> {
        Self::counted(user, range, nodes, user.option(range))
    }

    /// One port for each node, at equal distances.
    ///
    /// # Errors
    /// As [`Ports::asked`].
    pub(super) fn counted(
        user: User,
        range: Range,
        nodes: u16,
        origin: String,
    ) -> Result<Self, Failure> {
        let Range { start, step } = range;
        let span = u32::from(step) * u32::from(nodes - 1);
        let last = u32::from(start) + span;
        let ports = (u32::from(start)..=last).step_by(usize::from(step)).map(u16::try_from);
        if let Ok(list) = ports.collect() {
            return Ok(Self { user, list, step, origin });
        }
        let message =
            format!("the ports for {user}, {start} to {last} ({origin}), go beyond {}", u16::MAX);
        let highest = u32::from(u16::MAX).checked_sub(span);
        Err(Failure::usage(message).remedy(match highest {
            Some(highest) if highest >= u32::from(PROPOSED_MIN) => {
                format!("start them at {highest} or below")
            }
            _ => "take a smaller step, or fewer nodes".to_owned(),
        }))
    }

    /// Ports that are given one by one.
    pub(super) fn listed(user: User, list: Vec<u16>, origin: String) -> Self {
        Self { user, list, step: 1, origin }
    }

    pub(super) fn user(&self) -> User {
        self.user
    }

    pub(super) fn list(&self) -> &[u16] {
        &self.list
    }

    fn shared_with(&self, other: &Self) -> Option<u16> {
        self.list.iter().copied().find(|port| other.list.contains(port))
    }

    /// The nearest place from here on where these would share no port with the others.
    fn free_range(&self, others: &[Self]) -> Option<Range> {
        let nodes = u16::try_from(self.list.len()).ok()?;
        let here = self.list.first().copied()?;
        (here..=u16::MAX).chain(PROPOSED_MIN..here).find_map(|start| {
            let range = Range::new(start, self.step);
            let moved = Self::asked(self.user, range, nodes).ok()?;
            let is_free = others.iter().all(|other| moved.shared_with(other).is_none());
            is_free.then_some(range)
        })
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list.as_slice() {
            [first, .., last] if usize::from(last - first.min(last)) + 1 == self.list.len() => {
                write!(formatter, "{first} to {last}")?;
            }
            list => {
                let list: Vec<String> = list.iter().map(u16::to_string).collect();
                formatter.write_str(&list.join(", "))?;
            }
        }
        write!(formatter, " for {} ({})", self.user, self.origin)
    }
}

/// Checks that no port has two users.
///
/// # Errors
/// Names the first two kinds that overlap, and a place where the second one would have room.
pub(super) fn check_apart(kinds: &[Ports]) -> Result<(), Failure> {
    for (at, later) in kinds.iter().enumerate() {
        for earlier in &kinds[..at] {
            let Some(port) = later.shared_with(earlier) else { continue };
            let message = format!("the ports {earlier} and {later} overlap at {port}");
            let others: Vec<Ports> =
                kinds.iter().filter(|other| *other != later).cloned().collect();
            return Err(Failure::usage(message).remedy(match later.free_range(&others) {
                Some(range) => format!("try {}", later.user.option(range)),
                None => "start them far from each other, or take fewer nodes".to_owned(),
            }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(user: User, start: u16, step: u16, nodes: u16) -> Ports {
        Ports::asked(user, Range::new(start, step), nodes).unwrap()
    }

    #[test]
    fn a_range_is_a_port_or_a_port_and_a_step() {
        assert_eq!("7777".parse(), Ok(Range::new(7777, 1)));
        assert_eq!("12380+10000".parse(), Ok(Range::new(12_380, 10_000)));
        for text in ["7777", "12380+10000"] {
            assert_eq!(text.parse::<Range>().unwrap().to_string(), text);
        }
        for wrong in ["", "0", "1+0", "65536", "1+", "+1", "1+1+1", "a"] {
            assert!(wrong.parse::<Range>().unwrap_err().contains("PORT+STEP"), "{wrong}");
        }
    }

    #[test]
    fn kinds_that_overlap_are_both_named_with_a_way_out() {
        let clients = ports(User::Clients, 7777, 1, 3);
        let peers = ports(User::Peers, 7779, 1, 3);
        let failure = check_apart(&[clients.clone(), peers]).unwrap_err();
        assert_eq!(
            failure.message,
            "the ports 7777 to 7779 for clients (--client-port 7777) and 7779 to 7781 for peers \
             (--peer-port 7779) overlap at 7779; try --peer-port 7780"
        );
        check_apart(&[clients, ports(User::Peers, 7780, 1, 3)]).unwrap();
    }

    #[test]
    fn the_way_out_avoids_every_other_kind_and_keeps_the_step() {
        let dialect = User::Dialect("raftexample".parse().unwrap());
        let kinds = [
            ports(User::Clients, 7480, 10, 3),
            ports(User::Peers, 7481, 10, 3),
            ports(dialect, 7500, 10, 3),
        ];
        let failure = check_apart(&kinds).unwrap_err();
        assert!(failure.message.contains("7480, 7490, 7500 for clients ("), "{}", failure.message);
        assert!(failure.message.ends_with("; try --dialect raftexample=7502+10"), "{failure:?}");
    }

    #[test]
    fn where_there_is_no_room_above_it_is_found_below() {
        let kinds = [ports(User::Clients, 65_530, 1, 6), ports(User::Peers, 65_530, 1, 6)];
        let failure = check_apart(&kinds).unwrap_err();
        assert!(failure.message.ends_with("; try --peer-port 1024"), "{failure:?}");
    }

    #[test]
    fn ports_end_at_65535() {
        assert_eq!(ports(User::Peers, 65_533, 1, 3).list(), [65_533, 65_534, 65_535]);
        let refused = |start, step| {
            Ports::asked(User::Peers, Range::new(start, step), 3).unwrap_err().message
        };
        assert_eq!(
            refused(65_534, 1),
            "the ports for peers, 65534 to 65536 (--peer-port 65534), go beyond 65535; start them \
             at 65533 or below"
        );
        assert!(refused(10, 40_000).ends_with("; take a smaller step, or fewer nodes"));
    }
}
