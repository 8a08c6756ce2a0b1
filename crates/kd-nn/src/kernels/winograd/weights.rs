//! Kernels and their transforms.

use rayon::prelude::*;

use super::PLACES;
use crate::kernels::buffer::Buffer;
use crate::kernels::conv::Shared;
use crate::kernels::geometry::{Geometry, block_channels, blocks};
use crate::kernels::vector::LANES;

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
            let to = Shared(packed.as_mut_ptr());
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
