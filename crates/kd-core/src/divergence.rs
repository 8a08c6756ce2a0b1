//! Softened distributions and the distances between them, one number per sample, in nats.
//!
//! Notation: `z` are logits `[batch, classes]`, `tau` is the temperature and `p^tau = softmax(z / tau)`. No function here
//! multiplies by `tau^2`: that factor belongs to a loss, not to a distance.
//!
//! Everything works on log-probabilities after the row maximum has been subtracted, so logits of magnitude 1e4 (and more) give
//! finite values and finite gradients: a probability may underflow to 0, its logarithm stays finite, and `0 * log 0` counts as 0.
//!
//! Logits of half precision, f16 or bf16, are computed in f32, which is then the type of the
//! result.
//!
//! # Panics
//!
//! As in Burn itself, shapes that do not fit panic. So does a temperature that is not positive and finite.

use burn::nn::Linear;
use burn::tensor::{DType, Int, Tensor, activation};
use kd_nn::custom::on_cpu;

/// `log softmax(z / tau)` over the classes: `[batch, classes]` -> `[batch, classes]`.
pub fn log_softmax(logits: Tensor<2>, temperature: f32) -> Tensor<2> {
    activation::log_softmax(soften(logits, temperature), 1)
}

/// `softmax(z / tau)` over the classes: `[batch, classes]` -> `[batch, classes]`, rows sum to 1.
pub fn softmax(logits: Tensor<2>, temperature: f32) -> Tensor<2> {
    activation::softmax(soften(logits, temperature), 1)
}

/// Shannon entropy of the softened distribution, `H(p) = -sum_c p_c log p_c`: `[batch, classes]` -> `[batch]`.
///
/// In nats, between 0 (certain) and `ln(classes)` (uniform).
pub fn entropy(logits: Tensor<2>, temperature: f32) -> Tensor<1> {
    let log_p = log_softmax(logits, temperature);
    sum_classes(log_p.clone().exp() * log_p).neg()
}

/// Kullback-Leibler divergence from the softened student to the softened teacher:
/// `KL(p_t || p_s) = sum_c p_t,c (log p_t,c - log p_s,c)`, both at temperature `tau`.
///
/// Not negative except for rounding, and 0 where the logits are equal up to a shift per row. The gradient with respect to
/// the student's logits is `(p_s - p_t) / tau`; the teacher is a constant (see [`constant_like`]).
///
/// # Shapes
///
/// - `teacher_logits`, `student_logits`: `[batch, classes]`, the same for both
/// - output: `[batch]`
pub fn kl(teacher_logits: Tensor<2>, student_logits: Tensor<2>, temperature: f32) -> Tensor<1> {
    assert_same_shape("teacher logits", &teacher_logits, &student_logits);
    let student_logits = widen(student_logits);
    let log_t = log_softmax(constant_like(teacher_logits, &student_logits), temperature);
    kl_log(log_t, log_softmax(student_logits, temperature))
}

/// `KL(p || q) = sum_c p_c (log p_c - log q_c)` of two distributions given as log-probabilities, such as [`log_softmax`] makes
/// them. Both may carry a gradient: nothing is detached here.
///
/// # Shapes
///
/// - `log_p`, `log_q`: `[batch, classes]`, finite
/// - output: `[batch]`
pub fn kl_log(log_p: Tensor<2>, log_q: Tensor<2>) -> Tensor<1> {
    let (log_p, log_q) = (widen(log_p), widen(log_q));
    sum_classes(log_p.clone().exp() * (log_p - log_q))
}

/// Cross-entropy with hard labels, `-log softmax(z)_y`, also known as the negative log-likelihood.
///
/// # Shapes
///
/// - `logits`: `[batch, classes]`
/// - `labels`: `[batch]`, each in `0..classes`
/// - output: `[batch]`
///
/// # Panics
///
/// If a label on the CPU is outside `0..classes`, as all functions and losses that take labels do.
/// Labels that lie on another device are not read, because that would wait for all that it still
/// computes: check them where they enter the program.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let labels = labels_like(labels, &logits);
    let log_p = log_softmax(logits, 1.0);
    log_p
        .gather(1, labels.unsqueeze_dim(1))
        .squeeze_dim(1)
        .neg()
}

/// Cross-entropy with a target distribution, `-sum_c t_c log softmax(z)_c`: hard labels, label smoothing, mixed labels and a
/// teacher's probabilities are all special cases.
///
/// # Shapes
///
/// - `target_probs`: `[batch, classes]`, rows sum to 1; a constant (see [`constant_like`])
/// - `logits`: `[batch, classes]`
/// - output: `[batch]`
pub fn soft_cross_entropy(target_probs: Tensor<2>, logits: Tensor<2>) -> Tensor<1> {
    assert_same_shape("target probabilities", &target_probs, &logits);
    let logits = widen(logits);
    let target = constant_like(target_probs, &logits);
    sum_classes(target * log_softmax(logits, 1.0)).neg()
}

/// Kullback-Leibler divergence between a distribution given as probabilities and one given as log-probabilities,
/// `KL(p || q) = sum_c p_c (log p_c - log q_c)`.
///
/// Classes with `p_c = 0` contribute nothing, whatever `q_c` is, even with `log q_c = -inf`: a distribution of human votes has
/// many exact zeros. A class with `p_c > 0` and `q_c = 0` makes the divergence infinite, as it should.
///
/// # Shapes
///
/// - `p`: `[batch, classes]`, rows sum to 1; a constant (see [`constant_like`])
/// - `log_q`: `[batch, classes]`, for example from [`log_softmax`]
/// - output: `[batch]`
pub fn kl_probs(p: Tensor<2>, log_q: Tensor<2>) -> Tensor<1> {
    assert_same_shape("probabilities", &p, &log_q);
    let log_q = widen(log_q);
    let p = constant_like(p, &log_q);
    let absent = p.clone().equal_elem(0.0);
    let log_p = p.clone().mask_fill(absent.clone(), 1.0).log();
    // Filled before the product: 0 * inf would be NaN, also in the gradient. What is NaN already
    // stays.
    let absent = absent.bool_and(log_q.clone().is_nan().bool_not());
    let log_ratio = (log_p - log_q).mask_fill(absent, 0.0);
    sum_classes(p * log_ratio)
}

/// `x` as a constant beside `like`: without autodiff history, on the compute device of `like`, in
/// the number type of `like`.
///
/// This is the one place where a target enters a loss. A target may have been computed without autodiff (a frozen teacher), with
/// it (a peer network), or with another gradient-checkpointing strategy than the student's, which Burn refuses to
/// combine; after this call all are the same: a tensor without autodiff association, which Burn treats as a constant in an
/// operation with a differentiable one. No copy is made when both already share a device.
pub fn constant_like<const D: usize>(x: Tensor<D>, like: &Tensor<D>) -> Tensor<D> {
    x.without_autodiff()
        .to_device(&like.device().without_autodiff())
        .cast(like.dtype())
}

/// `x` in the number type in which losses compute: half precision, f16 or bf16, as f32, all others
/// as they are.
///
/// Squares and exponentials of ordinary numbers leave the range of f16, and their sums the
/// precision of both.
pub(crate) fn widen<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(DType::F32),
        _ => x,
    }
}

/// What a linear layer makes of `x`: computed in the number type of its weights, given in that of
/// the losses.
pub(crate) fn project<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    widen(layer.forward(x.cast(layer.weight.dtype())))
}

/// A constant where layers with a graph can take it: in the autodiff context of `like`, whatever that is, without history.
pub(crate) fn track_like<const D: usize, const E: usize>(
    x: Tensor<D>,
    like: &Tensor<E>,
) -> Tensor<D> {
    if like.is_autodiff() {
        Tensor::zeros(x.dims(), (&like.device(), x.dtype())) + x
    } else {
        x
    }
}

/// Labels as a constant beside `logits`, one for each row: `[batch]`. Refuses those on the CPU that
/// name no class.
pub(crate) fn labels_like(labels: Tensor<1, Int>, logits: &Tensor<2>) -> Tensor<1, Int> {
    let ([batch, classes], [count]) = (logits.dims(), labels.dims());
    assert_eq!(batch, count, "{count} labels for {batch} rows of logits");
    if on_cpu(&labels.device()) {
        for label in labels.to_data().iter::<i64>() {
            let names_a_class = usize::try_from(label).is_ok_and(|label| label < classes);
            assert!(
                names_a_class,
                "label {label} is outside of the {classes} classes"
            );
        }
    }
    let device = logits.device().without_autodiff();
    let number = device.settings().int_dtype;
    labels.without_autodiff().to_device(&device).cast(number)
}

/// 1 at the label of each row, otherwise 0, as a constant beside `logits`: `[batch, classes]`.
///
/// A row whose label names no class, which a device that is not read can have, is NaN: the loss
/// shows it.
pub(crate) fn one_hot(labels: Tensor<1, Int>, logits: &Tensor<2>) -> Tensor<2> {
    let [_, classes] = logits.dims();
    let labels = labels_like(labels, logits);
    let hot = Tensor::<1, Int>::arange(0..classes as i64, &labels.device())
        .unsqueeze::<2>()
        .equal(labels.unsqueeze_dim::<2>(1))
        .float()
        .cast(logits.dtype());
    hot.clone() / hot.sum_dim(1)
}

pub(crate) fn soften(logits: Tensor<2>, temperature: f32) -> Tensor<2> {
    assert!(
        temperature > 0.0 && temperature.is_finite(),
        "temperature = {temperature}: must be positive and finite"
    );
    // Not `div_scalar`, whose backward pass rounds 1 / tau to f32 whatever the tensor's precision.
    widen(logits).mul_scalar(1.0 / f64::from(temperature))
}

pub(crate) fn sum_classes(terms: Tensor<2>) -> Tensor<1> {
    terms.sum_dim(1).squeeze_dim(1)
}

pub(crate) fn assert_same_shape(name: &str, target: &Tensor<2>, logits: &Tensor<2>) {
    assert_eq!(
        target.dims(),
        logits.dims(),
        "{name} and the tensor compared with them must have the same [batch, classes]"
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::{Device, Tolerance};

    const HUGE: f32 = 1e4;

    fn row<const C: usize>(values: [f32; C]) -> Tensor<2> {
        Tensor::from_data([values], &Device::flex())
    }

    fn number(x: Tensor<1>) -> f32 {
        x.into_scalar()
    }

    #[test]
    fn entropy_of_uniform_and_certain() {
        let uniform = number(entropy(row([7.0; 10]), 3.0));
        assert!((uniform - 10f32.ln()).abs() < 1e-6, "{uniform}");
        assert_eq!(number(entropy(row([HUGE, -HUGE, 0.0]), 1.0)), 0.0);
    }

    #[test]
    fn temperature_divides_the_logits() {
        let softened = softmax(row([2.0, 0.0]), 2.0);
        let expected = 1f32.exp() / (1f32.exp() + 1.0);
        assert!((softened.into_data().try_to_vec::<f32>().unwrap()[0] - expected).abs() < 1e-6);
    }

    #[test]
    fn opposite_huge_logits_have_their_exact_divergence() {
        // p_t = (1, 0), log p_s = (-2e4, 0): KL = 2e4 nats.
        let value = number(kl(row([HUGE, -HUGE]), row([-HUGE, HUGE]), 1.0));
        assert_eq!(value, 2.0 * HUGE);
    }

    #[test]
    fn huge_logits_keep_values_and_gradients_finite() {
        let device = Device::flex().autodiff();
        let teacher = Tensor::<2>::from_data([[HUGE, -HUGE, 0.0], [-HUGE, -HUGE, HUGE]], &device);
        let student = Tensor::<2>::from_data([[-HUGE, HUGE, 0.0], [HUGE, 0.0, -HUGE]], &device)
            .require_grad();
        let labels = Tensor::<1, Int>::from_data([0, 2], &device);
        for temperature in [1.0, 4.0] {
            let values = kl(teacher.clone(), student.clone(), temperature)
                + cross_entropy(student.clone(), labels.clone())
                + entropy(student.clone(), temperature)
                + soft_cross_entropy(softmax(teacher.clone(), temperature), student.clone())
                + kl_probs(
                    softmax(teacher.clone(), temperature),
                    log_softmax(student.clone(), temperature),
                );
            let gradient = student.grad(&values.clone().sum().backward()).unwrap();
            for x in values
                .inner()
                .into_data()
                .iter::<f32>()
                .chain(gradient.into_data().iter::<f32>())
            {
                assert!(x.is_finite(), "tau {temperature}: {x}");
            }
        }
    }

    #[test]
    fn hard_labels_are_one_hot_targets() {
        let logits = Tensor::<2>::from_data([[0.3, -1.2, 2.0], [1.5, 0.0, -0.7]], &Device::flex());
        let one_hot = Tensor::<2>::from_data([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]], &Device::flex());
        let labels = Tensor::<1, Int>::from_data([2, 1], &Device::flex());
        let hard = cross_entropy(logits.clone(), labels);
        let soft = soft_cross_entropy(one_hot.clone(), logits.clone());
        let divergence = kl_probs(one_hot, log_softmax(logits, 1.0)); // the entropy of a one-hot target is 0
        hard.to_data()
            .assert_approx_eq::<f32>(&soft.to_data(), Tolerance::absolute(1e-6));
        hard.to_data()
            .assert_approx_eq::<f32>(&divergence.to_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn zeros_of_p_contribute_nothing_and_zeros_of_q_are_infinitely_far() {
        let q = row([0.5, 0.5, 0.0]).log();
        let value = number(kl_probs(row([0.25, 0.75, 0.0]), q.clone()));
        let expected = 0.25 * 0.5f32.ln() + 0.75 * 1.5f32.ln();
        assert!((value - expected).abs() < 1e-6, "{value}");
        assert_eq!(number(kl_probs(row([0.5, 0.25, 0.25]), q)), f32::INFINITY);
    }

    #[test]
    fn zeros_of_p_leave_no_nan_in_the_gradient() {
        let log_q = Tensor::<2>::from_data([[0.0, f32::NEG_INFINITY]], &Device::flex().autodiff())
            .require_grad();
        let p = row([1.0, 0.0]);
        let gradient = log_q.grad(&kl_probs(p, log_q.clone()).backward()).unwrap();
        assert_eq!(
            gradient.into_data().try_to_vec::<f32>().unwrap(),
            [-1.0, 0.0]
        );
    }

    #[test]
    fn constant_like_leaves_autodiff_and_keeps_the_values() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data([[1.0, 2.0]], &device).require_grad();
        let constant = constant_like(x.clone() * 2.0, &x);
        assert!(!constant.is_autodiff());
        assert_eq!(
            constant.clone().into_data().try_to_vec::<f32>().unwrap(),
            [2.0, 4.0]
        );
        let gradients = (constant * x.clone()).sum().backward();
        assert_eq!(
            x.grad(&gradients)
                .unwrap()
                .into_data()
                .try_to_vec::<f32>()
                .unwrap(),
            [2.0, 4.0]
        );
    }

    #[test]
    #[should_panic(expected = "2 labels for 1 rows")]
    fn counts_of_labels_and_rows_must_agree() {
        cross_entropy(row([0.0, 1.0]), Tensor::from_data([0, 1], &Device::flex()));
    }

    #[test]
    #[should_panic(expected = "temperature = 0")]
    fn a_temperature_of_zero_is_refused() {
        softmax(row([0.0, 1.0]), 0.0);
    }
}
