use burn::tensor::Tensor;
use kd_nn::custom::{Dense, dense_tensor, with_backward};
use rayon::prelude::*;

use super::{LANES, in_order, numbers};

/// The mean over the channels of the squares of each pixel: `[batch, pixels]`. Of one map, so that channels may differ.
pub(crate) fn energy(map: &Tensor<4>) -> Option<Tensor<2>> {
    let x = Dense::of(map)?;
    let shape = map.dims();
    let [batch, channels, height, width] = shape;
    let (pixels, row) = (height * width, channels * height * width);
    if row == 0 {
        return None;
    }
    let share = 1.0 / channels as f32;
    let channels_last = x.channels_last();
    let value = dense_tensor([batch, pixels], false, |to| {
        to.par_chunks_mut(pixels)
            .zip(x.par_chunks(row))
            .for_each(|(to, x)| {
                if channels_last {
                    for (to, x) in to.iter_mut().zip(x.chunks(channels)) {
                        *to = squares(x) * share;
                    }
                } else {
                    to.fill(0.0);
                    for x in x.chunks(pixels) {
                        for (to, x) in to.iter_mut().zip(x) {
                            *to += x * x * share;
                        }
                    }
                }
            });
    });
    if !map.is_autodiff() {
        return Some(value);
    }
    Some(with_backward(map.clone(), value, move |gradient| {
        let gradient = numbers(gradient);
        dense_tensor(shape, channels_last, |to| {
            to.par_chunks_mut(row)
                .zip(gradient.par_chunks(pixels))
                .zip(x.par_chunks(row))
                .for_each(|((to, gradient), x)| {
                    if channels_last {
                        let pixels = to.chunks_mut(channels).zip(x.chunks(channels));
                        for ((to, x), gradient) in pixels.zip(gradient) {
                            let factor = 2.0 * gradient * share;
                            for (to, x) in to.iter_mut().zip(x) {
                                *to = x * factor;
                            }
                        }
                    } else {
                        for (to, x) in to.chunks_mut(pixels).zip(x.chunks(pixels)) {
                            for ((to, x), gradient) in to.iter_mut().zip(x).zip(gradient) {
                                *to = 2.0 * x * gradient * share;
                            }
                        }
                    }
                });
        })
    }))
}

/// The sum of squares, in lanes.
#[inline(always)]
fn squares(x: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for l in 0..LANES {
            lanes[l] += block[l] * block[l];
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += x * x;
    }
    lanes.iter().sum()
}

/// `x`, or `slope x` where it is negative.
pub(crate) fn leaky_relu(map: Tensor<4>, slope: f32) -> Option<Tensor<4>> {
    let x = Dense::of(&map)?;
    let (shape, channels_last) = (map.dims(), x.channels_last());
    let row = (x.len() / shape[0].max(1)).max(1);
    let value = dense_tensor(shape, channels_last, |to| {
        to.par_chunks_mut(row)
            .zip(x.par_chunks(row))
            .for_each(|(to, x)| {
                for (to, x) in to.iter_mut().zip(x) {
                    *to = if *x < 0.0 { slope * x } else { *x };
                }
            });
    });
    Some(with_backward(map, value, move |gradient: Tensor<4>| {
        let gradient = in_order(gradient, channels_last);
        dense_tensor(shape, channels_last, |to| {
            to.par_chunks_mut(row)
                .zip(x.par_chunks(row).zip(gradient.par_chunks(row)))
                .for_each(|(to, (x, gradient))| {
                    for (to, (x, g)) in to.iter_mut().zip(x.iter().zip(gradient)) {
                        *to = if *x < 0.0 { slope * g } else { *g };
                    }
                });
        })
    }))
}
