//! Weights in the order in which the tiles read them: sixteen output numbers together. Those of [`winograd`] have an order of their
//! own.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::geometry::{Geometry, block_channels, blocks};
use super::vector::LANES;
use super::winograd;

/// Which taps reach the input pixels whose row (or column) leaves the remainder `remainder` modulo `stride`, and by how much the
/// output row (column) that they come from differs from the pixel's quotient.
pub(crate) fn reaching(
    remainder: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: usize,
) -> Vec<(usize, isize)> {
    // The last tap first: so what a row of taps meets lies one pixel after the other.
    (0..kernel)
        .rev()
        .filter_map(|tap| {
            let distance = (remainder + padding) as isize - (tap * dilation) as isize;
            (distance.rem_euclid(stride as isize) == 0)
                .then_some((tap, distance.div_euclid(stride as isize)))
        })
        .collect()
}

/// The taps of each class of input pixels: rows and columns by their remainder modulo the stride.
pub(crate) struct Class {
    pub(crate) remainder: [usize; 2],
    /// Index of the tap, and rows and columns from the quotient to the output pixel.
    pub(crate) taps: Vec<(usize, [isize; 2])>,
}

pub(crate) fn classes(g: &Geometry) -> Vec<Class> {
    let along = |axis: usize, remainder| {
        reaching(
            remainder,
            g.kernel[axis],
            g.stride[axis],
            g.dilation[axis],
            g.padding[axis],
        )
    };
    let mut classes = Vec::new();
    for row in 0..g.stride[0] {
        for column in 0..g.stride[1] {
            let mut taps = Vec::new();
            for (y, rows) in along(0, row) {
                for (x, columns) in along(1, column) {
                    taps.push((y * g.kernel[1] + x, [rows, columns]));
                }
            }
            classes.push(Class {
                remainder: [row, column],
                taps,
            });
        }
    }
    classes
}

/// Floats of one group's packed weights.
pub(crate) fn group_floats(g: &Geometry) -> usize {
    let [input, output] = g.group_channels();
    if winograd::applies(g) {
        return winograd::group_floats(input, output);
    }
    match g.depthwise() {
        true => blocks(g.channels[1]) * g.taps() * LANES,
        false => blocks(output) * LANES * g.taps() * input,
    }
}

fn groups(g: &Geometry) -> usize {
    if g.depthwise() { 1 } else { g.groups }
}

/// From `[output, input / groups, height, width]`, each output channel times `scale` if given, to, for each group: output block,
/// input block, tap, input channel, sixteen output channels. Depthwise: block, tap, sixteen channels.
pub(crate) fn forward(g: &Geometry, weights: &[f32], scale: Option<&[f32]>) -> Buffer {
    let [input, output] = g.group_channels();
    let (taps, size) = (g.taps(), group_floats(g));
    if winograd::applies(g) {
        return winograd::pack_forward(g, weights, scale);
    }
    let mut packed = Buffer::new(size * groups(g));
    if g.depthwise() {
        let factor = |channel: usize| scale.map_or(1.0, |scale| scale[channel]);
        let channels = g.channels[1];
        for block in 0..blocks(channels) {
            for tap in 0..taps {
                for lane in 0..LANES {
                    let channel = block * LANES + lane;
                    packed.as_mut_slice()[(block * taps + tap) * LANES + lane] =
                        match channel < channels {
                            true => weights[channel * taps + tap] * factor(channel),
                            false => 0.0,
                        };
                }
            }
        }
        return packed;
    }
    packed.as_mut_slice()[..size * g.groups]
        .par_chunks_mut(taps * input * LANES)
        .enumerate()
        .for_each(|(index, packed)| {
            let (group, block) = (index / blocks(output), index % blocks(output));
            let lanes = block_channels(output, block);
            let first = group * output + block * LANES;
            let mut factors = [0.0; LANES];
            for lane in 0..lanes {
                factors[lane] = scale.map_or(1.0, |scale| scale[first + lane]);
            }
            // Whole lines in their order: sixteen streams are read, one is written.
            let weights = &weights[first * input * taps..(first + lanes) * input * taps];
            let mut lines = packed.chunks_exact_mut(LANES);
            for c in (0..input).step_by(LANES) {
                for tap in 0..taps {
                    for (c, line) in (c..input.min(c + LANES)).zip(&mut lines) {
                        for lane in 0..lanes {
                            line[lane] = weights[(lane * input + c) * taps + tap] * factors[lane];
                        }
                        line[lanes..].fill(0.0);
                    }
                }
            }
        });
    packed
}

/// From `[output, input / groups, height, width]` to, for each group and class: input block, output block, tap, output channel,
/// sixteen input channels. Depthwise: class, block, tap, sixteen channels.
pub(crate) fn backward(g: &Geometry, classes: &[Class], weights: &[f32]) -> Buffer {
    let [input, output] = g.group_channels();
    let taps = g.taps();
    if winograd::applies(g) {
        return winograd::pack_backward(g, weights);
    }
    if g.depthwise() {
        let channels = g.channels[1];
        let mut packed = Buffer::new(group_floats(g));
        let mut at = 0;
        for class in classes {
            for block in 0..blocks(channels) {
                for &(tap, _) in &class.taps {
                    for lane in 0..LANES {
                        let channel = block * LANES + lane;
                        packed.as_mut_slice()[at + lane] = match channel < channels {
                            true => weights[channel * taps + tap],
                            false => 0.0,
                        };
                    }
                    at += LANES;
                }
            }
        }
        return packed;
    }
    let mut packed = Buffer::new(backward_floats(g) * g.groups);
    packed.as_mut_slice()[..backward_floats(g) * g.groups]
        .par_chunks_mut(backward_floats(g))
        .enumerate()
        .for_each(|(group, packed)| {
            let mut rest = packed;
            for class in classes {
                for block in 0..blocks(input) {
                    let (here, after) = rest.split_at_mut(class.taps.len() * output * LANES);
                    rest = after;
                    let lanes = block_channels(input, block);
                    for o in 0..output {
                        let channels = block_channels(output, o / LANES);
                        let base = o / LANES * LANES * class.taps.len() + o % LANES;
                        let from = ((group * output + o) * input + block * LANES) * taps;
                        for (i, &(tap, _)) in class.taps.iter().enumerate() {
                            let to = &mut here[(base + i * channels) * LANES..][..LANES];
                            for lane in 0..lanes {
                                to[lane] = weights[from + lane * taps + tap];
                            }
                            to[lanes..].fill(0.0);
                        }
                    }
                }
            }
        });
    packed
}

/// Floats of one group's weights, packed for the backward pass.
pub(crate) fn backward_floats(g: &Geometry) -> usize {
    let [input, output] = g.group_channels();
    if winograd::applies(g) {
        return winograd::group_floats(output, input);
    }
    blocks(input) * LANES * g.taps() * output
}

/// Floats of one group's gradient: output block, input block, tap, sixteen input channels, sixteen output channels. Depthwise:
/// block, tap, sixteen channels.
pub(crate) fn gradient_floats(g: &Geometry) -> usize {
    let [input, output] = g.group_channels();
    if winograd::applies(g) {
        return winograd::gradient_floats(g);
    }
    match g.depthwise() {
        true => group_floats(g),
        false => blocks(output) * blocks(input) * g.taps() * LANES * LANES,
    }
}

/// The sum of `parts` gradients, one after the other, as `[output, input / groups, height, width]`.
pub(crate) fn unpack_gradient(g: &Geometry, parts: &[Buffer], weights: &mut [f32]) {
    if winograd::applies(g) {
        return winograd::unpack_gradient(g, parts, weights);
    }
    let [input, output] = g.group_channels();
    let taps = g.taps();
    let sum = |at: usize| {
        parts
            .iter()
            .fold(0.0, |sum, part| sum + part.as_slice()[at])
    };
    if g.depthwise() {
        for (index, w) in weights.iter_mut().enumerate() {
            let (channel, tap) = (index / taps, index % taps);
            *w = sum((channel / LANES * taps + tap) * LANES + channel % LANES);
        }
        return;
    }
    let block_floats = blocks(input) * taps * LANES * LANES;
    // A block of output channels at a time, so that whole vectors of the parts are read once.
    let tasks: Vec<_> = weights
        .chunks_mut(output * input * taps)
        .enumerate()
        .flat_map(|(group, weights)| {
            weights
                .chunks_mut(LANES * input * taps)
                .enumerate()
                .map(move |(block, weights)| (group * blocks(output) + block, weights))
        })
        .collect();
    tasks.into_par_iter().for_each(|(block, weights)| {
        for c in 0..input {
            for tap in 0..taps {
                let at =
                    block * block_floats + ((c / LANES * taps + tap) * LANES + c % LANES) * LANES;
                let mut total = [0.0; LANES];
                for part in parts {
                    let part = &part.as_slice()[at..at + LANES];
                    for lane in 0..LANES {
                        total[lane] += part[lane];
                    }
                }
                for (lane, weights) in weights.chunks_mut(input * taps).enumerate() {
                    weights[c * taps + tap] = total[lane];
                }
            }
        }
    });
}
