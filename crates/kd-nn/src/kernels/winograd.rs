//! Winograd's minimal filtering F(2×2, 3×3) for 3×3 kernels of stride 1 (Winograd 1980; Lavin & Gray, *Fast Algorithms for
//! Convolutional Neural Networks*, 2015): sixteen multiplications for four outputs instead of thirty-six.
//!
//! A 4×4 patch d of the input, a kernel g and a 2×2 patch y of the output are related by `y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`. At each
//! of the sixteen places the products over channels are a matrix product over patches. The gradient of the weights is
//! `Gᵀ [Σ over patches of (Bᵀ d B) ⊗ (A ∂y Aᵀ)] G`: sixteen matrix products once more.
//!
//! All factors are ±1 and ½, so the result differs from the direct sum by rounding alone, of about three times its size.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::geometry::{Geometry, block_channels, blocks};
use super::isa::Kernels;
use super::tile::{Finish, WeightTile};
use super::vector::{LANES, Vector};

/// Places of a transformed patch.
pub(crate) const PLACES: usize = 16;

/// Patches are taken together in groups of this many.
const GROUP: usize = 8;

/// Floats of transformed input that are held at a time: 256 KB.
const HELD: usize = 64 << 10;

/// Patches that are transformed at a time, at most.
const MOST: usize = 96;

/// Floats between places, so that they do not all fall into the same set of a cache: a line.
const APART: usize = LANES;

/// Channels below which the transforms cost what the products save.
const CHANNELS: usize = 32;

/// Products of channels above which weights no longer fit the third-level cache beside the activations, and are read too often for
/// the few patches of a small image.
const WIDE: usize = 256 * 256;

/// Whether a convolution is done this way.
pub(crate) fn applies(g: &Geometry) -> bool {
    let [input, output] = g.group_channels();
    g.kernel == [3, 3]
        && g.stride == [1, 1]
        && g.dilation == [1, 1]
        && input.min(output) >= CHANNELS
        && (input * output <= WIDE || g.output_pixels() >= 64)
        && g.output.iter().chain(&g.input).all(|&size| size >= 2)
        && g.padding.iter().all(|&padding| padding <= 2)
}

/// Floats of one group's transformed weights.
pub(crate) fn group_floats(inputs: usize, outputs: usize) -> usize {
    PLACES * blocks(outputs) * inputs * LANES
}

/// `G g Gᵀ` for sixteen kernels, tap by tap.
fn transform_kernel(taps: &[[f32; LANES]; 9]) -> [[f32; LANES]; PLACES] {
    let half = |a: f32, b: f32, c: f32| [a, 0.5 * (a + b + c), 0.5 * (a - b + c), c];
    let mut out = [[0.0; LANES]; PLACES];
    for lane in 0..LANES {
        let mut rows = [[0.0; 3]; 4];
        for x in 0..3 {
            let column = half(taps[x][lane], taps[3 + x][lane], taps[6 + x][lane]);
            for y in 0..4 {
                rows[y][x] = column[y];
            }
        }
        for y in 0..4 {
            let row = half(rows[y][0], rows[y][1], rows[y][2]);
            for x in 0..4 {
                out[4 * y + x][lane] = row[x];
            }
        }
    }
    out
}

/// `Gᵀ u G` for sixteen kernels, tap by tap.
fn transform_back(places: &[[f32; LANES]; PLACES]) -> [[f32; LANES]; 9] {
    let back = |a: f32, b: f32, c: f32, d: f32| {
        let (sum, difference) = (0.5 * (b + c), 0.5 * (b - c));
        [a + sum, difference, sum + d]
    };
    let mut out = [[0.0; LANES]; 9];
    for lane in 0..LANES {
        let mut rows = [[0.0; 4]; 3];
        for x in 0..4 {
            let at = |y: usize| places[4 * y + x][lane];
            let column = back(at(0), at(1), at(2), at(3));
            for y in 0..3 {
                rows[y][x] = column[y];
            }
        }
        for y in 0..3 {
            let row = back(rows[y][0], rows[y][1], rows[y][2], rows[y][3]);
            for x in 0..3 {
                out[3 * y + x][lane] = row[x];
            }
        }
    }
    out
}

/// From `[output, input / groups, 3, 3]` to, for each group: place, output block, input channel, sixteen output channels; each
/// output channel times `scale` if given.
pub(crate) fn pack_forward(g: &Geometry, weights: &[f32], scale: Option<&[f32]>) -> Buffer {
    let [inputs, outputs] = g.group_channels();
    pack(g.groups, inputs, outputs, |group, input, output, tap| {
        let channel = group * outputs + output;
        weights[(channel * inputs + input) * 9 + tap] * scale.map_or(1.0, |scale| scale[channel])
    })
}

/// The same for the gradient of the input: the kernels turned round, inputs and outputs exchanged.
pub(crate) fn pack_backward(g: &Geometry, weights: &[f32]) -> Buffer {
    let [inputs, outputs] = g.group_channels();
    pack(g.groups, outputs, inputs, |group, output, input, tap| {
        weights[((group * outputs + output) * inputs + input) * 9 + 8 - tap]
    })
}

fn pack(
    groups: usize,
    inputs: usize,
    outputs: usize,
    weight: impl Fn(usize, usize, usize, usize) -> f32 + Sync,
) -> Buffer {
    let size = group_floats(inputs, outputs);
    let mut packed = Buffer::new(groups * size);
    let place = blocks(outputs) * inputs * LANES;
    packed.as_mut_slice()[..groups * size]
        .par_chunks_mut(size)
        .enumerate()
        .for_each(|(group, packed)| {
            // A place's lines lie far apart, so blocks are shared out by hand.
            let to = super::conv::Shared(packed.as_mut_ptr());
            (0..blocks(outputs)).into_par_iter().for_each(|block| {
                let lanes = block_channels(outputs, block);
                for input in 0..inputs {
                    let mut taps = [[0.0; LANES]; 9];
                    for lane in 0..lanes {
                        for (tap, line) in taps.iter_mut().enumerate() {
                            line[lane] = weight(group, input, block * LANES + lane, tap);
                        }
                    }
                    let places = transform_kernel(&taps);
                    for (k, line) in places.iter().enumerate() {
                        let at = k * place + (block * inputs + input) * LANES;
                        // SAFETY: the line lies in the group's part, and is this block's and input's alone.
                        unsafe {
                            core::ptr::copy_nonoverlapping(line.as_ptr(), to.get().add(at), LANES);
                        }
                    }
                }
            });
        });
    packed
}

/// Floats of one group's gradient: output block, input block, place, sixteen input channels, sixteen output channels.
pub(crate) fn gradient_floats(g: &Geometry) -> usize {
    let [inputs, outputs] = g.group_channels();
    blocks(outputs) * blocks(inputs) * PLACES * LANES * LANES
}

/// The sum of `parts` gradients, one after the other, as `[output, input / groups, 3, 3]`.
pub(crate) fn unpack_gradient(g: &Geometry, parts: &[Buffer], weights: &mut [f32]) {
    let [inputs, outputs] = g.group_channels();
    let tasks: Vec<_> = weights
        .chunks_mut(outputs * inputs * 9)
        .enumerate()
        .flat_map(|(group, weights)| {
            weights
                .chunks_mut(LANES * inputs * 9)
                .enumerate()
                .map(move |(block, weights)| (group * blocks(outputs) + block, weights))
        })
        .collect();
    tasks.into_par_iter().for_each(|(block, weights)| {
        for input in 0..inputs {
            let first = (block * blocks(inputs) + input / LANES) * PLACES;
            let mut places = [[0.0; LANES]; PLACES];
            for (k, total) in places.iter_mut().enumerate() {
                let at = ((first + k) * LANES + input % LANES) * LANES;
                for part in parts {
                    let part = &part.as_slice()[at..at + LANES];
                    for lane in 0..LANES {
                        total[lane] += part[lane];
                    }
                }
            }
            let taps = transform_back(&places);
            for (lane, weights) in weights.chunks_mut(inputs * 9).enumerate() {
                for (tap, line) in taps.iter().enumerate() {
                    weights[input * 9 + tap] = line[lane];
                }
            }
        }
    });
}

/// A 2×2 patch of the output.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    /// Of the 4×4 patch of the input, in floats from the scratch.
    pub(crate) input: usize,
    /// Of the first pixel, in floats from the output.
    pub(crate) output: usize,
    /// How many rows and columns of it exist.
    pub(crate) rows: u8,
    pub(crate) columns: u8,
}

/// All patches of a grid of `height` rows and `width` columns, where `input(row)` and `output(row)` say where a row begins; pixels of
/// the output lie `pixel` floats apart.
pub(crate) fn spots(
    spots: &mut Vec<Spot>,
    [height, width]: [usize; 2],
    pixel: usize,
    input: impl Fn(usize) -> usize,
    output: impl Fn(usize) -> usize,
) {
    for y in (0..height).step_by(2) {
        for x in (0..width).step_by(2) {
            spots.push(Spot {
                input: input(y) + x * LANES,
                output: output(y) + x * pixel,
                rows: (height - y).min(2) as u8,
                columns: (width - x).min(2) as u8,
            });
        }
    }
}

/// The transform of some patches of one block of channels.
pub(crate) struct Transform<'a> {
    pub(crate) from: *const f32,
    /// Between rows of `from`.
    pub(crate) row: usize,
    pub(crate) spots: &'a [Spot],
    /// For each place, `spots.len()` vectors.
    pub(crate) to: *mut f32,
    /// Between places of `to`.
    pub(crate) place: usize,
}

pub(crate) type TransformFn = unsafe fn(&Transform<'_>);

/// `Bᵀ d B`.
///
/// # Safety
/// `from` is valid for reads of 4×4 pixels at each spot, `to` for writes of a vector at each place and spot.
#[inline(always)]
pub(crate) unsafe fn transform_input<V: Vector>(t: &Transform<'_>) {
    for (index, spot) in t.spots.iter().enumerate() {
        let from = t.from.add(spot.input);
        let to = t.to.add(index * LANES);
        let mut rows = [[V::zero(); 4]; 4];
        for x in 0..4 {
            let d0 = V::load(from.add(x * LANES));
            let d1 = V::load(from.add(t.row + x * LANES));
            let d2 = V::load(from.add(2 * t.row + x * LANES));
            let d3 = V::load(from.add(3 * t.row + x * LANES));
            rows[0][x] = d0.sub(d2);
            rows[1][x] = d1.add(d2);
            rows[2][x] = d2.sub(d1);
            rows[3][x] = d1.sub(d3);
        }
        for y in 0..4 {
            let [d0, d1, d2, d3] = rows[y];
            let to = to.add(4 * y * t.place);
            d0.sub(d2).store(to);
            d1.add(d2).store(to.add(t.place));
            d2.sub(d1).store(to.add(2 * t.place));
            d1.sub(d3).store(to.add(3 * t.place));
        }
    }
}

/// `A ∂y Aᵀ`, where a spot's `input` is the place of its 2×2 patch of the gradient.
///
/// # Safety
/// As [`transform_input`], for 2×2 pixels.
#[inline(always)]
pub(crate) unsafe fn transform_gradient<V: Vector>(t: &Transform<'_>) {
    for (index, spot) in t.spots.iter().enumerate() {
        let from = t.from.add(spot.input);
        let to = t.to.add(index * LANES);
        let mut rows = [[V::zero(); 2]; 4];
        for x in 0..2 {
            let y0 = V::load(from.add(x * LANES));
            let y1 = V::load(from.add(t.row + x * LANES));
            rows[0][x] = y0;
            rows[1][x] = y0.add(y1);
            rows[2][x] = y0.sub(y1);
            rows[3][x] = V::zero().sub(y1);
        }
        for y in 0..4 {
            let [y0, y1] = rows[y];
            let to = to.add(4 * y * t.place);
            y0.store(to);
            y0.add(y1).store(to.add(t.place));
            y0.sub(y1).store(to.add(2 * t.place));
            V::zero().sub(y1).store(to.add(3 * t.place));
        }
    }
}

/// One of the sixteen products: for groups of eight patches, Σ over input channels.
pub(crate) struct Product {
    /// Blocks of `patches` vectors.
    pub(crate) input: *const f32,
    pub(crate) input_block: usize,
    pub(crate) inputs: usize,
    pub(crate) weights: *const f32,
    /// Between blocks of output channels.
    pub(crate) weight_block: usize,
    /// For each patch `N` vectors.
    pub(crate) output: *mut f32,
    pub(crate) patches: usize,
}

pub(crate) type ProductFn = unsafe fn(&Product);

/// The product for `N` blocks of output channels, `P` patches at a time and then `Q`, which divides eight.
///
/// # Safety
/// `input` is valid for all blocks, `weights` for `N` blocks of `inputs` vectors, `output` for `N · patches` vectors.
#[inline(always)]
pub(crate) unsafe fn product<V: Vector, const P: usize, const Q: usize, const N: usize>(
    p: &Product,
) {
    let mut patch = 0;
    while patch + P <= p.patches {
        product_tile::<V, P, N>(p, patch);
        patch += P;
    }
    while patch + Q <= p.patches {
        product_tile::<V, Q, N>(p, patch);
        patch += Q;
    }
}

#[inline(always)]
unsafe fn product_tile<V: Vector, const P: usize, const N: usize>(p: &Product, patch: usize) {
    let mut sums = [[V::zero(); P]; N];
    let mut weights = p.weights;
    let mut done = 0;
    let mut block = p.input.add(patch * LANES);
    while done < p.inputs {
        let channels = (p.inputs - done).min(LANES);
        for c in 0..channels {
            let mut w = [V::zero(); N];
            for n in 0..N {
                w[n] = V::load(weights.add(n * p.weight_block));
            }
            for i in 0..P {
                let x = V::splat(*block.add(i * LANES + c));
                for n in 0..N {
                    sums[n][i] = x.mul_add(w[n], sums[n][i]);
                }
            }
            weights = weights.add(LANES);
        }
        done += channels;
        block = block.add(p.input_block);
    }
    for n in 0..N {
        for i in 0..P {
            sums[n][i].store(p.output.add(((patch + i) * N + n) * LANES));
        }
    }
}

/// The transform of products to outputs, for one block of output channels.
pub(crate) struct Outputs<'a> {
    pub(crate) from: *const f32,
    /// Between places of `from`.
    pub(crate) place: usize,
    /// Between patches of `from`.
    pub(crate) patch: usize,
    pub(crate) spots: &'a [Spot],
    pub(crate) to: *mut f32,
    /// Between rows and pixels of `to`.
    pub(crate) row: usize,
    pub(crate) pixel: usize,
    /// How many channels of the block exist.
    pub(crate) channels: usize,
    pub(crate) finish: Finish,
}

pub(crate) type OutputsFn = unsafe fn(&Outputs<'_>);

/// `Aᵀ m A`, then what is to be done to the sums.
///
/// # Safety
/// `from` is valid for reads of all places and spots; `to`, and `addend`, for the pixels and channels that exist.
#[inline(always)]
pub(crate) unsafe fn transform_output<V: Vector>(t: &Outputs<'_>) {
    let shift = match t.finish.shift.is_null() {
        true => V::zero(),
        false => V::load(t.finish.shift),
    };
    for (index, spot) in t.spots.iter().enumerate() {
        let from = t.from.add(index * t.patch);
        let mut rows = [[V::zero(); 4]; 2];
        for x in 0..4 {
            let m0 = V::load(from.add(x * t.place));
            let m1 = V::load(from.add((4 + x) * t.place));
            let m2 = V::load(from.add((8 + x) * t.place));
            let m3 = V::load(from.add((12 + x) * t.place));
            rows[0][x] = m0.add(m1).add(m2);
            rows[1][x] = m1.sub(m2).sub(m3);
        }
        for y in 0..2 {
            let [m0, m1, m2, m3] = rows[y];
            let pixels = [m0.add(m1).add(m2), m1.sub(m2).sub(m3)];
            for x in 0..2 {
                if y < usize::from(spot.rows) && x < usize::from(spot.columns) {
                    let at = spot.output + y * t.row + x * t.pixel;
                    t.finish.store(pixels[x].add(shift), t.to, at, t.channels);
                }
            }
        }
    }
}

/// The convolution of a band, or of the gradient of one.
pub(crate) struct Pass<'a> {
    pub(crate) kernels: &'a Kernels,
    /// Blocks of channels, padded, as [`super::fill`] leaves them.
    pub(crate) scratch: *const f32,
    pub(crate) scratch_block: usize,
    pub(crate) scratch_row: usize,
    pub(crate) spots: &'a [Spot],
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) weights: *const f32,
    pub(crate) output: *mut f32,
    pub(crate) output_row: usize,
    pub(crate) output_pixel: usize,
    pub(crate) finish: Finish,
}

impl Pass<'_> {
    /// # Safety
    /// Every spot's patch lies in the scratch, its pixels in `output` and `addend`; `weights` and `shift` hold all blocks.
    pub(crate) unsafe fn run(&self) {
        let most =
            (HELD / (PLACES * blocks(self.inputs) * LANES)).clamp(GROUP, MOST) / GROUP * GROUP;
        let patches = most.min(self.spots.len().next_multiple_of(GROUP));
        let place = patches * LANES;
        let pair = self.kernels.tile_blocks;
        let input_place = blocks(self.inputs) * place + APART;
        let product_place = pair * place + APART;
        let mut transformed = Buffer::new(PLACES * input_place);
        let mut products = Buffer::new(PLACES * product_place);
        for spots in self.spots.chunks(patches) {
            for block in 0..blocks(self.inputs) {
                (self.kernels.transform_input)(&Transform {
                    from: self.scratch.add(block * self.scratch_block),
                    row: self.scratch_row,
                    spots,
                    to: transformed.as_mut_ptr().add(block * place),
                    place: input_place,
                });
            }
            let mut block = 0;
            while block < blocks(self.outputs) {
                let n = pair.min(blocks(self.outputs) - block);
                for k in 0..PLACES {
                    let weights = (k * blocks(self.outputs) + block) * self.inputs * LANES;
                    (self.kernels.products[n - 1])(&Product {
                        input: transformed.as_ptr().add(k * input_place),
                        input_block: place,
                        inputs: self.inputs,
                        weights: self.weights.add(weights),
                        weight_block: self.inputs * LANES,
                        output: products.as_mut_ptr().add(k * product_place),
                        patches: spots.len().next_multiple_of(GROUP),
                    });
                }
                for i in 0..n {
                    let at = (block + i) * LANES;
                    let shifted = |p: *const f32| if p.is_null() { p } else { p.add(at) };
                    (self.kernels.transform_output)(&Outputs {
                        from: products.as_ptr().add(i * LANES),
                        place: product_place,
                        patch: n * LANES,
                        spots,
                        to: self.output.add(at),
                        row: self.output_row,
                        pixel: self.output_pixel,
                        channels: block_channels(self.outputs, block + i),
                        finish: Finish {
                            shift: shifted(self.finish.shift),
                            addend: shifted(self.finish.addend),
                            relu: self.finish.relu,
                        },
                    });
                }
                block += n;
            }
        }
    }
}

/// The gradient of the weights over a band.
pub(crate) struct WeightPass<'a> {
    pub(crate) kernels: &'a Kernels,
    pub(crate) input: *const f32,
    pub(crate) input_block: usize,
    pub(crate) input_row: usize,
    pub(crate) input_spots: &'a [Spot],
    pub(crate) inputs: usize,
    pub(crate) gradient: *const f32,
    pub(crate) gradient_block: usize,
    pub(crate) gradient_row: usize,
    /// Whose `input` is the place of the 2×2 patch of the gradient.
    pub(crate) gradient_spots: &'a [Spot],
    pub(crate) outputs: usize,
    /// As [`gradient_floats`] says; added to.
    pub(crate) sum: *mut f32,
}

impl WeightPass<'_> {
    /// # Safety
    /// Every spot's patch lies in its scratch; `sum` holds all blocks.
    pub(crate) unsafe fn run(&self) {
        let all = blocks(self.inputs) + blocks(self.outputs);
        let most = (2 * HELD / (PLACES * all * LANES)).clamp(GROUP, 2 * MOST);
        let patches = most.min(self.input_spots.len());
        let place = patches * LANES;
        let input_place = blocks(self.inputs) * place + APART;
        let gradient_place = blocks(self.outputs) * place + APART;
        let mut inputs = Buffer::new(PLACES * input_place);
        let mut gradients = Buffer::new(PLACES * gradient_place);
        let chunks = self
            .input_spots
            .chunks(patches)
            .zip(self.gradient_spots.chunks(patches));
        for (input_spots, gradient_spots) in chunks {
            for block in 0..blocks(self.inputs) {
                (self.kernels.transform_input)(&Transform {
                    from: self.input.add(block * self.input_block),
                    row: self.input_row,
                    spots: input_spots,
                    to: inputs.as_mut_ptr().add(block * place),
                    place: input_place,
                });
            }
            for block in 0..blocks(self.outputs) {
                (self.kernels.transform_gradient)(&Transform {
                    from: self.gradient.add(block * self.gradient_block),
                    row: self.gradient_row,
                    spots: gradient_spots,
                    to: gradients.as_mut_ptr().add(block * place),
                    place: gradient_place,
                });
            }
            let output_block = blocks(self.inputs) * PLACES * LANES * LANES;
            let rows = [0];
            for k in 0..PLACES {
                let mut block = 0;
                while block < blocks(self.outputs) {
                    let n = self.kernels.tile_blocks.min(blocks(self.outputs) - block);
                    for c in 0..blocks(self.inputs) {
                        let lanes = block_channels(self.inputs, c);
                        let (function, takes) = self.kernels.weight_tile(n, lanes);
                        for first in (0..lanes).step_by(takes) {
                            let at =
                                block * output_block + ((c * PLACES + k) * LANES + first) * LANES;
                            function(&WeightTile {
                                input: inputs.as_ptr().add(k * input_place + c * place + first),
                                input_rows: rows.as_ptr(),
                                gradient: gradients
                                    .as_ptr()
                                    .add(k * gradient_place + block * place),
                                gradient_rows: rows.as_ptr(),
                                gradient_block: place,
                                rows: 1,
                                width: input_spots.len(),
                                output: self.sum.add(at),
                                output_block,
                                tap: 0,
                            });
                        }
                    }
                    block += n;
                }
            }
        }
    }
}
