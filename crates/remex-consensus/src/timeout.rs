//! Election timeouts from our own seed.
//!
//! The Raft library draws them from the thread's random generator, which no simulation can
//! replay. The timeout here is a pure function of (session, term, elections stood for), written
//! over the library's after every step, so that when the library draws makes no difference.

use remex_model::Term;

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
    /// from `election_ticks` to one and a half times that.
    pub(crate) fn ticks(&self, term: Term, elections: u64) -> usize {
        let draw = mix(self.seed ^ mix(term.get() ^ mix(elections)));
        let extra = draw % self.ticks_range;
        self.ticks_min + usize::try_from(extra).expect("below election_ticks, which is a usize")
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
    use super::*;

    #[test]
    fn timeouts_stay_in_their_range_and_differ_between_nodes() {
        let (a, b) = (ElectionTimeout::new(1, 20), ElectionTimeout::new(2, 20));
        let mut equal = 0;
        for term in 0..1000 {
            let (x, y) = (a.ticks(Term(term), 0), b.ticks(Term(term), 0));
            assert!((20..30).contains(&x) && (20..30).contains(&y));
            equal += usize::from(x == y);
        }
        assert!((50..200).contains(&equal), "{equal} of 1000 equal; 100 are expected");
    }
}
