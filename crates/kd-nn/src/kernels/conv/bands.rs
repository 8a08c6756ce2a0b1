//! How the work is cut: by the sizes alone.

use std::ops::Range;

use crate::kernels::fill::{Patch, Plane};
use crate::kernels::geometry::{Geometry, blocks};
use crate::kernels::winograd;

/// A scratch buffer's size, in floats: 320 KB, a third of the second-level cache of the machines of today.
pub(crate) const SCRATCH: usize = 80 << 10;

/// Small images are taken together up to this size: 64 KB.
pub(crate) const TOGETHER: usize = 16 << 10;

/// Weights beyond which they are not expected to stay in the second-level cache: 512 KB.
const MANY: usize = 128 << 10;

/// Bands into which a batch is cut at least, if it has as many images.
const BANDS: usize = 32;

/// Some rows of the output of some images: whole images, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    pub(crate) images: Range<usize>,
    pub(crate) rows: Range<usize>,
}

impl Band {
    /// The band's output pixels, which lie together.
    pub(crate) fn pixels(&self, g: &Geometry) -> Range<usize> {
        let first = self.images.start * g.output[0] + self.rows.start;
        let rows = self.images.len() * self.rows.len();
        first * g.output[1]..(first + rows) * g.output[1]
    }
}

/// The rows of scratch that `rows` rows of output need.
pub(super) fn reach(g: &Geometry, rows: usize) -> usize {
    (rows - 1) * g.scratch_stride(0) + (g.kernel[0] - 1) * g.dilation[0] + 1
}

/// Cuts the output into bands, by the sizes alone.
pub(crate) fn bands(g: &Geometry) -> Vec<Band> {
    let height = g.output[0];
    let row = input_patch(g, 0, 1).row() * scratch_blocks(g);
    let image = row * reach(g, height);
    if image <= SCRATCH {
        // Weights that do not stay in the cache are better read for several images.
        let (limit, bands) = match g.channels[0] * g.channels[1] / g.groups * g.taps() > MANY {
            true => (SCRATCH, BANDS / 2),
            false => (TOGETHER, BANDS),
        };
        let together = (limit / image).clamp(1, (g.batch / bands).max(1));
        return (0..g.batch)
            .step_by(together)
            .map(|first| Band {
                images: first..(first + together).min(g.batch),
                rows: 0..height,
            })
            .collect();
    }
    let fits = |rows: &usize| row * reach(g, *rows) <= SCRATCH;
    let most = (1..height).rev().find(fits).unwrap_or(1);
    let mut rows = height.div_ceil(height.div_ceil(most));
    if winograd::applies(g) {
        // Patches of two rows belong to one band.
        rows = rows.next_multiple_of(2);
    }
    let mut bands = Vec::new();
    for image in 0..g.batch {
        for first in (0..height).step_by(rows) {
            bands.push(Band {
                images: image..image + 1,
                rows: first..(first + rows).min(height),
            });
        }
    }
    bands
}

/// Blocks of one group's input; depthwise convolutions hold all channels at once.
pub(super) fn scratch_blocks(g: &Geometry) -> usize {
    match g.depthwise() {
        true => blocks(g.channels[0]),
        false => blocks(g.group_channels()[0]),
    }
}

pub(super) fn groups(g: &Geometry) -> usize {
    if g.depthwise() { 1 } else { g.groups }
}

/// The scratch that holds the input of `rows` output rows from `first`.
pub(super) fn input_patch(g: &Geometry, first: usize, rows: usize) -> Patch {
    let even = |size: usize| {
        if winograd::applies(g) {
            size.next_multiple_of(2)
        } else {
            size
        }
    };
    let width = even(g.output[1]);
    let stride = [g.scratch_stride(0), g.scratch_stride(1)];
    let columns = (width - 1) * stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1;
    Patch {
        rows: reach(g, even(rows)),
        top: (first * g.stride[0]) as isize - g.padding[0] as isize,
        left: -(g.padding[1] as isize),
        columns: columns.div_ceil(stride[1]),
        phases: stride[1],
        blocks: scratch_blocks(g),
        steps: [g.stride[0] / stride[0], g.stride[1] / stride[1]],
    }
}

/// Which end of a convolution an activation is at: an index into its pairs of channels.
pub(super) const INPUT: usize = 0;
pub(super) const OUTPUT: usize = 1;

/// The part of the activation at one end that a group sees.
pub(super) fn plane(g: &Geometry, end: usize, data: *const f32, group: usize) -> Plane {
    let channels = g.group_channels()[end];
    let [height, width] = if end == INPUT { g.input } else { g.output };
    Plane {
        data,
        height,
        width,
        pixel: g.channels[end],
        first_channel: group * channels,
        channels: if g.depthwise() {
            g.channels[end]
        } else {
            channels
        },
    }
}
