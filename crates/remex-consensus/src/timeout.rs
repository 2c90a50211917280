//! Election timeouts from our own seed.
//!
//! The Raft library draws them from the thread's random generator, which no simulation can
//! replay. The timeout here is a pure function of (session, term, elections stood for), written
//! over the library's after every step, so that when the library draws makes no difference.

use remex_model::Term;

/// A voter's place among the voters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rank {
    /// Voters with smaller ids.
    pub(crate) before: usize,
    /// Voters in all.
    pub(crate) voters: usize,
}

impl Rank {
    /// This voter's turn in a term, and how many turns there are. Every voter has another, so that
    /// no two of them draw the same timeout and split the vote, and in every term another is first.
    fn turn(self, term: Term) -> (u64, u64) {
        let turns = self.voters.max(1) as u64;
        ((self.before as u64 + mix(term.get()) % turns) % turns, turns)
    }
}

/// Ticks to the first turn of a hurried election, and from turn to turn.
const HURRIED_TICKS: u64 = 2;

/// Draws election timeouts.
#[derive(Debug)]
pub(crate) struct ElectionTimeout {
    seed: u64,
    ticks_min: usize,
    ticks_range: u64,
}

impl ElectionTimeout {
    pub(crate) fn new(seed: u64, election_ticks: usize) -> Self {
        Self { seed, ticks_min: election_ticks, ticks_range: (election_ticks as u64 / 2).max(1) }
    }

    /// The timeout in ticks for a node in this term that has stood for election so many times:
    /// from `election_ticks` to one and a half times that. The range is divided into as many parts
    /// as there are voters, and each draws within its own.
    pub(crate) fn ticks(&self, term: Term, elections: u64, rank: Rank) -> usize {
        let (turn, turns) = rank.turn(term);
        let low = self.ticks_range * turn / turns;
        let high = self.ticks_range * (turn + 1) / turns;
        let draw = mix(self.seed ^ mix(term.get() ^ mix(elections)));
        let extra = low + draw % (high - low).max(1);
        self.ticks_min + usize::try_from(extra).expect("below election_ticks, which is a usize")
    }

    /// The timeout in ticks once the leader is gone for certain; below `election_ticks`.
    pub(crate) fn hurried_ticks(&self, term: Term, rank: Rank) -> usize {
        let (turn, _) = rank.turn(term);
        let ticks = usize::try_from(HURRIED_TICKS * (turn + 1)).unwrap_or(usize::MAX);
        ticks.min(self.ticks_min)
    }
}

/// Finalizer of `SplitMix64` (Steele, Lea, Flood 2014): every bit of the input moves every bit
/// of the output.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ranks(voters: usize) -> impl Iterator<Item = Rank> {
        (0..voters).map(move |before| Rank { before, voters })
    }

    #[test]
    fn timeouts_stay_in_their_range_and_differ_between_voters() {
        for voters in 1..=7 {
            for term in (0..1000).map(Term) {
                let draw =
                    |rank: Rank| ElectionTimeout::new(rank.before as u64, 15).ticks(term, 0, rank);
                let drawn: BTreeSet<usize> = ranks(voters).map(draw).collect();
                assert_eq!(drawn.len(), voters);
                assert!(drawn.iter().all(|ticks| (15..23).contains(ticks)), "{drawn:?}");
            }
        }
    }

    #[test]
    fn hurried_voters_are_two_ticks_apart() {
        let timeout = ElectionTimeout::new(1, 15);
        let drawn: BTreeSet<usize> =
            ranks(3).map(|rank| timeout.hurried_ticks(Term(7), rank)).collect();
        assert_eq!(drawn, BTreeSet::from([2, 4, 6]));
    }

    #[test]
    fn a_node_that_does_not_vote_has_a_timeout_too() {
        let outside = Rank { before: 0, voters: 0 };
        assert!((20..30).contains(&ElectionTimeout::new(1, 20).ticks(Term(1), 0, outside)));
    }
}
