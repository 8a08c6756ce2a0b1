//! Batch norm's passes over an activation: pixels of `channels` floats, one after the other.

use std::ops::Range;

use super::fill::{Gate, NormGradient};
use super::geometry::{block_channels, blocks};
use super::vector::{LANES, Vector};

/// Pixels whose rows of a block are held in the first-level cache while several sums are taken.
const STRIP: usize = 64;

pub(crate) type MomentsFn = unsafe fn(*const f32, usize, usize, *mut f32, *mut f32);

/// Mean over `pixels`, and sum of squared differences from it, of every channel.
///
/// # Safety
/// `data` is valid for reads of `pixels · channels` floats, `mean` and `squares` for writes of whole blocks of `channels`.
#[inline(always)]
pub(crate) unsafe fn moments<V: Vector>(
    data: *const f32,
    pixels: usize,
    channels: usize,
    mean: *mut f32,
    squares: *mut f32,
) {
    for block in 0..blocks(channels) {
        let (first, lanes) = (block * LANES, block_channels(channels, block));
        let data = data.add(first);
        let [sum, _] = sums_over(data, pixels, channels, lanes, V::zero());
        let centre = sum.mul(V::splat(1.0 / pixels as f32));
        // The centre is the mean but for rounding; what is left of the sum of differences takes that out of both.
        let [rest, spread] = sums_over(data, pixels, channels, lanes, centre);
        let rest_mean = rest.mul(V::splat(1.0 / pixels as f32));
        centre.add(rest_mean).store(mean.add(first));
        spread.sub(rest.mul(rest_mean)).store(squares.add(first));
    }
}

/// Σ of `x - centre` and of its square over pixels, in four sums by the pixel's place.
#[inline(always)]
unsafe fn sums_over<V: Vector>(
    data: *const f32,
    pixels: usize,
    channels: usize,
    lanes: usize,
    centre: V,
) -> [V; 2] {
    let mut sums = [V::zero(); 4];
    let mut squares = [V::zero(); 4];
    let mut p = 0;
    if lanes == LANES {
        while p + 4 <= pixels {
            for i in 0..4 {
                let x = V::load(data.add((p + i) * channels)).sub(centre);
                sums[i] = sums[i].add(x);
                squares[i] = x.mul_add(x, squares[i]);
            }
            p += 4;
        }
    }
    while p < pixels {
        // The lanes that stand for no channel are never looked at.
        let x = V::load_first(data.add(p * channels), lanes).sub(centre);
        sums[0] = sums[0].add(x);
        squares[0] = x.mul_add(x, squares[0]);
        p += 1;
    }
    [
        sums[0].add(sums[1]).add(sums[2].add(sums[3])),
        squares[0].add(squares[1]).add(squares[2].add(squares[3])),
    ]
}

/// `scale · x + shift (+ addend)`, then ReLU if asked.
#[derive(Clone, Copy)]
pub(crate) struct Affine {
    /// One number a channel, padded to whole blocks.
    pub(crate) scale: *const f32,
    pub(crate) shift: *const f32,
    /// Laid out as the input, or null.
    pub(crate) addend: *const f32,
    pub(crate) relu: bool,
}

pub(crate) type AffineFn = unsafe fn(&Affine, *const f32, *mut f32, usize, usize);

/// Applies `affine` to `pixels` pixels of `channels`; `to` may be `from`.
///
/// # Safety
/// `from` and `addend` are valid for reads, `to` for writes of `pixels · channels` floats.
#[inline(always)]
pub(crate) unsafe fn affine<V: Vector>(
    affine: &Affine,
    from: *const f32,
    to: *mut f32,
    pixels: usize,
    channels: usize,
) {
    let value = |x: V, addend: V, channel: usize| {
        let x = x.mul_add(
            V::load(affine.scale.add(channel)),
            V::load(affine.shift.add(channel)).add(addend),
        );
        if affine.relu { x.relu() } else { x }
    };
    let whole = channels / LANES * LANES;
    for p in 0..pixels {
        let at = p * channels;
        let mut c = 0;
        while c < whole {
            let addend = match affine.addend.is_null() {
                true => V::zero(),
                false => V::load(affine.addend.add(at + c)),
            };
            value(V::load(from.add(at + c)), addend, c).store(to.add(at + c));
            c += LANES;
        }
        if c < channels {
            let lanes = channels - c;
            let addend = match affine.addend.is_null() {
                true => V::zero(),
                false => V::load_first(affine.addend.add(at + c), lanes),
            };
            value(V::load_first(from.add(at + c), lanes), addend, c)
                .store_first(to.add(at + c), lanes);
        }
    }
}

/// What [`gradient_sums`] reads and writes. All activations are laid out as the gradient.
#[derive(Clone, Copy)]
pub(crate) struct GradientSums<'a> {
    pub(crate) gradient: *const f32,
    /// Batch norm's input.
    pub(crate) input: *const f32,
    pub(crate) gate: Gate<'a>,
    /// Where the gradient behind the ReLU goes, or null.
    pub(crate) gated: *mut f32,
    /// One number a channel, padded to whole blocks.
    pub(crate) mean: *const f32,
}

pub(crate) type GradientSumsFn =
    unsafe fn(&GradientSums<'_>, Range<usize>, usize, *mut f32, *mut f32);

/// For every channel Σ g and Σ g · (x - mean) over `pixels`, where g is the gradient where the gate is open.
///
/// # Safety
/// Every pointer is valid for `pixels.end · channels` floats, `sums` and `products` for writes of whole blocks of `channels`.
#[inline(always)]
pub(crate) unsafe fn gradient_sums<V: Vector>(
    s: &GradientSums<'_>,
    pixels: Range<usize>,
    channels: usize,
    sums: *mut f32,
    products: *mut f32,
) {
    for block in 0..blocks(channels) {
        V::zero().store(sums.add(block * LANES));
        V::zero().store(products.add(block * LANES));
    }
    let mut begin = pixels.start;
    while begin < pixels.end {
        let end = (begin + STRIP).min(pixels.end);
        for block in 0..blocks(channels) {
            let (first, lanes) = (block * LANES, block_channels(channels, block));
            let mean = V::load(s.mean.add(first));
            let mut sum = [V::zero(); 4];
            let mut product = [V::zero(); 4];
            let mut p = begin;
            // Four chains of sums, so that none waits for the one before it.
            while p + 4 <= end {
                for i in 0..4 {
                    let at = (p + i) * channels + first;
                    let (g, y) = s.pixel::<V>(at, first, lanes);
                    sum[i] = sum[i].add(g);
                    product[i] = g.mul_add(y.sub(mean), product[i]);
                }
                p += 4;
            }
            while p < end {
                let (g, y) = s.pixel::<V>(p * channels + first, first, lanes);
                sum[0] = sum[0].add(g);
                product[0] = g.mul_add(y.sub(mean), product[0]);
                p += 1;
            }
            let sum = sum[0].add(sum[1]).add(sum[2].add(sum[3]));
            let product = product[0].add(product[1]).add(product[2].add(product[3]));
            V::load(sums.add(first)).add(sum).store(sums.add(first));
            V::load(products.add(first))
                .add(product)
                .store(products.add(first));
        }
        begin = end;
    }
}

impl GradientSums<'_> {
    /// The gradient behind the gate, and batch norm's input, of `lanes` channels from `channel`, `at` floats into the activation.
    #[inline(always)]
    unsafe fn pixel<V: Vector>(&self, at: usize, channel: usize, lanes: usize) -> (V, V) {
        let y = V::load_first(self.input.add(at), lanes);
        let g = V::load_first(self.gradient.add(at), lanes);
        let g = self.gate.pass(g, y, at, channel, lanes);
        if !self.gated.is_null() {
            g.store_first(self.gated.add(at), lanes);
        }
        (g, y)
    }
}

pub(crate) type InputGradientFn =
    unsafe fn(&NormGradient<'_>, *const f32, *mut f32, Range<usize>, usize);

/// The gradient of batch norm's input for `pixels`.
///
/// # Safety
/// `gradient`, `to` and what `norm` holds are valid for `pixels.end · channels` floats.
#[inline(always)]
pub(crate) unsafe fn input_gradient<V: Vector>(
    norm: &NormGradient<'_>,
    gradient: *const f32,
    to: *mut f32,
    pixels: Range<usize>,
    channels: usize,
) {
    for p in pixels {
        for block in 0..blocks(channels) {
            let (channel, lanes) = (block * LANES, block_channels(channels, block));
            let at = p * channels + channel;
            let g = V::load_first(gradient.add(at), lanes);
            norm.apply(g, at, channel, lanes)
                .store_first(to.add(at), lanes);
        }
    }
}
