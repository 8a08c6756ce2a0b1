//! The innermost loops: a tile of output pixels and channels, held in registers until it is finished.
//!
//! Pixels of an input lie sixteen floats apart, sixteen channels each, whatever the convolution's stride (see [`super::fill`]).
//! One weight vector (sixteen output channels) meets one input number, repeated in all lanes, for each pixel of the tile: with
//! `R` rows of `P` pixels and `N` blocks of channels, R·P·N multiply-adds of sixteen lanes cost N + R·P loads.

use super::vector::{LANES, Vector};

/// Where a part of a sum comes from: `channels` consecutive input channels, `offset` floats behind the pixel's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) offset: usize,
    pub(crate) channels: usize,
}

/// What happens to a sum before it is stored. Pointers may be null.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    /// One number an output channel, padded to whole blocks.
    pub(crate) shift: *const f32,
    /// Laid out as the output.
    pub(crate) addend: *const f32,
    pub(crate) relu: bool,
}

/// A tile's operands.
pub(crate) struct Tile<'a> {
    pub(crate) input: *const f32,
    /// Of each row's first pixel, in floats from `input`.
    pub(crate) input_rows: *const usize,
    pub(crate) segments: &'a [Segment],
    /// For each segment and channel sixteen numbers.
    pub(crate) weights: *const f32,
    /// From one block of output channels to the next.
    pub(crate) weight_block: usize,
    /// First pixel, first channel of the block.
    pub(crate) output: *mut f32,
    pub(crate) output_rows: *const usize,
    pub(crate) output_pixel: usize,
    /// How many channels of the last block exist.
    pub(crate) last_channels: usize,
    pub(crate) finish: Finish,
}

pub(crate) type TileFn = unsafe fn(&Tile<'_>);

/// Sums over all segments, for `R` rows of `P` pixels and `N` blocks of output channels.
///
/// # Safety
/// `input` is valid for reads of every segment at every pixel, `weights` for `N` blocks, `output` (and `addend`) for writes (reads)
/// of every pixel, as far as its channels exist; `shift`, if not null, for `N` blocks.
#[inline(always)]
pub(crate) unsafe fn tile<V: Vector, const R: usize, const P: usize, const N: usize>(t: &Tile<'_>) {
    let mut sums = [[[V::zero(); P]; R]; N];
    let mut rows = [t.input; R];
    for r in 0..R {
        rows[r] = t.input.add(*t.input_rows.add(r));
    }
    let mut weights = t.weights;
    for segment in t.segments {
        for c in 0..segment.channels {
            let mut w = [V::zero(); N];
            for n in 0..N {
                w[n] = V::load(weights.add(n * t.weight_block));
            }
            for r in 0..R {
                let pixel = rows[r].add(segment.offset + c);
                for p in 0..P {
                    let x = V::splat(*pixel.add(p * LANES));
                    for n in 0..N {
                        sums[n][r][p] = x.mul_add(w[n], sums[n][r][p]);
                    }
                }
            }
            weights = weights.add(LANES);
        }
    }
    // Not a loop over blocks: an index that is not constant keeps the sums in memory.
    if N > 1 {
        finish::<V, R, P>(t, 0, LANES, sums[0]);
    }
    finish::<V, R, P>(t, N - 1, t.last_channels, sums[N - 1]);
}

/// As [`tile`] where segments come in threes that lie one pixel after the other, as the taps of a row of a kernel do: every number of
/// the input is loaded once for three taps.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
pub(crate) unsafe fn row_tile<V: Vector, const R: usize, const P: usize, const N: usize>(
    t: &Tile<'_>,
) {
    let mut sums = [[[V::zero(); P]; R]; N];
    let mut rows = [t.input; R];
    for r in 0..R {
        rows[r] = t.input.add(*t.input_rows.add(r));
    }
    let mut weights = t.weights;
    for three in t.segments.chunks_exact(3) {
        let tap = three[0].channels * LANES;
        for c in 0..three[0].channels {
            let mut w = [[V::zero(); 3]; N];
            for n in 0..N {
                for k in 0..3 {
                    w[n][k] = V::load(weights.add(n * t.weight_block + k * tap));
                }
            }
            for r in 0..R {
                let pixel = rows[r].add(three[0].offset + c);
                for p in 0..P + 2 {
                    let x = V::splat(*pixel.add(p * LANES));
                    for k in 0..3 {
                        // Pixel `p` is under tap `k` of the sum of pixel `p - k`.
                        if p >= k && p - k < P {
                            for n in 0..N {
                                sums[n][r][p - k] = x.mul_add(w[n][k], sums[n][r][p - k]);
                            }
                        }
                    }
                }
            }
            weights = weights.add(LANES);
        }
        weights = weights.add(2 * tap);
    }
    if N > 1 {
        finish::<V, R, P>(t, 0, LANES, sums[0]);
    }
    finish::<V, R, P>(t, N - 1, t.last_channels, sums[N - 1]);
}

/// As [`tile`] where every output channel has one input channel of its own: segments are taps, weights sixteen numbers a tap.
///
/// # Safety
/// As [`tile`], with whole vectors read at every pixel.
#[inline(always)]
pub(crate) unsafe fn depthwise_tile<V: Vector, const P: usize>(t: &Tile<'_>) {
    let mut sums = [[V::zero(); P]];
    let row = t.input.add(*t.input_rows);
    let mut weights = t.weights;
    for segment in t.segments {
        let w = V::load(weights);
        for p in 0..P {
            let x = V::load(row.add(segment.offset + p * LANES));
            sums[0][p] = x.mul_add(w, sums[0][p]);
        }
        weights = weights.add(LANES);
    }
    finish::<V, 1, P>(t, 0, t.last_channels, sums);
}

impl Finish {
    /// Adds, takes ReLU, and stores `channels` channels of a sum at `at`.
    #[inline(always)]
    pub(super) unsafe fn store<V: Vector>(
        &self,
        sum: V,
        output: *mut f32,
        at: usize,
        channels: usize,
    ) {
        let mut value = sum;
        if channels == LANES {
            if !self.addend.is_null() {
                value = value.add(V::load(self.addend.add(at)));
            }
            if self.relu {
                value = value.relu();
            }
            value.store(output.add(at));
        } else {
            if !self.addend.is_null() {
                value = value.add(V::load_first(self.addend.add(at), channels));
            }
            if self.relu {
                value = value.relu();
            }
            value.store_first(output.add(at), channels);
        }
    }
}

/// Finishes and stores block `n` of a tile.
#[inline(always)]
unsafe fn finish<V: Vector, const R: usize, const P: usize>(
    t: &Tile<'_>,
    n: usize,
    channels: usize,
    sums: [[V; P]; R],
) {
    let shift = match t.finish.shift.is_null() {
        true => V::zero(),
        false => V::load(t.finish.shift.add(n * LANES)),
    };
    for r in 0..R {
        let row = *t.output_rows.add(r) + n * LANES;
        for p in 0..P {
            let at = row + p * t.output_pixel;
            t.finish
                .store(sums[r][p].add(shift), t.output, at, channels);
        }
    }
}

/// The operands of a tile of the weights' gradient.
pub(crate) struct WeightTile {
    /// Of the first input channel, displaced by the tap.
    pub(crate) input: *const f32,
    pub(crate) input_rows: *const usize,
    /// The output's gradient, sixteen floats a pixel.
    pub(crate) gradient: *const f32,
    pub(crate) gradient_rows: *const usize,
    /// From one block of output channels to the next.
    pub(crate) gradient_block: usize,
    pub(crate) rows: usize,
    pub(crate) width: usize,
    /// For each input channel sixteen numbers; added to.
    pub(crate) output: *mut f32,
    pub(crate) output_block: usize,
    /// From one tap to the next.
    pub(crate) tap: usize,
}

pub(crate) type WeightTileFn = unsafe fn(&WeightTile);

/// Adds Σ over pixels of input · gradient, for `C` input channels and `N` blocks of output channels.
///
/// # Safety
/// `input` is valid for reads of `C` channels, `gradient` of sixteen in each of `N` blocks at every pixel of every row; `output` for
/// reads and writes of `C` vectors in each of `N` blocks.
#[inline(always)]
pub(crate) unsafe fn weight_tile<V: Vector, const C: usize, const N: usize>(t: &WeightTile) {
    let mut sums = [[V::zero(); C]; N];
    for n in 0..N {
        for c in 0..C {
            sums[n][c] = V::load(t.output.add(n * t.output_block + c * LANES));
        }
    }
    for row in 0..t.rows {
        let mut x = t.input.add(*t.input_rows.add(row));
        let mut g = t.gradient.add(*t.gradient_rows.add(row));
        for _ in 0..t.width {
            let mut gradient = [V::zero(); N];
            for n in 0..N {
                gradient[n] = V::load(g.add(n * t.gradient_block));
            }
            for c in 0..C {
                let x = V::splat(*x.add(c));
                for n in 0..N {
                    sums[n][c] = x.mul_add(gradient[n], sums[n][c]);
                }
            }
            x = x.add(LANES);
            g = g.add(LANES);
        }
    }
    for n in 0..N {
        for c in 0..C {
            sums[n][c].store(t.output.add(n * t.output_block + c * LANES));
        }
    }
}

/// As [`weight_tile`] for three taps that lie one pixel after the other, `tap` floats apart in the output: every number of the input
/// is loaded once for all of them.
///
/// # Safety
/// As [`weight_tile`], for three taps, where `width` counts the gradient's pixels, at least two.
#[inline(always)]
pub(crate) unsafe fn weight_row_tile<V: Vector, const C: usize>(t: &WeightTile) {
    let mut sums = [[V::zero(); C]; 3];
    for k in 0..3 {
        for c in 0..C {
            sums[k][c] = V::load(t.output.add(k * t.tap + c * LANES));
        }
    }
    for row in 0..t.rows {
        let mut x = t.input.add(*t.input_rows.add(row));
        let mut g = t.gradient.add(*t.gradient_rows.add(row));
        // Input pixel `p` meets gradient pixels `p`, `p - 1` and `p - 2`, as far as they exist.
        let mut last = V::load(g);
        for c in 0..C {
            sums[0][c] = V::splat(*x.add(c)).mul_add(last, sums[0][c]);
        }
        let mut here = V::load(g.add(LANES));
        for c in 0..C {
            let x = V::splat(*x.add(LANES + c));
            sums[0][c] = x.mul_add(here, sums[0][c]);
            sums[1][c] = x.mul_add(last, sums[1][c]);
        }
        x = x.add(2 * LANES);
        g = g.add(2 * LANES);
        for _ in 2..t.width {
            let next = V::load(g);
            for c in 0..C {
                let x = V::splat(*x.add(c));
                sums[0][c] = x.mul_add(next, sums[0][c]);
                sums[1][c] = x.mul_add(here, sums[1][c]);
                sums[2][c] = x.mul_add(last, sums[2][c]);
            }
            last = here;
            here = next;
            x = x.add(LANES);
            g = g.add(LANES);
        }
        for c in 0..C {
            let first = V::splat(*x.add(c));
            sums[1][c] = first.mul_add(here, sums[1][c]);
            sums[2][c] = first.mul_add(last, sums[2][c]);
            sums[2][c] = V::splat(*x.add(LANES + c)).mul_add(here, sums[2][c]);
        }
    }
    for k in 0..3 {
        for c in 0..C {
            sums[k][c].store(t.output.add(k * t.tap + c * LANES));
        }
    }
}

/// As [`weight_tile`] where every output channel has one input channel of its own: adds sixteen numbers for one tap.
///
/// # Safety
/// As [`weight_tile`], with whole vectors read at every pixel and one vector of output.
#[inline(always)]
pub(crate) unsafe fn depthwise_weight_tile<V: Vector>(t: &WeightTile) {
    let mut sum = V::load(t.output);
    for row in 0..t.rows {
        let x = t.input.add(*t.input_rows.add(row));
        let g = t.gradient.add(*t.gradient_rows.add(row));
        let mut line = [V::zero(); 4];
        for p in 0..t.width / 4 {
            for i in 0..4 {
                let at = (4 * p + i) * LANES;
                line[i] = V::load(x.add(at)).mul_add(V::load(g.add(at)), line[i]);
            }
        }
        for p in t.width / 4 * 4..t.width {
            let at = p * LANES;
            line[0] = V::load(x.add(at)).mul_add(V::load(g.add(at)), line[0]);
        }
        sum = sum.add(line[0].add(line[1]).add(line[2].add(line[3])));
    }
    sum.store(t.output);
}
