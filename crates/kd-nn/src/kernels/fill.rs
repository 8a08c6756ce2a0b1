//! Copies a part of an activation into a padded, blocked scratch buffer: for each image, for each block of sixteen channels, rows
//! of pixels of sixteen floats. Columns are split by their remainder modulo the horizontal stride, so that the pixels which one tap
//! meets are always neighbours. What lies outside the activation, and channels that do not exist, are 0.

use super::batch_norm::{Scaling, padded};
use super::vector::{LANES, Vector};

/// A scratch buffer's shape, in floats, and the part of an activation that it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patch {
    /// Rows of each image, from `top` of the activation (negative: padding).
    pub(crate) rows: usize,
    pub(crate) top: isize,
    /// Column 0 of phase 0 is column `left` of the activation (negative: padding).
    pub(crate) left: isize,
    /// Columns in each phase.
    pub(crate) columns: usize,
    pub(crate) phases: usize,
    pub(crate) blocks: usize,
    /// Rows and columns of the activation from one row and column to the next: more than 1 where no tap meets those between.
    pub(crate) steps: [usize; 2],
}

impl Patch {
    pub(crate) fn phase(&self) -> usize {
        self.columns * LANES
    }
    pub(crate) fn row(&self) -> usize {
        self.phase() * self.phases
    }
    pub(crate) fn block(&self) -> usize {
        self.row() * self.rows
    }
    pub(crate) fn image(&self) -> usize {
        self.block() * self.blocks
    }
}

/// An activation, pixels of `channels` floats, and the channels of it that are wanted.
#[derive(Clone, Copy)]
pub(crate) struct Plane {
    pub(crate) data: *const f32,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Between pixels.
    pub(crate) pixel: usize,
    pub(crate) first_channel: usize,
    pub(crate) channels: usize,
}

/// What happens to the numbers on their way into the scratch.
#[derive(Clone, Copy)]
pub(crate) enum Transform<'a> {
    None,
    /// `scale · x + shift`, then ReLU if asked: batch norm that was put off until somebody needs its output.
    Affine(&'a Scaling, bool),
    /// The gradient of a batch norm's input from that of its output.
    Gradient(&'a NormGradient<'a>),
}

impl Transform<'_> {
    /// That everything is there which an activation of `len` numbers and `channels` channels asks for.
    pub(super) fn check(&self, len: usize, channels: usize) {
        let vectors = |all: &[&[f32]]| all.iter().all(|one| one.len() >= padded(channels));
        match self {
            Self::None => {}
            Self::Affine(scaling, _) => assert!(vectors(&[&scaling.scale, &scaling.shift])),
            Self::Gradient(norm) => {
                assert!(vectors(&[norm.mean, norm.scale, norm.slope, norm.shift]));
                assert_eq!(norm.input.len(), len);
                match norm.gate {
                    Gate::Open => {}
                    Gate::Output(output) => assert_eq!(output.len(), len),
                    Gate::Again(scaling) => assert!(vectors(&[&scaling.scale, &scaling.shift])),
                }
            }
        }
    }
}

/// How batch norm and ReLU turn the gradient of their output into the gradient of their input:
/// `scale · g + slope · (y - mean) + shift`, where `g` is the gradient where the gate is open.
#[derive(Clone, Copy)]
pub(crate) struct NormGradient<'a> {
    /// Batch norm's input, laid out as the gradient.
    pub(crate) input: &'a [f32],
    pub(crate) gate: Gate<'a>,
    /// One number a channel, padded to whole blocks; as all that follow.
    pub(crate) mean: &'a [f32],
    pub(crate) scale: &'a [f32],
    pub(crate) slope: &'a [f32],
    pub(crate) shift: &'a [f32],
}

/// Where ReLU let a number pass.
#[derive(Clone, Copy)]
pub(crate) enum Gate<'a> {
    /// Everywhere: there is no ReLU.
    Open,
    /// Where its output is positive or NaN, laid out as the gradient.
    Output(&'a [f32]),
    /// Where batch norm of the input, computed again as the forward pass computed it, is positive or NaN.
    Again(&'a Scaling),
}

impl Gate<'_> {
    /// The part of `g` that passes: `channels` channels from `channel`, `at` floats into the activation, where batch norm's input is `y`.
    #[inline(always)]
    pub(super) unsafe fn pass<V: Vector>(
        &self,
        g: V,
        y: V,
        at: usize,
        channel: usize,
        channels: usize,
    ) -> V {
        match self {
            Self::Open => g,
            Self::Output(output) => {
                g.where_positive(V::load_first(output.as_ptr().add(at), channels))
            }
            Self::Again(scaling) => g.where_positive(scaling.at(y, channel)),
        }
    }
}

impl Scaling {
    /// `scale · x + shift` for sixteen channels from `channel`.
    #[inline(always)]
    pub(super) unsafe fn at<V: Vector>(&self, x: V, channel: usize) -> V {
        x.mul_add(
            V::load(self.scale.as_ptr().add(channel)),
            V::load(self.shift.as_ptr().add(channel)),
        )
    }
}

impl NormGradient<'_> {
    /// The gradient of the input where that of the output is `g`: `channels` channels from `channel`, `at` floats into the activation.
    #[inline(always)]
    pub(super) unsafe fn apply<V: Vector>(
        &self,
        g: V,
        at: usize,
        channel: usize,
        channels: usize,
    ) -> V {
        let y = V::load_first(self.input.as_ptr().add(at), channels);
        let g = self.gate.pass(g, y, at, channel, channels);
        let centred = y.sub(V::load(self.mean.as_ptr().add(channel)));
        let slope = V::load(self.slope.as_ptr().add(channel));
        let rest = centred.mul_add(slope, V::load(self.shift.as_ptr().add(channel)));
        g.mul_add(V::load(self.scale.as_ptr().add(channel)), rest)
    }
}

pub(crate) type FillFn = unsafe fn(&Patch, *mut f32, &Plane, usize, &Transform<'_>);

/// Fills one image's part of the scratch at `to` from image `image`.
///
/// # Safety
/// `to` is valid for writes of `patch.image()` floats, `plane.data` (and what the transform holds) for reads of every image up to and
/// including `image`.
#[inline(always)]
pub(crate) unsafe fn fill<V: Vector>(
    patch: &Patch,
    to: *mut f32,
    plane: &Plane,
    image: usize,
    transform: &Transform<'_>,
) {
    match transform {
        Transform::None => fill_with::<V>(patch, to, plane, image, |at, _, channels| {
            load(plane.data.add(at), channels)
        }),
        Transform::Affine(scaling, relu) => {
            fill_with::<V>(patch, to, plane, image, |at, channel, channels| {
                let x: V = load(plane.data.add(at), channels);
                let x = scaling.at(x, channel);
                if *relu { x.relu() } else { x }
            });
        }
        Transform::Gradient(norm) => {
            fill_with::<V>(patch, to, plane, image, |at, channel, channels| {
                let g: V = load(plane.data.add(at), channels);
                norm.apply(g, at, channel, channels)
            })
        }
    }
}

#[inline(always)]
unsafe fn load<V: Vector>(from: *const f32, channels: usize) -> V {
    match channels {
        LANES => V::load(from),
        _ => V::load_first(from, channels),
    }
}

/// `vector(offset, channel, channels)` gives the sixteen numbers of a pixel.
#[inline(always)]
unsafe fn fill_with<V: Vector>(
    patch: &Patch,
    to: *mut f32,
    plane: &Plane,
    image: usize,
    vector: impl Fn(usize, usize, usize) -> V,
) {
    // All blocks of a row before the next, so that memory is read in its order.
    for row in 0..patch.rows {
        let y = patch.top + (row * patch.steps[0]) as isize;
        let outside = y < 0 || y >= plane.height as isize;
        for phase in 0..patch.phases {
            let line = to.add(row * patch.row() + phase * patch.phase());
            // Column `i` of this phase is column `left + (i · phases + phase) · step` of the activation.
            let first = patch.left + (phase * patch.steps[1]) as isize;
            let step = (patch.phases * patch.steps[1]) as isize;
            let columns = patch.columns as isize;
            let begin = (-first).max(0).div_ceil_signed(step).min(columns);
            let end = match outside {
                true => begin,
                false => (plane.width as isize - first)
                    .max(0)
                    .div_ceil_signed(step)
                    .clamp(begin, columns),
            };
            for block in 0..patch.blocks {
                let line = line.add(block * patch.block());
                let channels = (plane.channels - block * LANES).min(LANES);
                let channel = plane.first_channel + block * LANES;
                let from = (image * plane.height + y.max(0) as usize) * plane.width * plane.pixel
                    + channel;
                for i in 0..begin {
                    V::zero().store(line.add(i as usize * LANES));
                }
                for i in begin..end {
                    let x = (first + i * step) as usize;
                    let value = vector(from + x * plane.pixel, channel, channels);
                    value.store(line.add(i as usize * LANES));
                }
                for i in end..columns {
                    V::zero().store(line.add(i as usize * LANES));
                }
            }
        }
    }
}

trait CeilingDivision {
    fn div_ceil_signed(self, by: Self) -> Self;
}

impl CeilingDivision for isize {
    /// For a dividend that is not negative.
    #[inline(always)]
    fn div_ceil_signed(self, by: Self) -> Self {
        (self + by - 1) / by
    }
}
