use super::backward::{Backward, Plan, class_lines};
use super::bands::Band;
use super::sweep::{Sweep, segments};
use crate::kernels::buffer::Buffer;
use crate::kernels::fill::Patch;
use crate::kernels::geometry::blocks;
use crate::kernels::tile::Finish;
use crate::kernels::vector::LANES;
use crate::kernels::{pack, winograd};

impl Backward<'_> {
    /// Writes the gradient of the input rows that belong to a band.
    pub(super) unsafe fn input_gradient(
        &self,
        band: &Band,
        group: usize,
        patch: &Patch,
        scratch: &Buffer,
        plan: &Plan<'_>,
        packed: &Buffer,
    ) {
        let g = &self.geometry;
        let [channels, outputs] = g.group_channels();
        let first = group * channels;
        let rows = self.input_rows(band);
        let mut weights = packed.as_ptr().add(match g.depthwise() {
            true => 0,
            false => group * pack::backward_floats(g),
        });
        if winograd::applies(g) {
            let mut spots = Vec::new();
            let origin = |y: usize, axis: usize, begin: isize| {
                (y as isize + g.padding[axis] as isize - 2 - begin) as usize
            };
            for (i, image) in band.images.clone().enumerate() {
                let from = |y: usize| {
                    i * patch.image()
                        + origin(rows.start + y, 0, patch.top) * patch.row()
                        + origin(0, 1, patch.left) * LANES
                };
                let line =
                    |y: usize| (image * g.input[0] + rows.start + y) * g.input[1] * g.channels[0];
                winograd::spots(
                    &mut spots,
                    [rows.len(), g.input[1]],
                    g.channels[0],
                    from,
                    line,
                );
            }
            winograd::Pass {
                kernels: self.kernels,
                scratch: scratch.as_ptr(),
                scratch_block: patch.block(),
                scratch_row: patch.row(),
                spots: &spots,
                inputs: outputs,
                outputs: channels,
                weights,
                output: plan.input_gradient.add(first),
                output_row: g.input[1] * g.channels[0],
                output_pixel: g.channels[0],
                finish: Finish {
                    shift: core::ptr::null(),
                    addend: self
                        .addend
                        .map_or(core::ptr::null(), |x| x.as_ptr().add(first)),
                    relu: false,
                },
            }
            .run();
            return;
        }
        for class in plan.classes {
            let [top, bottom] = class_lines(rows.clone(), class.remainder[0], g.stride[0]);
            let [left, right] = class_lines(0..g.input[1], class.remainder[1], g.stride[1]);
            let (mut input_rows, mut output_rows) = (Vec::new(), Vec::new());
            for (i, image) in band.images.clone().enumerate() {
                for line in top..bottom {
                    input_rows.push(i * patch.image() + (line - top) as usize * patch.row());
                    let y = line as usize * g.stride[0] + class.remainder[0];
                    let x = left as usize * g.stride[1] + class.remainder[1];
                    output_rows.push(((image * g.input[0] + y) * g.input[1] + x) * g.channels[0]);
                }
            }
            let width = (right - left).max(0) as usize;
            if width > 0 && !input_rows.is_empty() {
                let offsets: Vec<usize> = class
                    .taps
                    .iter()
                    .map(|(_, [y, x])| {
                        (top + y - patch.top) as usize * patch.row()
                            + (left + x - patch.left) as usize * LANES
                    })
                    .collect();
                let segments = match g.depthwise() {
                    true => segments(&offsets, 1, 0),
                    false => segments(&offsets, outputs, patch.block()),
                };
                Sweep {
                    kernels: self.kernels,
                    depthwise: g.depthwise(),
                    input: scratch.as_ptr(),
                    input_block: patch.block(),
                    input_rows: &input_rows,
                    segments: &segments,
                    weights,
                    output: plan.input_gradient.add(first),
                    output_rows: &output_rows,
                    output_pixel: g.channels[0] * g.stride[1],
                    width,
                    channels: if g.depthwise() {
                        g.channels[0]
                    } else {
                        channels
                    },
                    finish: Finish {
                        shift: core::ptr::null(),
                        addend: self
                            .addend
                            .map_or(core::ptr::null(), |x| x.as_ptr().add(first)),
                        relu: false,
                    },
                }
                .run();
            }
            weights = weights.add(match g.depthwise() {
                true => blocks(g.channels[0]) * class.taps.len() * LANES,
                false => blocks(channels) * class.taps.len() * outputs * LANES,
            });
        }
    }
}
