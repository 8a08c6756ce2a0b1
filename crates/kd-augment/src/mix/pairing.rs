//! Who is mixed with whom.

use serde::{Deserialize, Serialize};

use crate::stream::Stream;

/// How partners are found; always for a whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pairing {
    /// A uniform permutation in which nobody is their own partner. A single image has no such permutation and stays
    /// alone.
    Derangement,
    /// A uniform permutation; on average one image of a batch is its own partner and so remains unmixed.
    Permutation,
}

/// A derangement is one permutation in e; after so many failures (probability 2·10⁻¹³) one is made in another way.
const TRIES: usize = 64;

impl Pairing {
    /// A permutation of `0..n`.
    pub(super) fn draw(self, stream: &mut Stream, n: usize) -> Vec<usize> {
        let mut partner: Vec<usize> = (0..n).collect();
        match self {
            Self::Permutation => shuffle(&mut partner, stream),
            Self::Derangement if n < 2 => {}
            Self::Derangement => {
                // Rejection keeps the draw uniform over all derangements.
                for _ in 0..TRIES {
                    shuffle(&mut partner, stream);
                    if partner.iter().enumerate().all(|(i, &partner)| i != partner) {
                        return partner;
                    }
                }
                sattolo(&mut partner, stream);
            }
        }
        partner
    }
}

/// Fisher-Yates.
fn shuffle(items: &mut [usize], stream: &mut Stream) {
    for i in (1..items.len()).rev() {
        items.swap(i, stream.below(i + 1));
    }
}

/// One cycle through all items (Sattolo 1986): nobody stays in place.
fn sattolo(items: &mut [usize], stream: &mut Stream) {
    for (i, item) in items.iter_mut().enumerate() {
        *item = i;
    }
    for i in (1..items.len()).rev() {
        items.swap(i, stream.below(i));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::key::DrawKey;
    use crate::stream::Purpose;

    fn stream(batch: u64) -> Stream {
        Stream::new(&DrawKey::new(5), Purpose::Pairing, batch)
    }

    /// Uniform over the 24 permutations, and over the 9 derangements, of four images: chi-square at 0.001.
    #[test]
    fn every_permutation_is_as_likely() {
        for (pairing, kinds, limit) in [
            (Pairing::Permutation, 24, 49.7),
            (Pairing::Derangement, 9, 26.1),
        ] {
            let draws = 9000;
            let mut counts: HashMap<Vec<usize>, usize> = HashMap::new();
            for batch in 0..draws {
                *counts
                    .entry(pairing.draw(&mut stream(batch), 4))
                    .or_default() += 1;
            }
            assert_eq!(counts.len(), kinds);
            let expected = draws as f64 / kinds as f64;
            let chi: f64 = counts
                .values()
                .map(|&n| (n as f64 - expected).powi(2) / expected)
                .sum();
            assert!(chi < limit, "{pairing:?}: {chi}");
        }
    }

    #[test]
    fn derangements_of_any_size() {
        for n in 0..70 {
            let partner = Pairing::Derangement.draw(&mut stream(n as u64), n);
            let mut sorted = partner.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..n));
            assert!(n == 1 || partner.iter().enumerate().all(|(i, &partner)| i != partner));
            let mut cycle = vec![0; n];
            sattolo(&mut cycle, &mut stream(n as u64));
            assert!(n < 2 || cycle.iter().enumerate().all(|(i, &partner)| i != partner));
        }
    }
}
