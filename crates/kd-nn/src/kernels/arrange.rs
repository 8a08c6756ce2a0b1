//! Channels of some maps in another order, of maps with channels innermost.

use rayon::prelude::*;

use super::isa::vectorized;

/// Pixels that a thread takes at a time.
const PIXELS: usize = 256;
/// The most maps whose channels alternate that are looked for.
const PERIODS: [usize; 5] = [1, 2, 3, 4, 8];

/// Runs of channels that lie side by side, or alternate between some places.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    runs: Vec<Run>,
    pub(crate) channels: usize,
}

/// Channels `start + i * places + j` are channel `places[j].1 + i` of map `places[j].0`, for `i` below `len`.
#[derive(Clone, Debug)]
struct Run {
    start: usize,
    places: Vec<(usize, usize)>,
    len: usize,
}

impl Order {
    /// Of each channel its map, and the channel there.
    pub(crate) fn new(order: &[(usize, usize)]) -> Self {
        let mut runs = Vec::new();
        let mut start = 0;
        while start < order.len() {
            let rest = &order[start..];
            let length = |period: usize| {
                let follows = |&(i, place): &(usize, &(usize, usize))| {
                    let (map, channel) = rest[i % period];
                    *place == (map, channel + i / period)
                };
                let all = rest.iter().enumerate().take_while(follows).count();
                // One round of several places says nothing.
                let repeats = period == 1 || all >= 2 * period;
                (if repeats { all / period * period } else { 0 }, period)
            };
            let periods = PERIODS.into_iter().filter(|&period| period <= rest.len());
            let best = periods
                .map(length)
                .max_by_key(|&(all, period)| (all, usize::MAX - period));
            let (all, period) = best.unwrap_or((1, 1));
            runs.push(Run {
                start,
                places: rest[..period].to_vec(),
                len: all / period,
            });
            start += all;
        }
        Self {
            runs,
            channels: order.len(),
        }
    }

    /// The channels of all pixels, from maps and the numbers of their channels.
    pub(crate) fn gather(&self, maps: &[(&[f32], usize)], to: &mut [f32]) {
        to.par_chunks_mut(PIXELS * self.channels)
            .enumerate()
            .for_each(|(part, to)| {
                vectorized(|| {
                    for (pixel, to) in to.chunks_mut(self.channels).enumerate() {
                        let pixel = part * PIXELS + pixel;
                        let from = |(map, channel): (usize, usize), len: usize| {
                            let (numbers, channels) = maps[map];
                            &numbers[pixel * channels + channel..][..len]
                        };
                        self.runs.iter().for_each(|run| run.gather(from, to));
                    }
                });
            });
    }

    /// The gradient of one map, which has so many channels.
    pub(crate) fn scatter(&self, map: usize, channels: usize, gradient: &[f32], to: &mut [f32]) {
        to.par_chunks_mut(PIXELS * channels)
            .zip(gradient.par_chunks(PIXELS * self.channels))
            .for_each(|(to, gradient)| {
                vectorized(|| {
                    to.fill(0.0);
                    let pixels = gradient.chunks(self.channels);
                    for (to, gradient) in to.chunks_mut(channels).zip(pixels) {
                        self.runs
                            .iter()
                            .for_each(|run| run.scatter(map, gradient, to));
                    }
                });
            });
    }
}

impl Run {
    #[inline(always)]
    fn gather<'a>(&self, from: impl Fn((usize, usize), usize) -> &'a [f32], to: &mut [f32]) {
        let to = &mut to[self.start..][..self.len * self.places.len()];
        match self.places[..] {
            [place] => to.copy_from_slice(from(place, self.len)),
            [a, b] => {
                let pairs = from(a, self.len).iter().zip(from(b, self.len));
                for (to, (a, b)) in to.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
                    *to = [*a, *b];
                }
            }
            _ => {
                for (j, &place) in self.places.iter().enumerate() {
                    let to = to.iter_mut().skip(j).step_by(self.places.len());
                    to.zip(from(place, self.len))
                        .for_each(|(to, from)| *to = *from);
                }
            }
        }
    }

    #[inline(always)]
    fn scatter(&self, map: usize, gradient: &[f32], to: &mut [f32]) {
        let period = self.places.len();
        let gradient = &gradient[self.start..][..self.len * period];
        for (j, &(of, channel)) in self.places.iter().enumerate() {
            if of != map {
                continue;
            }
            let to = &mut to[channel..][..self.len];
            match period {
                1 => to.iter_mut().zip(gradient).for_each(|(to, g)| *to += g),
                2 => {
                    let pairs = gradient.as_chunks::<2>().0;
                    to.iter_mut()
                        .zip(pairs)
                        .for_each(|(to, pair)| *to += pair[j]);
                }
                _ => {
                    let gradient = gradient.iter().skip(j).step_by(period);
                    to.iter_mut().zip(gradient).for_each(|(to, g)| *to += g);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_found_as_runs() {
        let runs = |order: &[(usize, usize)]| Order::new(order).runs.len();
        assert_eq!(runs(&[(0, 3), (0, 4), (0, 5)]), 1);
        assert_eq!(runs(&[(0, 0), (0, 1), (1, 0), (1, 1)]), 2);
        assert_eq!(runs(&[(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]), 1);
        let shuffled: Vec<_> = (0..12).map(|c| (0, c % 3 * 4 + c / 3)).collect();
        assert_eq!(runs(&shuffled), 1);
        assert_eq!(runs(&[]), 0);
    }
}
