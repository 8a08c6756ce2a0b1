//! The transforms of patches, and the products between them.

use super::Spot;
use crate::kernels::tile::Finish;
use crate::kernels::vector::{LANES, Vector};

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
