//! What is to be measured.

use std::time::Duration;

use clap::ValueEnum;
use remex_client::Endpoint;

/// The kind of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Operation {
    /// Writes of random keys
    Put,
    /// Reads of random keys
    Get,
    /// Both, by --read-ratio
    Mixed,
}

impl Operation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Mixed => "mixed",
        }
    }
}

/// A measurement before it is made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) operation: Operation,
    /// The clients are spread evenly over these.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Connections, each with one request at a time.
    pub(crate) clients: usize,
    /// Requests per second to send; `None` for a closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
    pub(crate) keys: u64,
    pub(crate) value_bytes: usize,
    /// In a form that needs no encoding in a path.
    pub(crate) prefix: String,
    /// Share of reads in mixed operation, 0 to 1.
    pub(crate) read_ratio: f64,
    pub(crate) stale: bool,
    /// Time for one request.
    pub(crate) timeout: Duration,
}

impl Plan {
    /// Draws whether the next request is a read.
    pub(crate) fn draw_read(&self, random: &mut fastrand::Rng) -> bool {
        match self.operation {
            Operation::Put => false,
            Operation::Get => true,
            Operation::Mixed => random.f64() < self.read_ratio,
        }
    }

    /// The name of a key.
    pub(crate) fn key(&self, number: u64) -> String {
        format!("{}{number:08}", self.prefix)
    }

    /// A value: text that is no JSON, so that its length is what counts.
    pub(crate) fn value(&self, random: &mut fastrand::Rng) -> String {
        let rest = self.value_bytes.saturating_sub(1);
        let letters = std::iter::repeat_with(|| random.lowercase()).take(rest);
        let value = std::iter::once('x').chain(letters);
        value.take(self.value_bytes).collect()
    }
}

/// Writes the requests of one client.
#[derive(Debug)]
pub(crate) struct RequestWriter {
    put_head: Vec<u8>,
    put_tail: Vec<u8>,
    get_head: Vec<u8>,
    get_tail: Vec<u8>,
    buffer: Vec<u8>,
}

impl RequestWriter {
    pub(crate) fn new(plan: &Plan, endpoint: &Endpoint, random: &mut fastrand::Rng) -> Self {
        let host = endpoint.authority();
        let length = plan.value_bytes;
        let query = if plan.stale { "?consistency=stale" } else { "" };
        let put_tail = format!(
            " HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n{}",
            plan.value(random)
        );
        Self {
            put_head: format!("PUT /v1/kv/{}", plan.prefix).into_bytes(),
            put_tail: put_tail.into_bytes(),
            get_head: format!("GET /v1/kv/{}", plan.prefix).into_bytes(),
            get_tail: format!("{query} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes(),
            buffer: Vec::new(),
        }
    }

    /// The bytes of one request for the key of this number.
    pub(crate) fn request(&mut self, is_read: bool, number: u64) -> &[u8] {
        let (head, tail) = if is_read {
            (&self.get_head, &self.get_tail)
        } else {
            (&self.put_head, &self.put_tail)
        };
        self.buffer.clear();
        self.buffer.extend_from_slice(head);
        push_number(number, &mut self.buffer);
        self.buffer.extend_from_slice(tail);
        &self.buffer
    }
}

/// Appends a number with at least eight digits, as [`Plan::key`] formats it.
fn push_number(mut number: u64, out: &mut Vec<u8>) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [b'0'; DIGITS_MAX];
    let mut first = DIGITS_MAX;
    while number > 0 {
        first -= 1;
        digits[first] += u8::try_from(number % 10).expect("a digit is below 10");
        number /= 10;
    }
    out.extend_from_slice(&digits[first.min(DIGITS_MAX - 8)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            operation: Operation::Mixed,
            endpoints: Endpoint::parse_list("h:1").unwrap(),
            clients: 1,
            rate: None,
            duration: Duration::from_secs(1),
            warmup: Duration::ZERO,
            keys: 10,
            value_bytes: 5,
            prefix: "bench/".to_owned(),
            read_ratio: 0.5,
            stale: true,
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn requests_are_what_http_wants() {
        let (plan, mut random) = (plan(), fastrand::Rng::with_seed(1));
        let mut writer = RequestWriter::new(&plan, &plan.endpoints[0], &mut random);
        assert_eq!(
            String::from_utf8_lossy(writer.request(true, 7)),
            "GET /v1/kv/bench/00000007?consistency=stale HTTP/1.1\r\nhost: h:1\r\n\r\n"
        );
        let put = String::from_utf8_lossy(writer.request(false, 123_456_789)).into_owned();
        let head = "PUT /v1/kv/bench/123456789 HTTP/1.1\r\nhost: h:1\r\ncontent-length: 5\r\n\r\nx";
        assert!(put.starts_with(head), "{put}");
        assert_eq!(put.len(), head.len() + 4);
    }

    #[test]
    fn written_numbers_are_the_formatted_ones() {
        for number in [0, 1, 99_999_999, 100_000_000, u64::MAX] {
            let mut out = Vec::new();
            push_number(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{number:08}"));
        }
    }

    #[test]
    fn values_have_the_length_asked_for() {
        let mut plan = plan();
        for length in [0, 1, 300] {
            plan.value_bytes = length;
            assert_eq!(plan.value(&mut fastrand::Rng::with_seed(1)).len(), length);
        }
    }
}
