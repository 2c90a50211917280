//! Numbers that must never be mixed up, each a type of its own.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The number itself.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The number after this one.
            ///
            /// # Panics
            /// On overflow, which no counter of 64 bits reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }
    };
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The number itself.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// Reads the form that [`fmt::Display`] writes: 1 to 16 hexadecimal digits.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                if text.is_empty() || text.len() > 16 {
                    return None;
                }
                u64::from_str_radix(text, 16).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:016x}", self.0)
            }
        }
    };
}

number! {
    /// Position of an entry in the replicated log; the first entry has index 1 (Raft §5.3).
    Index
}
number! {
    /// Raft term: the number of a leader's reign (Raft §5.1). 0 before the first election.
    Term
}
number! {
    /// The store's revision: every write that changes something takes the next one. A fresh
    /// store is at 1, as in etcd; 0 means "none".
    Revision
}
identifier! {
    /// Identity of one node: random, made at first start, never reused. Never 0 for a real node.
    NodeId
}
identifier! {
    /// Identity of one cluster: random, made when the cluster is founded.
    ClusterId
}
identifier! {
    /// Identity of one data directory: random, made when the directory is first used, so that a
    /// wiped or copied disk is told from the original.
    Incarnation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_what_they_write() {
        let id = NodeId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "0123456789abcdef");
        assert_eq!(NodeId::parse(&id.to_string()), Some(id));
        assert_eq!(NodeId::parse(""), None);
        assert_eq!(NodeId::parse("00000000000000001"), None);
        assert_eq!(NodeId::parse("xyz"), None);
    }
}
