//! Inputs at the ends: huge logits, zeros, constants, one sample, two classes. Everything stays finite in float32, and is the number that
//! the formula gives where that can be written down.
//!
//! Such a number is a few operations away from the inputs: the bound is 1e-5 of it. The batch of three samples has no label of two of the
//! five classes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../catalogue/mod.rs"]
mod catalogue;
mod logits;
mod maps;
mod relations;

use burn::tensor::{Device, Int, IntDType, Tensor};
use catalogue::*;

const HUGE: f32 = 1e4;

#[track_caller]
fn close(found: Tensor<1>, expected: f64) {
    let found = number(found);
    let distance = (found - expected).abs();
    assert!(
        distance <= 1e-5 * expected.abs() + 1e-7,
        "{found} instead of {expected}"
    );
}

fn matrix<const B: usize, const C: usize>(rows: [[f32; C]; B]) -> Tensor<2> {
    Tensor::from_data(rows, &Device::flex())
}

fn classes<const B: usize>(labels: [i64; B]) -> Tensor<1, Int> {
    Tensor::from_data(labels, &Device::flex())
}

/// A row for each sample, in one of several ways extreme.
fn rows_like(kind: &str, batch: usize, width: usize) -> Tensor<2> {
    let signs = || numbers(batch, width, 1.0, 0.4).into_iter().map(f64::signum);
    let values: Vec<f64> = match kind {
        "zero" => vec![0.0; batch * width],
        "constant" => vec![1.0; batch * width],
        "all huge" => vec![f64::from(HUGE); batch * width],
        "huge" => signs().map(|sign| sign * f64::from(HUGE)).collect(),
        "opposite" => signs().map(|sign| -sign * f64::from(HUGE)).collect(),
        "tiny" => numbers(batch, width, 1e-8, 0.4),
        "below all norms" => numbers(batch, width, 1e-15, 0.4),
        "equal samples" => numbers(1, width, 1.0, 0.4).repeat(batch),
        "a zero channel" => {
            let mut values = numbers(batch, width, 1.0, 0.4);
            values.iter_mut().take(16.min(width)).for_each(|x| *x = 0.0);
            values
        }
        "ordinary" => numbers(batch, width, 1.0, 0.9),
        _ => panic!("{kind}"),
    };
    rows(&values, width, &Device::flex())
}

#[test]
fn every_loss_stays_finite() {
    let kinds = [
        "zero",
        "constant",
        "all huge",
        "huge",
        "opposite",
        "tiny",
        "below all norms",
        "equal samples",
        "a zero channel",
        "ordinary",
    ];
    for loss in taught().into_iter().chain(untaught()) {
        for batch in [1, 2, 3] {
            for of_student in kinds {
                for of_teacher in kinds {
                    let student = rows_like(of_student, batch, loss.student);
                    let teacher = rows_like(of_teacher, batch, loss.teacher.max(1));
                    let (value, gradient) = with_gradient(&loss, &student, &teacher);
                    let name = format!("{}: {batch} of {of_student} and {of_teacher}", loss.name);
                    assert!(value.is_finite(), "{name}: {value}");
                    assert!(
                        gradient.iter().all(|g| g.is_finite()),
                        "{name}: {gradient:?}"
                    );
                }
            }
        }
    }
}

/// Of no sample there is no value.
#[test]
fn every_loss_of_samples_takes_a_batch_of_none() {
    for innermost in [false, true] {
        channels_innermost(innermost);
        for loss in taught().into_iter().chain(untaught()) {
            let Some(each) = &loss.each else { continue };
            for device in [Device::flex(), Device::flex().autodiff()] {
                let student = Tensor::zeros([0, loss.student], &device);
                let teacher = Tensor::zeros([0, loss.teacher.max(1)], &Device::flex());
                let labels = Tensor::zeros([0], &device);
                let values = each(student, teacher, labels);
                assert_eq!(values.dims(), [0], "{}", loss.name);
            }
        }
    }
}

/// Labels come as whatever integers a loader made them.
#[test]
fn labels_may_be_of_any_integer_type() {
    for loss in taught().into_iter().chain(untaught()) {
        let student = rows_like("ordinary", 3, loss.student);
        let teacher = rows_like("a zero channel", 3, loss.teacher.max(1));
        let of = |dtype: IntDType| {
            let labels = labels(3, &Device::flex()).cast(dtype);
            number((loss.value)(student.clone(), teacher.clone(), labels))
        };
        let expected = of(IntDType::I32);
        for dtype in [IntDType::I64, IntDType::U8, IntDType::U32] {
            assert_eq!(of(dtype), expected, "{}: {dtype:?}", loss.name);
        }
    }
}
