use burn::tensor::Tensor;
use kd_nn::custom::{Dense, dense_tensor, with_backward};
use rayon::prelude::*;

use super::in_order;

/// The means of windows without overlap, where the size divides the map's.
pub(crate) fn mean_of_windows(map: &Tensor<4>, size: [usize; 2]) -> Option<Tensor<4>> {
    let x = Dense::of(map)?;
    let [batch, channels, height, width] = map.dims();
    let [to_height, to_width] = size;
    if to_height * to_width * channels == 0
        || !height.is_multiple_of(to_height)
        || !width.is_multiple_of(to_width)
    {
        return None;
    }
    let windows = Windows {
        channels,
        from: [height, width],
        to: size,
        channels_last: x.channels_last(),
    };
    let [large, small] = [windows.from, size].map(|[h, w]| channels * h * w);
    let shape = [batch, channels, to_height, to_width];
    let value = dense_tensor(shape, x.channels_last(), |to| {
        to.par_chunks_mut(small)
            .zip(x.par_chunks(large))
            .for_each(|(to, x)| {
                to.fill(0.0);
                windows.runs(|from, at, len| {
                    for (to, x) in to[at..at + len].iter_mut().zip(&x[from..from + len]) {
                        *to += x;
                    }
                });
                to.iter_mut().for_each(|to| *to *= windows.share());
            });
    });
    let dims = map.dims();
    Some(with_backward(
        map.clone(),
        value,
        move |gradient: Tensor<4>| {
            let gradient = in_order(gradient, windows.channels_last);
            dense_tensor(dims, windows.channels_last, |to| {
                to.par_chunks_mut(large)
                    .zip(gradient.par_chunks(small))
                    .for_each(|(to, gradient)| {
                        windows.runs(|from, at, len| {
                            let gradient = &gradient[at..at + len];
                            for (to, g) in to[from..from + len].iter_mut().zip(gradient) {
                                *to = g * windows.share();
                            }
                        });
                    });
            })
        },
    ))
}

#[derive(Clone, Copy)]
struct Windows {
    channels: usize,
    from: [usize; 2],
    to: [usize; 2],
    channels_last: bool,
}

impl Windows {
    fn share(&self) -> f32 {
        (self.to[0] * self.to[1]) as f32 / (self.from[0] * self.from[1]) as f32
    }

    /// Which numbers of an image belong together: first of a run in the map, first in the windows, length.
    #[inline(always)]
    fn runs(&self, mut run: impl FnMut(usize, usize, usize)) {
        let ([height, width], [to_height, to_width]) = (self.from, self.to);
        let (rows, columns) = (height / to_height, width / to_width);
        let (planes, len) = if self.channels_last {
            (1, self.channels)
        } else {
            (self.channels, 1)
        };
        for plane in 0..planes {
            for y in 0..height {
                for x in 0..width {
                    let from = ((plane * height + y) * width + x) * len;
                    let at = ((plane * to_height + y / rows) * to_width + x / columns) * len;
                    run(from, at, len);
                }
            }
        }
    }
}
