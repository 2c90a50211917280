//! The state machine: bytes in, bytes out, and where a request begins.
#![warn(clippy::indexing_slicing)]

/// How much of a header line is looked at: enough for every line that can announce a body.
const HEADER_BYTES: usize = 64;

/// Bytes on their way to the HTTP library.
#[derive(Debug)]
pub(crate) struct Lines {
    starts: &'static [&'static [u8]],
    line_bytes_max: usize,
    phase: Phase,
    /// What can be handed over, from `handed` on.
    out: Vec<u8>,
    handed: usize,
}

#[derive(Debug)]
enum Phase {
    /// A request begins, or does not yet. Holds back what there is of its line.
    Start(Vec<u8>),
    /// In the head of a request whose line was escaped. Holds the beginning of a header line,
    /// which is not held back.
    Head(Vec<u8>),
    /// Everything passes.
    Pass,
}

impl Lines {
    /// `starts` are the ways in which lines begin that are escaped; a line that is longer than
    /// `line_bytes_max` is not held back any more.
    pub(crate) fn new(starts: &'static [&'static [u8]], line_bytes_max: usize) -> Self {
        Self { starts, line_bytes_max, phase: Phase::Start(Vec::new()), out: Vec::new(), handed: 0 }
    }

    /// What can be handed over.
    pub(crate) fn ready(&self) -> &[u8] {
        self.out.get(self.handed..).unwrap_or_default()
    }

    /// Takes note that so many bytes of [`Lines::ready`] were handed over.
    pub(crate) fn consume(&mut self, length: usize) {
        self.handed += length;
        if self.handed >= self.out.len() {
            self.out.clear();
            self.handed = 0;
        }
    }

    /// Whether nothing will be held back or changed any more.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.phase, Phase::Pass)
    }

    /// Gives out what is held back, and lets everything pass from now on.
    pub(crate) fn pass(&mut self) {
        if let Phase::Start(held) = std::mem::replace(&mut self.phase, Phase::Pass) {
            self.out.extend_from_slice(&held);
        }
    }

    /// Takes the bytes that came in.
    pub(crate) fn feed(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            input = match &self.phase {
                Phase::Start(_) => self.feed_start(input),
                Phase::Head(_) => self.feed_head(input),
                Phase::Pass => {
                    self.out.extend_from_slice(input);
                    &[]
                }
            };
        }
    }

    /// Collects a request line, and escapes it. Returns what follows it.
    fn feed_start<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let Phase::Start(held) = &mut self.phase else { return input };
        // Empty lines before a request are passed over, by the library too.
        if held.is_empty()
            && let [byte @ (b'\r' | b'\n'), rest @ ..] = input
        {
            self.out.push(*byte);
            return rest;
        }
        let end = input.iter().position(|&byte| byte == b'\n');
        let (line, rest) = split_behind(input, end);
        held.extend_from_slice(line);
        let begins = |start: &&[u8]| held.starts_with(start) || start.starts_with(held);
        if !self.starts.iter().any(begins) || held.len() > self.line_bytes_max {
            self.pass();
        } else if end.is_some() {
            match escaped(held) {
                Some(line) => {
                    self.out.extend_from_slice(&line);
                    self.phase = Phase::Head(Vec::new());
                }
                // Not a line of HTTP/1: the library says so.
                None => self.pass(),
            }
        }
        rest
    }

    /// Follows a header line. Returns what comes behind it.
    fn feed_head<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let Phase::Head(seen) = &mut self.phase else { return input };
        let end = input.iter().position(|&byte| byte == b'\n');
        let (line, rest) = split_behind(input, end);
        self.out.extend_from_slice(line);
        seen.extend(line.iter().take(HEADER_BYTES.saturating_sub(seen.len())));
        if end.is_some() {
            match seen.trim_ascii() {
                [] => self.phase = Phase::Start(Vec::new()),
                header if may_have_more(header) => self.phase = Phase::Pass,
                _ => seen.clear(),
            }
        }
        rest
    }
}

/// Splits behind the position; everything is in the first part if there is none.
fn split_behind(input: &[u8], position: Option<usize>) -> (&[u8], &[u8]) {
    let length = position.map_or(input.len(), |position| position + 1);
    input.split_at_checked(length).unwrap_or((input, &[]))
}

/// Whether a header line says that something other than a next head may follow this one.
fn may_have_more(header: &[u8]) -> bool {
    let colon = header.iter().position(|&byte| byte == b':').unwrap_or(header.len());
    let (name, value) = header.split_at_checked(colon).unwrap_or((header, &[]));
    let is = |known: &str| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
    let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
    // A line that goes on in the next one is not told from one that is over: let it pass.
    (is("content-length") && value != b"0") || is("transfer-encoding") || is("upgrade")
}

/// The line with its target escaped; `None` if it does not end as a request line of HTTP/1 does.
fn escaped(line: &[u8]) -> Option<Vec<u8>> {
    let space = line.iter().position(|&byte| byte == b' ')? + 1;
    let (method, rest) = line.split_at_checked(space)?;
    let (target, version) = rest.split_at_checked(version_at(rest)?)?;
    let mut out = Vec::with_capacity(line.len() + line.len() / 2);
    out.extend_from_slice(method);
    for &byte in target {
        if is_of_url(byte) {
            out.push(byte);
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied();
            out.push(b'%');
            out.extend(digit(byte >> 4).into_iter().chain(digit(byte & 15)));
        }
    }
    out.extend_from_slice(version);
    Some(out)
}

/// Where the last ` HTTP/1.x` of a line begins, which ends it.
fn version_at(rest: &[u8]) -> Option<usize> {
    const LENGTH: usize = b" HTTP/1.1".len();
    let ended = rest.strip_suffix(b"\n")?;
    let ended = ended.strip_suffix(b"\r").unwrap_or(ended);
    let position = ended.len().checked_sub(LENGTH)?;
    let version = ended.get(position..)?;
    (version == b" HTTP/1.1" || version == b" HTTP/1.0").then_some(position)
}

/// Whether a byte may stand in a request target (RFC 3986: unreserved, reserved and the percent
/// sign). Not `#`, behind which the library would stop to read: in a request it is data.
fn is_of_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests;
