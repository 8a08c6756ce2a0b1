//! The transforms and products of a band, some patches at a time.

use super::{Outputs, PLACES, Product, Spot, Transform};
use crate::kernels::buffer::Buffer;
use crate::kernels::geometry::{block_channels, blocks};
use crate::kernels::isa::Kernels;
use crate::kernels::tile::{Finish, WeightTile};
use crate::kernels::vector::LANES;

/// Patches are taken together in groups of this many.
const GROUP: usize = 8;

/// Floats of transformed input that are held at a time: 256 KB, unless that is fewer patches than weights are worth reading for.
const HELD: usize = 64 << 10;

/// Patches that are transformed at a time, at least and at most.
const LEAST: usize = 2 * GROUP;
const MOST: usize = 96;

/// Floats between places, so that they do not all fall into the same set of a cache: a line.
const APART: usize = LANES;

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
            (HELD / (PLACES * blocks(self.inputs) * LANES)).clamp(LEAST, MOST) / GROUP * GROUP;
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
        let most = (2 * HELD / (PLACES * all * LANES)).clamp(LEAST, 2 * MOST);
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
