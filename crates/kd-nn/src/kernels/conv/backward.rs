use std::ops::Range;

use rayon::prelude::*;

use super::Shared;
use super::bands::{Band, OUTPUT, bands, groups, plane};
use crate::kernels::buffer::Buffer;
use crate::kernels::fill::{Patch, Transform};
use crate::kernels::geometry::{Geometry, blocks};
use crate::kernels::isa::Kernels;
use crate::kernels::pack::{self, Class};
use crate::kernels::vector::LANES;
use crate::kernels::winograd;

/// Parts in which the weights' gradient is computed: sums over parts of the batch, which are then added in order, or, for weights of
/// more than [`LARGE`] floats, parts of the output channels.
const PARTS: usize = 16;
const LARGE: usize = 256 << 10;

/// Both gradients of a convolution in one pass over the output's gradient.
pub(crate) struct Backward<'a> {
    pub(crate) kernels: &'a Kernels,
    pub(crate) geometry: Geometry,
    /// The gradient of the output, or of what batch norm and ReLU made of it.
    pub(crate) gradient: &'a [f32],
    /// Of the gradient, on its way in.
    pub(crate) transform: Transform<'a>,
    /// The weights, if the input's gradient is wanted.
    pub(crate) weights: Option<&'a [f32]>,
    /// The convolution's input, if the weights' gradient is wanted.
    pub(crate) input: Option<&'a [f32]>,
    /// Of the input, on its way in.
    pub(crate) input_transform: Transform<'a>,
    /// Added to the input's gradient; laid out as the input.
    pub(crate) addend: Option<&'a [f32]>,
}

/// What a task of [`Backward`] needs that is the same for all.
pub(super) struct Plan<'a> {
    pub(super) classes: &'a [Class],
    pub(super) packed: Option<&'a Buffer>,
    pub(super) input_gradient: *mut f32,
}

impl Backward<'_> {
    /// Writes the gradients that are wanted. `weights` is `[output, input / groups, height, width]`. If that of the input is,
    /// `then(gradient, pixels)` is called when those pixels of it are
    /// done, and may change them, in the thread that has them in its cache.
    pub(crate) fn run<T: Send>(
        &self,
        input: Option<&mut [f32]>,
        weights: Option<&mut [f32]>,
        then: impl Fn(*mut f32, Range<usize>) -> T + Sync,
    ) -> Vec<T> {
        let g = &self.geometry;
        assert_eq!(
            self.gradient.len(),
            g.batch * g.output_pixels() * g.channels[1]
        );
        self.transform.check(self.gradient.len(), g.channels[1]);
        let inputs = g.batch * g.input_pixels() * g.channels[0];
        assert!(self.input.is_none_or(|x| x.len() == inputs));
        self.input_transform.check(inputs, g.channels[0]);
        assert!(self.addend.is_none_or(|x| x.len() == inputs));
        assert!(input.as_ref().is_none_or(|x| x.len() == inputs));
        assert_eq!(input.is_some(), self.weights.is_some());
        assert_eq!(weights.is_some(), self.input.is_some());
        let classes = pack::classes(g);
        let packed = self
            .weights
            .map(|weights| pack::backward(g, &classes, weights));
        let plan = Shared(Plan {
            classes: &classes,
            packed: packed.as_ref(),
            input_gradient: input.map_or(core::ptr::null_mut(), |input| input.as_mut_ptr()),
        });
        let plan = &plan;
        let size = pack::gradient_floats(g) * groups(g);
        let by_outputs = size > LARGE && g.groups == 1;
        let summing = self.input.is_some() && !by_outputs;
        let bands = bands(g);
        let each = bands.len().div_ceil(PARTS);
        let done: Vec<(Option<Buffer>, Vec<T>)> = bands
            .par_chunks(each)
            .map(|bands| {
                let mut sum = summing.then(|| {
                    let mut sum = Buffer::new(size);
                    sum.as_mut_slice()[..size].fill(0.0);
                    sum
                });
                let mut results = Vec::new();
                for band in bands {
                    if !summing && plan.0.packed.is_none() {
                        break;
                    }
                    // SAFETY: the lengths were checked above; bands share no pixel of the input's gradient, and every part has a
                    // sum of its own.
                    unsafe { self.band(band, &plan.0, sum.as_mut()) };
                    if !plan.0.input_gradient.is_null() {
                        results.push(then(plan.0.input_gradient, self.input_pixels(band)));
                    }
                }
                (sum, results)
            })
            .collect();
        let (sums, results): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        if let Some(weights) = weights {
            assert_eq!(
                weights.len(),
                g.channels[1] * g.group_channels()[0] * g.taps()
            );
            let mut sums: Vec<Buffer> = sums.into_iter().flatten().collect();
            if by_outputs {
                sums.push(self.by_outputs(&bands, &classes));
            }
            pack::unpack_gradient(g, &sums, weights);
        }
        results.into_iter().flatten().collect()
    }

    /// The weights' gradient over all bands, by blocks of output channels: no part of it is summed twice.
    fn by_outputs(&self, bands: &[Band], classes: &[Class]) -> Buffer {
        let g = &self.geometry;
        let all = blocks(g.channels[1]);
        let size = pack::gradient_floats(g);
        let mut sum = Buffer::new(size);
        let share = all.div_ceil(PARTS).next_multiple_of(2);
        sum.as_mut_slice()[..size]
            .par_chunks_mut(size / all * share)
            .enumerate()
            .for_each(|(index, sum)| {
                sum.fill(0.0);
                let first = index * share * LANES;
                let channels = first..(first + share * LANES).min(g.channels[1]);
                for band in bands {
                    // SAFETY: the lengths were checked by `run`; the sum is that of these channels.
                    unsafe { self.weight_band(band, channels.clone(), classes, sum.as_mut_ptr()) };
                }
            });
        sum
    }

    /// Adds a band's part of the gradient of the weights of some output channels to `sum`.
    unsafe fn weight_band(
        &self,
        band: &Band,
        channels: Range<usize>,
        classes: &[Class],
        sum: *mut f32,
    ) {
        let g = &self.geometry;
        let mut patch = self.gradient_patch(band, classes);
        patch.blocks = blocks(channels.len());
        let mut plane = plane(g, OUTPUT, self.gradient.as_ptr(), 0);
        plane.first_channel = channels.start;
        plane.channels = channels.len();
        let mut scratch = Buffer::new(patch.image() * band.images.len());
        for (i, image) in band.images.clone().enumerate() {
            let to = scratch.as_mut_ptr().add(i * patch.image());
            (self.kernels.fill)(&patch, to, &plane, image, &self.transform);
        }
        self.weight_gradient(band, 0, channels.len(), &patch, &scratch, sum);
    }

    /// The pixels of the input whose gradient belongs to a band.
    fn input_pixels(&self, band: &Band) -> Range<usize> {
        let [height, width] = self.geometry.input;
        let rows = self.input_rows(band);
        let first = band.images.start * height + rows.start;
        let count = match rows.len() == height {
            true => band.images.len() * height,
            false => rows.len(),
        };
        first * width..(first + count) * width
    }

    /// The input rows whose gradient belongs to a band of output rows.
    pub(super) fn input_rows(&self, band: &Band) -> Range<usize> {
        let g = &self.geometry;
        let end = match band.rows.end == g.output[0] {
            true => g.input[0],
            false => (band.rows.end * g.stride[0]).min(g.input[0]),
        };
        (band.rows.start * g.stride[0]).min(end)..end
    }

    /// The scratch that holds the output's gradient for a band: its own rows, and those which its input rows need.
    fn gradient_patch(&self, band: &Band, classes: &[Class]) -> Patch {
        let g = &self.geometry;
        let rows = self.input_rows(band);
        let mut low = [band.rows.start as isize, 0];
        let mut high = [band.rows.end as isize, g.output[1] as isize];
        if winograd::applies(g) {
            // Patches of 2×2 pixels of the output, and of 4×4 around every 2×2 of the input.
            let even = |size: usize| size.next_multiple_of(2) as isize;
            high = [low[0] + even(band.rows.len()), even(g.output[1])];
            for (axis, (first, size)) in [(rows.start, rows.len()), (0, g.input[1])]
                .into_iter()
                .enumerate()
            {
                let begin = first as isize + g.padding[axis] as isize - 2;
                low[axis] = low[axis].min(begin);
                high[axis] = high[axis].max(begin + even(size) + 2);
            }
        } else if self.weights.is_some() {
            for class in classes {
                let [top, bottom] = class_lines(rows.clone(), class.remainder[0], g.stride[0]);
                let [left, right] = class_lines(0..g.input[1], class.remainder[1], g.stride[1]);
                for &(_, [y, x]) in &class.taps {
                    if top < bottom && left < right {
                        low = [low[0].min(top + y), low[1].min(left + x)];
                        high = [high[0].max(bottom + y), high[1].max(right + x)];
                    }
                }
            }
        }
        Patch {
            rows: (high[0] - low[0]) as usize,
            top: low[0],
            left: low[1],
            columns: (high[1] - low[1]) as usize,
            phases: 1,
            steps: [1, 1],
            blocks: match g.depthwise() {
                true => blocks(g.channels[1]),
                false => blocks(g.group_channels()[1]),
            },
        }
    }

    unsafe fn band(&self, band: &Band, plan: &Plan<'_>, sum: Option<&mut Buffer>) {
        let g = &self.geometry;
        let patch = self.gradient_patch(band, plan.classes);
        let mut scratch = Buffer::new(patch.image() * band.images.len());
        let mut sum = sum.map(|sum| sum.as_mut_ptr());
        for group in 0..groups(g) {
            let plane = plane(g, OUTPUT, self.gradient.as_ptr(), group);
            for (i, image) in band.images.clone().enumerate() {
                let to = scratch.as_mut_ptr().add(i * patch.image());
                (self.kernels.fill)(&patch, to, &plane, image, &self.transform);
            }
            if let Some(packed) = plan.packed {
                self.input_gradient(band, group, &patch, &scratch, plan, packed);
            }
            if let Some(sum) = &mut sum {
                let outputs = g.group_channels()[1];
                self.weight_gradient(band, group, outputs, &patch, &scratch, *sum);
                *sum = sum.add(pack::gradient_floats(g));
            }
        }
    }
}

/// From the first to behind the last quotient of the lines in `lines` that leave `remainder` modulo `stride`.
pub(super) fn class_lines(lines: Range<usize>, remainder: usize, stride: usize) -> [isize; 2] {
    let quotient = |end: usize| end.saturating_sub(remainder).div_ceil(stride) as isize;
    [quotient(lines.start), quotient(lines.end)]
}
