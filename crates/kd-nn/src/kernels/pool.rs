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
    /// Whether windows are two by two and side by side.
    fn pairs(&self) -> bool {
        self.kernel == [2, 2] && self.stride == [2, 2] && self.padding == [0, 0]
    }

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

/// The four pixels of the windows of a row, where windows are two by two and side by side.
struct Pairs<'a> {
    rows: [&'a [f32]; 2],
    channels: usize,
}

impl<'a> Pairs<'a> {
    #[inline(always)]
    fn of(w: &Windows, image: &'a [f32], row: usize) -> Self {
        let len = w.input[1] * w.channels;
        Self {
            rows: [0, 1].map(|i| &image[(2 * row + i) * len..][..len]),
            channels: w.channels,
        }
    }

    #[inline(always)]
    fn window(&self, column: usize) -> [&'a [f32]; 4] {
        let pixel = |row: usize, i: usize| {
            &self.rows[row][(2 * column + i) * self.channels..][..self.channels]
        };
        [pixel(0, 0), pixel(0, 1), pixel(1, 0), pixel(1, 1)]
    }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    // Not a number stays.
    if b > a || b.is_nan() { b } else { a }
}

pub(crate) fn largest(w: &Windows, images: &[f32], to: &mut [f32]) {
    if w.pairs() {
        return per_image(w, images, to, |image, to| {
            let row = w.output[1] * w.channels;
            for (y, to) in to.chunks_mut(row).enumerate() {
                let pairs = Pairs::of(w, image, y);
                for (x, to) in to.chunks_mut(w.channels).enumerate() {
                    let [a, b, c, d] = pairs.window(x);
                    for (i, to) in to.iter_mut().enumerate() {
                        *to = larger(larger(a[i], b[i]), larger(c[i], d[i]));
                    }
                }
            }
        });
    }
    per_image(w, images, to, |image, to| {
        w.each(|at, window| {
            let to = &mut to[at..][..w.channels];
            to.fill(f32::NEG_INFINITY);
            w.pixels(window, |pixel| {
                for (to, &x) in to.iter_mut().zip(&image[pixel..][..w.channels]) {
                    *to = larger(*to, x);
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
    if w.pairs() {
        return pairs_backward(w, images, gradient, to);
    }
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

/// Every pixel is written once.
fn pairs_backward(w: &Windows, images: &[f32], gradient: &[f32], to: &mut [f32]) {
    let (row, pooled) = (w.input[1] * w.channels, w.output[1] * w.channels);
    to.par_chunks_mut(w.image())
        .zip(images.par_chunks(w.image()))
        .zip(gradient.par_chunks(w.pooled()))
        .for_each(|((to, image), gradient)| {
            vectorized(|| {
                let (covered, beyond) = to.split_at_mut(2 * w.output[0] * row);
                beyond.fill(0.0);
                let rows = covered.chunks_mut(2 * row).zip(gradient.chunks(pooled));
                for (y, (to, gradient)) in rows.enumerate() {
                    let pairs = Pairs::of(w, image, y);
                    let (top, bottom) = to.split_at_mut(row);
                    top[2 * pooled..].fill(0.0);
                    bottom[2 * pooled..].fill(0.0);
                    let columns = top
                        .chunks_mut(2 * w.channels)
                        .zip(bottom.chunks_mut(2 * w.channels));
                    for (x, ((top, bottom), gradient)) in
                        columns.zip(gradient.chunks(w.channels)).enumerate()
                    {
                        let [a, b, c, d] = pairs.window(x);
                        let (to_a, to_b) = top.split_at_mut(w.channels);
                        let (to_c, to_d) = bottom.split_at_mut(w.channels);
                        for (i, &g) in gradient.iter().enumerate() {
                            let (above, below) = (larger(a[i], b[i]), larger(c[i], d[i]));
                            // The first of the largest: a row above, a column before.
                            let up = !(below > above || below.is_nan());
                            let (g_above, g_below) = if up { (g, 0.0) } else { (0.0, g) };
                            let first = a[i] >= b[i];
                            let third = c[i] >= d[i];
                            to_a[i] = if first { g_above } else { 0.0 };
                            to_b[i] = if first { 0.0 } else { g_above };
                            to_c[i] = if third { g_below } else { 0.0 };
                            to_d[i] = if third { 0.0 } else { g_below };
                        }
                    }
                }
            });
        });
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
