//! Half precision, f16 and bf16: a loss computes in float32 what the numbers are, and gives a
//! float32; the gradient has the student's type.
//!
//! So every comparison is with the same numbers as float32, and with their gradient rounded to the
//! student's type. A cast lays a view out anew, which changes the order of some sums: values may
//! differ by 1e-6 of them, gradients by that of the largest number and, as that may be rounded to
//! the neighbour, by a unit in the last place of the student's type.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../catalogue/mod.rs"]
mod catalogue;

use burn::tensor::{DType, Device, Tensor};
use catalogue::*;
use kd_core::divergence;

const BATCH: usize = 3;
const HALVES: [DType; 2] = [DType::F16, DType::BF16];

/// A row for each sample.
fn input(kind: &str, width: usize, phase: f64) -> Tensor<2> {
    let width = width.max(1);
    let values = match kind {
        "ordinary" => numbers(BATCH, width, 1.5, phase),
        "zero" => vec![0.0; BATCH * width],
        "equal samples" => numbers(1, width, 1.5, phase).repeat(BATCH),
        "small" => numbers(BATCH, width, 1e-4, phase),
        "large" => numbers(BATCH, width, 1e3, phase),
        _ => panic!("{kind}"),
    };
    rows(&values, width, &Device::flex())
}

/// The value of a loss and its gradient.
fn evaluate(loss: &Loss, student: &Tensor<2>, teacher: &Tensor<2>) -> (Tensor<1>, Tensor<2>) {
    let leaf = Tensor::from_inner(student.clone()).require_grad();
    let value = loss.of(&leaf, teacher);
    let gradient = leaf.grad(&value.backward()).expect("a gradient");
    (value.without_autodiff(), gradient)
}

fn close(name: &str, found: Vec<f64>, expected: Vec<f64>, unit: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for (found, expected) in found.into_iter().zip(expected) {
        // Of f16 a gradient can be infinite.
        let same =
            found == expected || (found - expected).abs() <= unit * expected.abs() + 1e-6 * largest;
        assert!(same, "{name}: {found} instead of {expected}");
    }
}

#[test]
fn every_loss_computes_half_precision_in_single() {
    let kinds = ["ordinary", "zero", "equal samples", "small", "large"];
    let kinds = || kinds.iter().flat_map(|s| kinds.map(|t| (*s, t)));
    let cases = || {
        HALVES
            .iter()
            .flat_map(|half| kinds().map(|(s, t)| (*half, s, t)))
    };
    for loss in taught().into_iter().chain(untaught()) {
        for (half, of_student, of_teacher) in cases() {
            let student = input(of_student, loss.student, 0.2).cast(half);
            let teacher = input(of_teacher, loss.teacher, 1.1).cast(half);
            let (wide_s, wide_t) = (
                student.clone().cast(DType::F32),
                teacher.clone().cast(DType::F32),
            );
            let name = format!("{}: {half:?}, {of_student} and {of_teacher}", loss.name);
            let (expected, slope) = evaluate(&loss, &wide_s, &wide_t);
            assert!(number(expected.clone()).is_finite(), "{name}");
            let slope = slope.cast(half);
            for (student, teacher) in [
                (&student, &teacher),
                (&student, &wide_t),
                (&wide_s, &teacher),
            ] {
                let (value, gradient) = evaluate(&loss, student, teacher);
                assert_eq!(value.dtype(), DType::F32, "{name}");
                close(&name, host(value), host(expected.clone()), 0.0);
                assert_eq!(gradient.dtype(), student.dtype(), "{name}");
                let unit = if half == DType::F16 {
                    2f64.powi(-10)
                } else {
                    2f64.powi(-7)
                };
                close(&name, host(gradient.cast(half)), host(slope.clone()), unit);
            }
        }
    }
}

#[test]
fn every_loss_of_samples_computes_half_precision_in_single() {
    for loss in taught().into_iter().chain(untaught()) {
        let Some(each) = &loss.each else { continue };
        for half in HALVES {
            let student = input("ordinary", loss.student, 0.2).cast(half);
            let teacher = input("ordinary", loss.teacher, 1.1).cast(half);
            let wide = |x: &Tensor<2>| x.clone().cast(DType::F32);
            let labels = || labels(BATCH, &student.device());
            let expected = each(wide(&student), wide(&teacher), labels());
            let found = each(student.clone(), teacher, labels());
            assert_eq!(found.dtype(), DType::F32, "{}", loss.name);
            close(loss.name, host(found), host(expected), 0.0);
        }
    }
}

#[test]
fn divergences_compute_half_precision_in_single() {
    for half in HALVES {
        let narrow = |phase| input("ordinary", CLASSES, phase).cast(half);
        let wide = |phase| narrow(phase).cast(DType::F32);
        let same = |found: Tensor<1>, expected: Tensor<1>| {
            assert_eq!(found.dtype(), DType::F32);
            assert_eq!(host(found), host(expected));
        };
        same(
            divergence::entropy(narrow(0.2), 4.0),
            divergence::entropy(wide(0.2), 4.0),
        );
        let expected = divergence::kl(wide(0.2), wide(1.1), 4.0);
        same(
            divergence::kl(narrow(0.2), narrow(1.1), 4.0),
            expected.clone(),
        );
        same(
            divergence::kl(wide(0.2), narrow(1.1), 4.0),
            expected.clone(),
        );
        same(divergence::kl(narrow(0.2), wide(1.1), 4.0), expected);
        let p = divergence::softmax(wide(0.2), 1.0).cast(half);
        let wide_p = p.clone().cast(DType::F32);
        let expected = divergence::kl_probs(wide_p.clone(), wide(1.1));
        same(
            divergence::kl_probs(p.clone(), narrow(1.1)),
            expected.clone(),
        );
        same(divergence::kl_probs(wide_p.clone(), narrow(1.1)), expected);
        same(
            divergence::soft_cross_entropy(p, narrow(1.1)),
            divergence::soft_cross_entropy(wide_p, wide(1.1)),
        );
    }
}
