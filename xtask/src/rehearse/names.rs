//! The name server of the rehearsal: answers for the names of pods and services, in UDP, and
//! nothing else.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Context;

/// What ends every name.
pub(super) const DOMAIN: &str = "svc.cluster.local";

const HEADER_BYTES: usize = 12;
const TYPE_A: u16 = 1;
const NO_SUCH_NAME: u8 = 3;

#[derive(Debug, Default)]
struct Table {
    /// Whether questions are answered at all.
    answers: bool,
    addresses: BTreeMap<String, Vec<Ipv4Addr>>,
}

/// A name server that runs until the process ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    table: Arc<Mutex<Table>>,
}

impl Names {
    /// Starts to listen at this address; questions are not answered yet.
    pub(super) fn start(address: SocketAddr) -> anyhow::Result<Self> {
        let names = Self::default();
        let socket = UdpSocket::bind(address).context("listening for questions about names")?;
        let table = names.clone();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            // The socket fails only when the process ends.
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = table.answer(&buffer[..length]) {
                    socket.send_to(&answer, from).ok();
                }
            }
        });
        Ok(names)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether questions are answered from now on.
    pub(super) fn set_answers(&self, answers: bool) {
        self.table().answers = answers;
    }

    /// The addresses behind a name below [`DOMAIN`]; none if there is no such name any more.
    pub(super) fn set(&self, name: &str, addresses: Vec<Ipv4Addr>) {
        let name = format!("{name}.{DOMAIN}");
        let mut table = self.table();
        if addresses.is_empty() {
            table.addresses.remove(&name);
        } else {
            table.addresses.insert(name, addresses);
        }
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let table = self.table();
        if !table.answers {
            return None;
        }
        let (name, kind, end) = parse(question)?;
        let found = table.addresses.get(&name);
        let addresses = match found {
            Some(addresses) if kind == TYPE_A => addresses.as_slice(),
            _ => &[],
        };
        let code = if found.is_some() { 0 } else { NO_SUCH_NAME };
        let count = u8::try_from(addresses.len()).ok()?;
        // The number; an authoritative answer, recursion as it was asked for; one question.
        let mut answer = question.get(..2)?.to_vec();
        answer.extend([0x85, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
        answer.extend(question.get(HEADER_BYTES..end)?);
        for address in addresses {
            // The name of the question; type A, class IN; five seconds; four bytes.
            answer.extend([0xC0, 0x0C, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
            answer.extend(address.octets());
        }
        Some(answer)
    }
}

/// Name and type of a question, and where it ends.
fn parse(question: &[u8]) -> Option<(String, u16, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = std::str::from_utf8(question.get(at..at + length)?).ok()?;
        labels.push(label.to_ascii_lowercase());
        at += length;
    }
    let &[high, low] = question.get(at..at + 2)? else { return None };
    Some((labels.join("."), u16::from_be_bytes([high, low]), at + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(u8::try_from(label.len()).unwrap());
            question.extend(label.as_bytes());
        }
        question.extend([0, 0, kind, 0, 1]);
        question
    }

    #[test]
    fn names_resolve_while_they_are_there_and_the_server_answers() {
        let names = Names::default();
        let asked = question("A.b.svc.cluster.local", 1);
        assert_eq!(names.answer(&asked), None);
        names.set_answers(true);
        assert_eq!(names.answer(&asked).unwrap()[3], 0x80 | NO_SUCH_NAME);
        names.set("a.b", vec![Ipv4Addr::new(10, 0, 0, 9)]);
        let answer = names.answer(&asked).unwrap();
        assert_eq!((&answer[..2], answer[3], answer[7]), (&[7, 7][..], 0x80, 1));
        assert!(answer.ends_with(&[0, 4, 10, 0, 0, 9]));
        // No IPv6 address, but the name exists.
        let answer = names.answer(&question("a.b.svc.cluster.local", 28)).unwrap();
        assert_eq!((answer[3], answer[7]), (0x80, 0));
        names.set("a.b", Vec::new());
        assert_eq!(names.answer(&asked).unwrap()[3], 0x80 | NO_SUCH_NAME);
        assert_eq!(names.answer(&asked[..20]), None);
    }
}
