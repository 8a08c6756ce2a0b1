use burn::tensor::{Tensor, TensorData};
use kd_nn::custom::{Dense, dense_tensor, with_backward};
use rayon::prelude::*;

use super::{LANES, numbers};

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
        // What is not a number is on neither side, and `f32::max` would drop it.
        let sign = if teacher.is_nan() { teacher } else { sign };
        let lacking = self.margin - sign * student;
        (if lacking < 0.0 { 0.0 } else { lacking }, sign)
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
