//! What feature losses do with every number of a map, on the CPU: each map is read once forward and once backward.
//!
//! Written with tensor operations the same losses go through memory ten times, in temporaries that the system hands out page by page.
//! Each function takes maps of equal shape, student first, whose teacher is a constant, and returns `None` for tensors that are not f32
//! on the CPU: the caller then takes the tensor operations. A row is computed by one thread, from first to last: results do not
//! depend on the number of threads.

use burn::tensor::{Tensor, TensorData};
use kd_nn::custom::{Dense, dense_tensor, matmul, with_backward};
use rayon::prelude::*;

/// Sums that a row is gathered in, for the compiler to hold in registers.
const LANES: usize = 16;

/// A term of one number of the student and of the teacher, and its derivative.
pub(crate) trait Pointwise: Copy + Send + Sync + 'static {
    fn value(self, student: f32, teacher: f32) -> f32;
    fn slope(self, student: f32, teacher: f32) -> f32;
}

/// The squared difference.
#[derive(Clone, Copy)]
pub(crate) struct SquaredDifference;

impl Pointwise for SquaredDifference {
    #[inline(always)]
    fn value(self, student: f32, teacher: f32) -> f32 {
        (student - teacher) * (student - teacher)
    }

    #[inline(always)]
    fn slope(self, student: f32, teacher: f32) -> f32 {
        2.0 * (student - teacher)
    }
}

/// What the student lacks to be as far as the margin on the teacher's side of zero, squared.
#[derive(Clone, Copy)]
pub(crate) struct Boundary {
    pub(crate) margin: f32,
}

impl Boundary {
    #[inline(always)]
    fn lacking(self, student: f32, teacher: f32) -> (f32, f32) {
        let sign = if teacher > 0.0 { 1.0 } else { -1.0 };
        ((self.margin - sign * student).max(0.0), sign)
    }
}

impl Pointwise for Boundary {
    #[inline(always)]
    fn value(self, student: f32, teacher: f32) -> f32 {
        let (lacking, _) = self.lacking(student, teacher);
        lacking * lacking
    }

    #[inline(always)]
    fn slope(self, student: f32, teacher: f32) -> f32 {
        let (lacking, sign) = self.lacking(student, teacher);
        -2.0 * sign * lacking
    }
}

/// The mean of a term over everything but the first dimension: `[batch]`.
pub(crate) fn mean_pointwise<T: Pointwise>(
    student: &Tensor<4>,
    teacher: &Tensor<4>,
    term: T,
) -> Option<Tensor<1>> {
    let Pair { s, t, row, shape } = Pair::of(student, teacher)?;
    let share = 1.0 / row as f32;
    let mut values = vec![0.0; shape[0]];
    values
        .par_iter_mut()
        .zip(s.par_chunks(row).zip(t.par_chunks(row)))
        .for_each(|(value, (s, t))| {
            let mut lanes = [0.0; LANES];
            let (s_blocks, s_rest) = s.as_chunks::<LANES>();
            let (t_blocks, t_rest) = t.as_chunks::<LANES>();
            for (s, t) in s_blocks.iter().zip(t_blocks) {
                for l in 0..LANES {
                    lanes[l] += term.value(s[l], t[l]);
                }
            }
            for (lane, (s, t)) in lanes.iter_mut().zip(s_rest.iter().zip(t_rest)) {
                *lane += term.value(*s, *t);
            }
            *value = lanes.iter().sum::<f32>() * share;
        });
    let value = vector(values, student);
    let channels_last = s.channels_last();
    Some(with_backward(student.clone(), value, move |gradient| {
        let gradient = numbers(gradient);
        dense_tensor(shape, channels_last, |to| {
            to.par_chunks_mut(row)
                .zip(gradient.par_iter())
                .zip(s.par_chunks(row).zip(t.par_chunks(row)))
                .for_each(|((to, gradient), (s, t))| {
                    let factor = gradient * share;
                    for (to, (s, t)) in to.iter_mut().zip(s.iter().zip(t)) {
                        *to = term.slope(*s, *t) * factor;
                    }
                });
        })
    }))
}

/// The squared differences, averaged over the pixels: `[batch, channels]`.
pub(crate) fn mean_squares_per_channel(
    student: &Tensor<4>,
    teacher: &Tensor<4>,
) -> Option<Tensor<2>> {
    let Pair { s, t, row, shape } = Pair::of(student, teacher)?;
    let [batch, channels, height, width] = shape;
    let (pixels, channels_last) = (height * width, s.channels_last());
    let share = 1.0 / pixels as f32;
    let mut sums = vec![0.0; batch * channels];
    sums.par_chunks_mut(channels)
        .zip(s.par_chunks(row).zip(t.par_chunks(row)))
        .for_each(|(sums, (s, t))| {
            if channels_last {
                for (s, t) in s.chunks(channels).zip(t.chunks(channels)) {
                    for (sum, (s, t)) in sums.iter_mut().zip(s.iter().zip(t)) {
                        *sum += (s - t) * (s - t);
                    }
                }
            } else {
                for (sum, (s, t)) in sums.iter_mut().zip(s.chunks(pixels).zip(t.chunks(pixels))) {
                    *sum = s.iter().zip(t).map(|(s, t)| (s - t) * (s - t)).sum();
                }
            }
            sums.iter_mut().for_each(|sum| *sum *= share);
        });
    let sums = TensorData::new(sums, [batch, channels]);
    let value = Tensor::from_data(sums, &student.device().without_autodiff());
    Some(with_backward(student.clone(), value, move |gradient| {
        let gradient = numbers(gradient);
        dense_tensor(shape, channels_last, |to| {
            to.par_chunks_mut(row)
                .zip(gradient.par_chunks(channels))
                .zip(s.par_chunks(row).zip(t.par_chunks(row)))
                .for_each(|((to, gradient), (s, t))| {
                    let factors: Vec<f32> = gradient.iter().map(|g| 2.0 * g * share).collect();
                    if channels_last {
                        let pixels = s.chunks(channels).zip(t.chunks(channels));
                        for (to, (s, t)) in to.chunks_mut(channels).zip(pixels) {
                            for (i, factor) in factors.iter().enumerate() {
                                to[i] = (s[i] - t[i]) * factor;
                            }
                        }
                    } else {
                        let planes = s.chunks(pixels).zip(t.chunks(pixels));
                        for ((to, (s, t)), factor) in
                            to.chunks_mut(pixels).zip(planes).zip(&factors)
                        {
                            for (to, (s, t)) in to.iter_mut().zip(s.iter().zip(t)) {
                                *to = (s - t) * factor;
                            }
                        }
                    }
                });
        })
    }))
}

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

/// The numbers of a gradient in the order in which a map has them: where they are, if they are in that order.
enum Ordered {
    There(Dense),
    Copied(Vec<f32>),
}

fn in_order(gradient: Tensor<4>, channels_last: bool) -> Ordered {
    match Dense::of(&gradient) {
        Some(dense) if dense.channels_last() == channels_last => Ordered::There(dense),
        _ if channels_last => Ordered::Copied(numbers(gradient.permute([0, 2, 3, 1]))),
        _ => Ordered::Copied(numbers(gradient)),
    }
}

impl std::ops::Deref for Ordered {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::There(dense) => dense,
            Self::Copied(numbers) => numbers,
        }
    }
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

/// Two maps in one order.
struct Pair {
    s: Dense,
    t: Dense,
    /// Numbers of an image.
    row: usize,
    shape: [usize; 4],
}

impl Pair {
    fn of(student: &Tensor<4>, teacher: &Tensor<4>) -> Option<Self> {
        let shape = student.dims();
        let row = shape[1..].iter().product();
        let (s, t) = (Dense::of(student)?, Dense::of(teacher)?);
        let same = s.channels_last() == t.channels_last() || shape[1] == 1;
        (same && row > 0 && shape == teacher.dims()).then_some(Self { s, t, row, shape })
    }
}

fn vector(values: Vec<f32>, like: &Tensor<4>) -> Tensor<1> {
    let len = values.len();
    Tensor::from_data(
        TensorData::new(values, [len]),
        &like.device().without_autodiff(),
    )
}

/// The numbers of a small gradient, on the host.
fn numbers<const D: usize>(gradient: Tensor<D>) -> Vec<f32> {
    gradient.into_data().iter::<f32>().collect()
}

/// Inner products of the rows of a matrix, `x x^T`: `[rows, n]` -> `[rows, rows]`.
pub(crate) fn gram(x: Tensor<2>) -> Tensor<2> {
    if Dense::of(&x).is_none() {
        return crate::math::gram(x);
    }
    let own = x.clone().without_autodiff();
    with_backward(x, crate::math::gram(own.clone()), move |gradient| {
        matmul(gradient.clone() + gradient.transpose(), own.clone())
    })
}

/// Inner products over the pixels, with the way back to both operands that autodiff would take through copies of their transposes:
/// `[batch, pixels, channels]` each if `last`, else `[batch, channels, pixels]` -> `[batch, first's channels, second's channels]`.
pub(crate) fn products(first: Tensor<3>, second: Tensor<3>, last: bool) -> Tensor<3> {
    let multiply = move |first: Tensor<3>, second: Tensor<3>| {
        if last {
            matmul(first.transpose(), second)
        } else {
            matmul(first, second.transpose())
        }
    };
    if Dense::of(&first).is_none() || Dense::of(&second).is_none() {
        return multiply(first, second);
    }
    let (a, b) = (
        first.clone().without_autodiff(),
        second.clone().without_autodiff(),
    );
    let value = multiply(a.clone(), b.clone());
    let to_second = second.is_autodiff().then(|| {
        with_backward(second, value.zeros_like(), move |gradient: Tensor<3>| {
            if last {
                matmul(a.clone(), gradient)
            } else {
                matmul(gradient.transpose(), a.clone())
            }
        })
    });
    let value = with_backward(first, value, move |gradient: Tensor<3>| {
        if last {
            matmul(b.clone(), gradient.transpose())
        } else {
            matmul(gradient, b.clone())
        }
    });
    match to_second {
        Some(zeros) => value + zeros,
        None => value,
    }
}

/// [`products`] of a map with itself.
pub(crate) fn own_products(x: Tensor<3>, last: bool) -> Tensor<3> {
    if Dense::of(&x).is_none() {
        return products(x.clone(), x, last);
    }
    let own = x.clone().without_autodiff();
    let value = products(own.clone(), own.clone(), last);
    with_backward(x, value, move |gradient: Tensor<3>| {
        let gradient = gradient.clone() + gradient.transpose();
        if last {
            matmul(own.clone(), gradient)
        } else {
            matmul(gradient, own.clone())
        }
    })
}

/// The discrepancy of neuron selectivity transfer of each sample, `[batch]`, from maps in one order: `[batch, pixels, channels]` each if
/// `last`, else `[batch, channels, pixels]`.
///
/// With `s`, `t`, `x` the inner products of the student's channels, of the teacher's and across, and `r = 1 / diag(s)`, `q = 1 /
/// diag(t)`, it is `mean t^2 q q' + mean s^2 r r' - 2 mean x^2 r q'`. The way back is two products, whose factors are written here.
pub(crate) fn selectivity(student: Tensor<3>, teacher: Tensor<3>, last: bool) -> Option<Tensor<1>> {
    Dense::of(&student)?;
    let own = student.clone().without_autodiff();
    let within_s = products(own.clone(), own.clone(), last);
    let within_t = products(teacher.clone(), teacher.clone(), last);
    let across = products(own.clone(), teacher.clone(), last);
    let [batch, c_s, c_t] = across.dims();
    let (s, t, x) = (
        Dense::of(&within_s)?,
        Dense::of(&within_t)?,
        Dense::of(&across)?,
    );
    let tracked = student.is_autodiff();
    let mut values = vec![0.0; batch];
    let (mut to_s, mut to_t) = (Vec::new(), Vec::new());
    if tracked {
        to_s.resize(batch * c_s * c_s, 0.0);
        to_t.resize(batch * c_s * c_t, 0.0);
    } else {
        // One row of nothing for each sample.
        to_s.resize(batch, 0.0);
        to_t.resize(batch, 0.0);
    }
    let (size_s, size_t) = (to_s.len() / batch, to_t.len() / batch);
    values
        .par_iter_mut()
        .zip(to_s.par_chunks_mut(size_s).zip(to_t.par_chunks_mut(size_t)))
        .zip(s.par_chunks(c_s * c_s).zip(t.par_chunks(c_t * c_t)))
        .zip(x.par_chunks(c_s * c_t))
        .for_each(|(((value, (to_s, to_t)), (s, t)), x)| {
            let inverse = |products: &[f32], channels: usize| -> Vec<f32> {
                let diagonal = products.iter().step_by(channels + 1);
                diagonal
                    .map(|&square| if square < 1e-24 { 0.0 } else { 1.0 / square })
                    .collect()
            };
            let (r, q) = (inverse(s, c_s), inverse(t, c_t));
            let (of_s, of_t, of_x) = (
                1.0 / (c_s * c_s) as f32,
                1.0 / (c_t * c_t) as f32,
                1.0 / (c_s * c_t) as f32,
            );
            for (row, q_row) in t.chunks(c_t).zip(&q) {
                *value += of_t * q_row * weighted_squares(row, &q);
            }
            for i in 0..c_s {
                let (row_s, row_x) = (&s[i * c_s..][..c_s], &x[i * c_t..][..c_t]);
                let (sum_s, sum_x) = (weighted_squares(row_s, &r), weighted_squares(row_x, &q));
                *value += r[i] * (of_s * sum_s - 2.0 * of_x * sum_x);
                if !tracked {
                    continue;
                }
                // Of the inner products, counted twice for the student's own, which stand on both sides.
                for (to, (s, r_j)) in to_s[i * c_s..][..c_s].iter_mut().zip(row_s.iter().zip(&r)) {
                    *to = 4.0 * of_s * s * r[i] * r_j;
                }
                for (to, (x, q_k)) in to_t[i * c_t..][..c_t].iter_mut().zip(row_x.iter().zip(&q)) {
                    *to = -4.0 * of_x * x * r[i] * q_k;
                }
                let to_r = 2.0 * (of_s * sum_s - of_x * sum_x);
                to_s[i * c_s + i] -= 2.0 * to_r * r[i] * r[i];
            }
        });
    let device = own.device();
    let value = Tensor::from_data(TensorData::new(values, [batch]), &device);
    if !tracked {
        return Some(value);
    }
    let to_s = Tensor::<3>::from_data(TensorData::new(to_s, [batch, c_s, c_s]), &device);
    let to_t = Tensor::<3>::from_data(TensorData::new(to_t, [batch, c_s, c_t]), &device);
    Some(with_backward(student, value, move |gradient: Tensor<1>| {
        let [batch] = gradient.dims();
        let gradient = gradient.reshape([batch, 1, 1]);
        let (to_s, to_t) = (to_s.clone() * gradient.clone(), to_t.clone() * gradient);
        if last {
            matmul(own.clone(), to_s) + matmul(teacher.clone(), to_t.transpose())
        } else {
            matmul(to_s, own.clone()) + matmul(to_t, teacher.clone())
        }
    }))
}

fn weighted_squares(x: &[f32], weights: &[f32]) -> f32 {
    x.iter()
        .zip(weights)
        .map(|(x, weight)| x * x * weight)
        .sum()
}
