//! Tiles over a band.

use crate::kernels::fill::Patch;
use crate::kernels::geometry::{Geometry, block_channels, blocks};
use crate::kernels::isa::Kernels;
use crate::kernels::tile::{Finish, Segment, Tile};
use crate::kernels::vector::LANES;

/// How far the pixel that a tap meets lies behind the tile's pixel, for every tap.
pub(super) fn tap_offsets(g: &Geometry, patch: &Patch) -> Vec<usize> {
    let mut offsets = Vec::with_capacity(g.taps());
    for y in 0..g.kernel[0] {
        for x in 0..g.kernel[1] {
            let column = x * g.dilation[1];
            offsets.push(
                y * g.dilation[0] * patch.row()
                    + column % g.stride[1] * patch.phase()
                    + column / g.stride[1] * LANES,
            );
        }
    }
    offsets
}

pub(super) fn segments(offsets: &[usize], channels: usize, block: usize) -> Vec<Segment> {
    (0..blocks(channels))
        .flat_map(|b| {
            offsets.iter().map(move |offset| Segment {
                offset: b * block + offset,
                channels: block_channels(channels, b),
            })
        })
        .collect()
}

/// Tiles over all rows of a band.
pub(super) struct Sweep<'a> {
    pub(super) kernels: &'a Kernels,
    pub(super) depthwise: bool,
    pub(super) input: *const f32,
    /// For depthwise sweeps: from one block to the next.
    pub(super) input_block: usize,
    pub(super) input_rows: &'a [usize],
    pub(super) segments: &'a [Segment],
    pub(super) weights: *const f32,
    pub(super) output: *mut f32,
    pub(super) output_rows: &'a [usize],
    pub(super) output_pixel: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) finish: Finish,
}

impl Sweep<'_> {
    /// # Safety
    /// Every row's segments lie in `input`, every row's pixels in `output` and `addend`; `weights` and `shift` hold all blocks.
    pub(super) unsafe fn run(&self) {
        let all = blocks(self.channels);
        let weight_block = match self.depthwise {
            true => self.segments.len() * LANES,
            false => self.segments.iter().map(|s| s.channels).sum::<usize>() * LANES,
        };
        let most = if self.depthwise {
            1
        } else {
            self.kernels.tile_blocks
        };
        let mut block = 0;
        while block < all {
            let n = most.min(all - block);
            let at = block * LANES;
            let shifted = |p: *const f32| if p.is_null() { p } else { p.add(at) };
            let mut tile = Tile {
                input: match self.depthwise {
                    true => self.input.add(block * self.input_block),
                    false => self.input,
                },
                input_rows: self.input_rows.as_ptr(),
                segments: self.segments,
                weights: self.weights.add(block * weight_block),
                weight_block,
                output: self.output.add(at),
                output_rows: self.output_rows.as_ptr(),
                output_pixel: self.output_pixel,
                last_channels: block_channels(self.channels, block + n - 1),
                finish: Finish {
                    shift: shifted(self.finish.shift),
                    addend: shifted(self.finish.addend),
                    relu: self.finish.relu,
                },
            };
            self.rows(&mut tile, n);
            block += n;
        }
    }

    /// Whether segments come in threes that lie one pixel after the other.
    fn threes(&self) -> bool {
        let (threes, rest) = self.segments.as_chunks::<3>();
        rest.is_empty()
            && threes.iter().all(|[a, b, c]| {
                b.offset == a.offset + LANES
                    && c.offset == b.offset + LANES
                    && [a.channels, b.channels] == [b.channels, c.channels]
            })
    }

    unsafe fn rows(&self, tile: &mut Tile<'_>, blocks: usize) {
        // Even parts of a row, none wider than the widest tile.
        let parts = self.width.div_ceil(self.kernels.tile_width);
        if parts == 0 {
            return;
        }
        let threes = self.threes();
        let (narrow, wider) = (self.width / parts, self.width % parts);
        let pick = |width: usize, many: bool| match self.depthwise {
            true => (self.kernels.depthwise_tile(width), 1),
            false => self.kernels.tile(threes, blocks, width, many),
        };
        // Some rows at a time, all parts of them, so that the input stays in the first-level cache.
        let (_, together) = pick(narrow, true);
        let (input, output, addend) = (tile.input, tile.output, tile.finish.addend);
        let rows = self.input_rows.len();
        for first in (0..rows).step_by(together) {
            let end = (first + together).min(rows);
            let mut x = 0;
            for part in 0..parts {
                let width = narrow + usize::from(part < wider);
                tile.input = input.add(x * LANES);
                tile.output = output.add(x * self.output_pixel);
                if !addend.is_null() {
                    tile.finish.addend = addend.add(x * self.output_pixel);
                }
                let (many, takes) = pick(width, true);
                let (one, _) = pick(width, false);
                let mut row = first;
                while row < end {
                    tile.input_rows = self.input_rows.as_ptr().add(row);
                    tile.output_rows = self.output_rows.as_ptr().add(row);
                    match row + takes <= end {
                        true => {
                            many(tile);
                            row += takes;
                        }
                        false => {
                            one(tile);
                            row += 1;
                        }
                    }
                }
                x += width;
            }
        }
    }
}
