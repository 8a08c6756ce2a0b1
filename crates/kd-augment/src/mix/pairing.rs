//! Who is mixed with whom.

use serde::{Deserialize, Serialize};

use crate::error::AugmentError;
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
    /// Each image with the one before it, the first with the last: no draw.
    Roll,
    /// The first half of the batch with the second, image by image: no draw. Needs an even number of images.
    Halves,
}

/// A derangement is one permutation in e; after so many failures (probability 2·10⁻¹³) one is made in another way.
const TRIES: usize = 64;

impl Pairing {
    /// Writes a permutation of `0..n`.
    pub(super) fn draw(
        self,
        stream: &mut Stream,
        n: usize,
        partner: &mut Vec<usize>,
    ) -> Result<(), AugmentError> {
        partner.clear();
        match self {
            Self::Roll => partner.extend((0..n).map(|i| (i + n - 1) % n)),
            Self::Halves if !n.is_multiple_of(2) => {
                return Err(AugmentError::OddBatch {
                    pairing: "halves",
                    found: n,
                });
            }
            Self::Halves => partner.extend((0..n).map(|i| (i + n / 2) % n)),
            Self::Permutation => {
                partner.extend(0..n);
                shuffle(partner, stream);
            }
            Self::Derangement => {
                partner.extend(0..n);
                derange(partner, stream);
            }
        }
        Ok(())
    }
}

/// Rejection keeps the draw uniform over all derangements.
fn derange(partner: &mut [usize], stream: &mut Stream) {
    if partner.len() < 2 {
        return;
    }
    for _ in 0..TRIES {
        shuffle(partner, stream);
        if partner.iter().enumerate().all(|(i, &partner)| i != partner) {
            return;
        }
    }
    sattolo(partner, stream);
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
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use super::*;
    use crate::key::DrawKey;
    use crate::stream::Purpose;

    fn draw(pairing: Pairing, batch: u64, n: usize) -> Vec<usize> {
        let mut partner = vec![7; 3];
        pairing.draw(&mut stream(batch), n, &mut partner).unwrap();
        partner
    }

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
                *counts.entry(draw(pairing, batch, 4)).or_default() += 1;
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
            let partner = draw(Pairing::Derangement, n as u64, n);
            let mut sorted = partner.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..n));
            assert!(n == 1 || partner.iter().enumerate().all(|(i, &partner)| i != partner));
            let mut cycle = vec![0; n];
            sattolo(&mut cycle, &mut stream(n as u64));
            assert!(n < 2 || cycle.iter().enumerate().all(|(i, &partner)| i != partner));
        }
    }

    #[test]
    fn pairings_without_a_draw() {
        assert_eq!(draw(Pairing::Roll, 0, 4), [3, 0, 1, 2]);
        assert_eq!(draw(Pairing::Roll, 0, 1), [0]);
        assert!(draw(Pairing::Roll, 0, 0).is_empty());
        assert_eq!(draw(Pairing::Halves, 0, 4), [2, 3, 0, 1]);
        let odd = Pairing::Halves
            .draw(&mut stream(0), 5, &mut Vec::new())
            .unwrap_err();
        assert_eq!(
            odd.to_string(),
            "the pairing halves needs an even number of images in a batch, found 5"
        );
    }
}
