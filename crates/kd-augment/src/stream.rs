//! Random numbers as a function of what they are for.
//!
//! A draw is Threefry-4x64-20 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011), a
//! counter-based generator: 256 bits of key and 256 bits of counter in, 256 bits out. It is chosen over a seeded
//! generator such as ChaCha because the whole name of a stream (seed, epoch, view, copy, purpose, operation, sample)
//! fits into key and counter *unhashed*, so that two names cannot collide; because a stream costs nothing to set up (one
//! block, four draws, about 20 ns, and most operations need one block); and because it uses only additions, rotations
//! and exclusive-ors of 64-bit words, which every CPU and every GPU computes alike. Philox-4x32 has room for only 192 of
//! the 320 bits.

use core::convert::Infallible;

use rand::TryRng;

use crate::key::DrawKey;

/// What a stream is for. Streams of different purposes never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Parameters of the image operation at this position, for one sample.
    ImageOp(u32),
    /// The same for a whole batch.
    BatchImageOp(u32),
    /// Who is mixed with whom; always for a batch.
    Pairing,
    /// Parameters of a mix, for one sample.
    Mix,
    /// The same for a whole batch.
    BatchMix,
    /// Random picking from a pool; for a batch.
    Pick,
    /// The box of this network, for one sample.
    NetworkBox(u32),
    /// The same for a whole batch.
    BatchNetworkBox(u32),
}

impl Purpose {
    fn word(self) -> u64 {
        let (domain, position) = match self {
            Self::ImageOp(position) => (0, position),
            Self::BatchImageOp(position) => (1, position),
            Self::Pairing => (2, 0),
            Self::Mix => (3, 0),
            Self::BatchMix => (4, 0),
            Self::Pick => (5, 0),
            Self::NetworkBox(network) => (6, network),
            Self::BatchNetworkBox(network) => (7, network),
        };
        (domain << 32) | u64::from(position)
    }
}

/// The stream of draws of one key, purpose and subject (a sample id, or the index of a batch).
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    key: [u64; 4],
    /// Words: subject, block, 0, 0.
    counter: [u64; 4],
    block: [u64; 4],
    used: usize,
}

impl Stream {
    pub(crate) fn new(key: &DrawKey, purpose: Purpose, subject: u64) -> Self {
        let view_and_copy = (u64::from(key.view) << 32) | u64::from(key.copy);
        Self {
            key: [key.seed, key.epoch, view_and_copy, purpose.word()],
            counter: [subject, 0, 0, 0],
            block: [0; 4],
            used: 4,
        }
    }

    fn draw(&mut self) -> u64 {
        if self.used == 4 {
            self.block = threefry(self.counter, self.key);
            self.counter[1] += 1;
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// A whole block of draws, to name further draws by.
    pub(crate) fn key(&mut self) -> [u64; 4] {
        [self.draw(), self.draw(), self.draw(), self.draw()]
    }

    /// Uniform in [0, 1), on the grid of 2⁻⁵³.
    pub(crate) fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.draw() >> 11) as f64 * STEP
    }

    /// True with probability `p`; one draw whatever `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Uniform in `0..n`, by multiplication: one draw, and a bias below n / 2⁶⁴.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.draw()) * n as u128) >> 64) as usize
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.draw() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.draw())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.draw().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Rotations of rounds 0 to 3 of each eight.
const FIRST_FOUR: [(u32, u32); 4] = [(14, 16), (52, 57), (23, 40), (5, 37)];
/// Rotations of rounds 4 to 7 of each eight.
const LAST_FOUR: [(u32, u32); 4] = [(25, 33), (46, 12), (58, 22), (32, 32)];
/// Makes the sum of the extended key differ from zero (Skein 1.3).
const PARITY: u64 = 0x1BD1_1BDA_A9FC_1A22;

fn threefry(counter: [u64; 4], key: [u64; 4]) -> [u64; 4] {
    rounds(counter.map(|word| [word]), key).map(|[word]| word)
}

/// Word by word the blocks of several counters, which differ in their first word; the other words are 0.
#[inline(always)]
pub(crate) fn threefry_lanes<const N: usize>(counters: [u64; N], key: [u64; 4]) -> [[u64; N]; 4] {
    rounds([counters, [0; N], [0; N], [0; N]], key)
}

#[inline(always)]
fn rounds<const N: usize>(counter: [[u64; N]; 4], key: [u64; 4]) -> [[u64; N]; 4] {
    let parity = key.iter().fold(PARITY, |sum, word| sum ^ word);
    let extended = [key[0], key[1], key[2], key[3], parity];
    let mut x = counter;
    for (words, key) in x.iter_mut().zip(key) {
        for word in words {
            *word = word.wrapping_add(key);
        }
    }
    // Written out, so that every rotation is by a constant.
    four_rounds(&mut x, FIRST_FOUR);
    inject(&mut x, &extended, 1);
    four_rounds(&mut x, LAST_FOUR);
    inject(&mut x, &extended, 2);
    four_rounds(&mut x, FIRST_FOUR);
    inject(&mut x, &extended, 3);
    four_rounds(&mut x, LAST_FOUR);
    inject(&mut x, &extended, 4);
    four_rounds(&mut x, FIRST_FOUR);
    inject(&mut x, &extended, 5);
    x
}

/// Adds the key again, in another order each time.
#[inline(always)]
fn inject<const N: usize>(x: &mut [[u64; N]; 4], extended: &[u64; 5], injection: usize) {
    for (i, words) in x.iter_mut().enumerate() {
        let key = extended[(injection + i) % 5];
        let key = key.wrapping_add(if i == 3 { injection as u64 } else { 0 });
        for word in words {
            *word = word.wrapping_add(key);
        }
    }
}

/// Even rounds mix (0, 1) and (2, 3), odd rounds (0, 3) and (2, 1).
#[inline(always)]
fn four_rounds<const N: usize>(x: &mut [[u64; N]; 4], rotations: [(u32, u32); 4]) {
    mix(x, 1, 3, rotations[0]);
    mix(x, 3, 1, rotations[1]);
    mix(x, 1, 3, rotations[2]);
    mix(x, 3, 1, rotations[3]);
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "four arrays, lane by lane")]
fn mix<const N: usize>(x: &mut [[u64; N]; 4], a: usize, b: usize, (first, second): (u32, u32)) {
    for lane in 0..N {
        x[0][lane] = x[0][lane].wrapping_add(x[a][lane]);
        x[a][lane] = x[a][lane].rotate_left(first) ^ x[0][lane];
        x[2][lane] = x[2][lane].wrapping_add(x[b][lane]);
        x[b][lane] = x[b][lane].rotate_left(second) ^ x[2][lane];
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Known answers published with Random123 (`tests/kat_vectors`, threefry4x64, 20 rounds).
    #[test]
    fn threefry_gives_the_published_answers() {
        assert_eq!(
            threefry([0; 4], [0; 4]),
            [
                0x09218ebde6c85537,
                0x55941f5266d86105,
                0x4bd25e16282434dc,
                0xee29ec846bd2e40b
            ]
        );
        assert_eq!(
            threefry([u64::MAX; 4], [u64::MAX; 4]),
            [
                0x29c24097942bba1b,
                0x0371bbfb0f6f4e11,
                0x3c231ffa33f83a1c,
                0xcd29113fde32d168
            ]
        );
        assert_eq!(
            threefry(
                [
                    0x243f6a8885a308d3,
                    0x13198a2e03707344,
                    0xa4093822299f31d0,
                    0x082efa98ec4e6c89
                ],
                [
                    0x452821e638d01377,
                    0xbe5466cf34e90c6c,
                    0xbe5466cf34e90c6c,
                    0xc0ac29b7c97c50dd
                ]
            ),
            [
                0xa7e8fde591651bd9,
                0xbaafd0c30138319b,
                0x84a5c1a729e685b9,
                0x901d406ccebc1ba4
            ]
        );
    }

    #[test]
    fn lanes_are_blocks() {
        let key = [1, 2, 3, 4];
        let lanes = threefry_lanes([5, 6, u64::MAX], key);
        for (lane, counter) in [5, 6, u64::MAX].into_iter().enumerate() {
            assert_eq!(
                lanes.map(|words| words[lane]),
                threefry([counter, 0, 0, 0], key)
            );
        }
    }

    #[test]
    fn every_part_of_the_name_matters() {
        let key = DrawKey::new(1);
        let purposes = [
            Purpose::ImageOp(0),
            Purpose::ImageOp(1),
            Purpose::BatchImageOp(0),
            Purpose::Pairing,
            Purpose::Mix,
            Purpose::BatchMix,
            Purpose::Pick,
            Purpose::NetworkBox(0),
            Purpose::NetworkBox(1),
            Purpose::BatchNetworkBox(0),
        ];
        let mut firsts = HashSet::new();
        for key in [key, DrawKey::new(2), key.epoch(1), key.view(1), key.copy(1)] {
            for purpose in purposes {
                for subject in [0, 1, u64::MAX] {
                    assert!(firsts.insert(Stream::new(&key, purpose, subject).draw()));
                }
            }
        }
        assert_eq!(firsts.len(), 5 * 10 * 3);
    }

    #[test]
    fn draws_stay_in_range() {
        let mut stream = Stream::new(&DrawKey::new(9), Purpose::Pick, 0);
        let mut seen = [false; 3];
        for _ in 0..1000 {
            assert!((0.0..1.0).contains(&stream.unit()));
            seen[stream.below(3)] = true;
            assert!(stream.chance(1.0));
            assert!(!stream.chance(0.0));
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(stream.below(1), 0);
    }
}
