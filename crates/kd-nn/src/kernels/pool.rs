//! The largest number or the mean of windows, of maps with channels innermost.

use rayon::prelude::*;

use super::isa::vectorized;

/// Windows over images. Beyond the image there is nothing to find; for means there are zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub(crate) channels: usize,
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
}

impl Windows {
    fn image(&self) -> usize {
        self.channels * self.input[0] * self.input[1]
    }

    fn pooled(&self) -> usize {
        self.channels * self.output[0] * self.output[1]
    }

    /// Where in the image the pixels of a window begin, row by row.
    #[inline(always)]
    fn pixels(&self, window: [usize; 2], mut at: impl FnMut(usize)) {
        let range = |axis: usize| {
            let first = window[axis] * self.stride[axis];
            let end = (first + self.kernel[axis]).saturating_sub(self.padding[axis]);
            first.saturating_sub(self.padding[axis])..end.min(self.input[axis])
        };
        for y in range(0) {
            for x in range(1) {
                at((y * self.input[1] + x) * self.channels);
            }
        }
    }

    /// Calls `f` for each window of an image: its place among them, and its row and column.
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(usize, [usize; 2])) {
        for y in 0..self.output[0] {
            for x in 0..self.output[1] {
                f((y * self.output[1] + x) * self.channels, [y, x]);
            }
        }
    }
}

pub(crate) fn largest(w: &Windows, images: &[f32], to: &mut [f32]) {
    per_image(w, images, to, |image, to| {
        w.each(|at, window| {
            let to = &mut to[at..][..w.channels];
            to.fill(f32::NEG_INFINITY);
            w.pixels(window, |pixel| {
                for (to, &x) in to.iter_mut().zip(&image[pixel..][..w.channels]) {
                    // Not a number stays.
                    *to = if x > *to || x.is_nan() { x } else { *to };
                }
            });
        });
    });
}

/// The gradient goes to the first of the largest.
pub(crate) fn largest_backward(
    w: &Windows,
    images: &[f32],
    largest: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    to.par_chunks_mut(w.image())
        .zip(images.par_chunks(w.image()))
        .zip(
            largest
                .par_chunks(w.pooled())
                .zip(gradient.par_chunks(w.pooled())),
        )
        .for_each_init(
            || vec![0.0; w.channels],
            |rest, ((to, image), (largest, gradient))| {
                vectorized(|| {
                    to.fill(0.0);
                    w.each(|at, window| {
                        rest.copy_from_slice(&gradient[at..][..w.channels]);
                        let largest = &largest[at..][..w.channels];
                        w.pixels(window, |pixel| {
                            let to = &mut to[pixel..][..w.channels];
                            let image = &image[pixel..][..w.channels];
                            let numbers = to.iter_mut().zip(image).zip(largest);
                            for (((to, x), largest), rest) in numbers.zip(rest.iter_mut()) {
                                let less = x < largest;
                                *to += if less { 0.0 } else { *rest };
                                *rest = if less { *rest } else { 0.0 };
                            }
                        });
                    });
                });
            },
        );
}

pub(crate) fn mean(w: &Windows, images: &[f32], to: &mut [f32]) {
    let share = 1.0 / (w.kernel[0] * w.kernel[1]) as f32;
    per_image(w, images, to, |image, to| {
        w.each(|at, window| {
            let to = &mut to[at..][..w.channels];
            to.fill(0.0);
            w.pixels(window, |pixel| {
                for (to, x) in to.iter_mut().zip(&image[pixel..][..w.channels]) {
                    *to += x;
                }
            });
            to.iter_mut().for_each(|to| *to *= share);
        });
    });
}

pub(crate) fn mean_backward(w: &Windows, gradient: &[f32], to: &mut [f32]) {
    let share = 1.0 / (w.kernel[0] * w.kernel[1]) as f32;
    to.par_chunks_mut(w.image())
        .zip(gradient.par_chunks(w.pooled()))
        .for_each(|(to, gradient)| {
            vectorized(|| {
                to.fill(0.0);
                w.each(|at, window| {
                    let gradient = &gradient[at..][..w.channels];
                    w.pixels(window, |pixel| {
                        let to = &mut to[pixel..][..w.channels];
                        for (to, gradient) in to.iter_mut().zip(gradient) {
                            *to += gradient * share;
                        }
                    });
                });
            });
        });
}

fn per_image(w: &Windows, images: &[f32], to: &mut [f32], f: impl Fn(&[f32], &mut [f32]) + Sync) {
    to.par_chunks_mut(w.pooled())
        .zip(images.par_chunks(w.image()))
        .for_each(|(to, image)| vectorized(|| f(image, to)));
}
