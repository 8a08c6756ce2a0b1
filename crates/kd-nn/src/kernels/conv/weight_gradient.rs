use std::ops::Range;

use super::backward::Backward;
use super::bands::{Band, INPUT, input_patch, plane};
use super::sweep::tap_offsets;
use crate::kernels::buffer::Buffer;
use crate::kernels::fill::Patch;
use crate::kernels::geometry::{block_channels, blocks};
use crate::kernels::isa::ROW_CHANNELS;
use crate::kernels::tile::WeightTile;
use crate::kernels::vector::LANES;
use crate::kernels::winograd;

/// Floats of input and gradient that the taps of the weights' gradient pass over before the next rows: 40 KB, most of the first-level
/// cache of the machines of today.
const STRIP: usize = 10 << 10;

impl Backward<'_> {
    /// Adds a band's part of the gradient of a group's weights, for `outputs` output channels, whose gradient is in the scratch, to
    /// `sum`.
    pub(super) unsafe fn weight_gradient(
        &self,
        band: &Band,
        group: usize,
        outputs: usize,
        gradient: &Patch,
        gradient_scratch: &Buffer,
        sum: *mut f32,
    ) {
        let g = &self.geometry;
        let Some(input) = self.input else { return };
        let channels = g.group_channels()[0];
        let patch = input_patch(g, band.rows.start, band.rows.len());
        let mut scratch = Buffer::new(patch.image() * band.images.len());
        let plane = plane(g, INPUT, input.as_ptr(), group);
        let (mut input_rows, mut gradient_rows) = (Vec::new(), Vec::new());
        for (i, image) in band.images.clone().enumerate() {
            let to = scratch.as_mut_ptr().add(i * patch.image());
            (self.kernels.fill)(&patch, to, &plane, image, &self.input_transform);
            for row in band.rows.clone() {
                input_rows.push(
                    i * patch.image() + (row - band.rows.start) * g.scratch_stride(0) * patch.row(),
                );
                let line = (row as isize - gradient.top) as usize;
                gradient_rows.push(
                    i * gradient.image() + line * gradient.row() + -gradient.left as usize * LANES,
                );
            }
        }
        if winograd::applies(g) {
            let (mut input_spots, mut gradient_spots) = (Vec::new(), Vec::new());
            let size = [band.rows.len(), g.output[1]];
            for i in 0..band.images.len() {
                let from = |y: usize| i * patch.image() + y * patch.row();
                winograd::spots(&mut input_spots, size, 0, from, |_| 0);
                let line = |y: usize| {
                    let row = (band.rows.start + y) as isize - gradient.top;
                    i * gradient.image()
                        + row as usize * gradient.row()
                        + -gradient.left as usize * LANES
                };
                winograd::spots(&mut gradient_spots, size, 0, line, |_| 0);
            }
            winograd::WeightPass {
                kernels: self.kernels,
                input: scratch.as_ptr(),
                input_block: patch.block(),
                input_row: patch.row(),
                input_spots: &input_spots,
                inputs: channels,
                gradient: gradient_scratch.as_ptr(),
                gradient_block: gradient.block(),
                gradient_row: gradient.row(),
                gradient_spots: &gradient_spots,
                outputs,
                sum,
            }
            .run();
            return;
        }
        let offsets = tap_offsets(g, &patch);
        // Rows whose input and gradient stay in the first-level cache while all taps pass over them.
        let together = self.kernels.tile_blocks.min(blocks(outputs));
        let line = patch.row() + together * g.output[1] * LANES;
        let strip = (STRIP / line).clamp(1, input_rows.len());
        let tile = |rows: Range<usize>| WeightTile {
            input: scratch.as_ptr(),
            input_rows: input_rows[rows.clone()].as_ptr(),
            gradient: gradient_scratch.as_ptr(),
            gradient_rows: gradient_rows[rows.clone()].as_ptr(),
            gradient_block: gradient.block(),
            rows: rows.len(),
            width: g.output[1],
            output: sum,
            output_block: 0,
            tap: LANES * LANES,
        };
        let strips = || {
            (0..input_rows.len())
                .step_by(strip)
                .map(|first| first..(first + strip).min(input_rows.len()))
        };
        if g.depthwise() {
            for block in 0..blocks(g.channels[0]) {
                for rows in strips() {
                    for (tap, offset) in offsets.iter().enumerate() {
                        let mut tile = tile(rows.clone());
                        tile.input = tile.input.add(block * patch.block() + offset);
                        tile.gradient = tile.gradient.add(block * gradient.block());
                        tile.output = sum.add((block * g.taps() + tap) * LANES);
                        (self.kernels.depthwise_weight_tile)(&tile);
                    }
                }
            }
            return;
        }
        let tap_floats = LANES * LANES;
        let threes = g.kernel[1] == 3 && g.stride[1] == 1 && g.dilation[1] == 1 && g.output[1] > 1;
        let output_block = blocks(channels) * g.taps() * tap_floats;
        let mut block = 0;
        while block < blocks(outputs) {
            let n = self.kernels.tile_blocks.min(blocks(outputs) - block);
            for c in 0..blocks(channels) {
                let lanes = block_channels(channels, c);
                let (mut function, mut takes) = self.kernels.weight_tile(n, lanes);
                let mut step = 1;
                if let Some(row) = self.kernels.weight_row_tile
                    && n == 1
                    && threes
                    && lanes > takes.min(ROW_CHANNELS)
                {
                    (function, takes, step) = (row, ROW_CHANNELS, 3);
                }
                for rows in strips() {
                    for (tap, offset) in offsets.iter().enumerate().step_by(step) {
                        for first in (0..lanes).step_by(takes) {
                            let mut tile = tile(rows.clone());
                            tile.input = tile.input.add(c * patch.block() + offset + first);
                            tile.gradient = tile.gradient.add(block * gradient.block());
                            tile.output = sum.add(
                                block * output_block
                                    + (c * g.taps() + tap) * tap_floats
                                    + first * LANES,
                            );
                            tile.output_block = output_block;
                            function(&tile);
                        }
                    }
                }
            }
            block += n;
        }
    }
}
