use burn::tensor::{Tensor, TensorData};
use kd_nn::custom::{Dense, matmul, with_backward};
use rayon::prelude::*;

use super::products;

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
    if batch == 0 {
        return None;
    }
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
