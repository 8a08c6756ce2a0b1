//! Inputs at the ends: huge numbers, zeros, constants, one sample. Everything stays finite in
//! float32.
//!
//! The batch of three samples has no label of two of the five classes.

use kd::burn::tensor::{IntDType, Tensor};

use crate::catalogue::*;

const HUGE: f64 = 1e4;

/// A row for each sample, in one of several ways extreme.
fn rows_like(kind: &str, batch: usize, shape: &Shape) -> Tensor<2> {
    let width = shape.width();
    let signs = || numbers(batch, width, 1.0, 0.4).into_iter().map(f64::signum);
    let values: Vec<f64> = match kind {
        "zero" => vec![0.0; batch * width],
        "constant" => vec![1.0; batch * width],
        "all huge" => vec![HUGE; batch * width],
        "huge" => signs().map(|sign| sign * HUGE).collect(),
        "opposite" => signs().map(|sign| -sign * HUGE).collect(),
        "tiny" => numbers(batch, width, 1e-8, 0.4),
        "below all norms" => numbers(batch, width, 1e-15, 0.4),
        "equal samples" => numbers(1, width, 1.0, 0.4).repeat(batch),
        // Of the first sample, in both orders of memory: embedding and logits are zero.
        "a zero channel" => {
            let mut values = numbers(batch, width, 1.0, 0.4);
            for piece in shape.pieces() {
                let end = piece.end.min(piece.start + 16);
                values[piece.start..end].fill(0.0);
            }
            values
        }
        "ordinary" => numbers(batch, width, 1.0, 0.9),
        _ => panic!("{kind}"),
    };
    rows(&values, width)
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
    for loss in losses() {
        for batch in [1, 2, 3] {
            for of_student in kinds {
                for of_teacher in kinds {
                    let student = rows_like(of_student, batch, &OWN);
                    let teacher = rows_like(of_teacher, batch, loss.teacher);
                    let (value, gradient) = with_gradient(loss, &student, &teacher);
                    let name = format!("{}: {batch} of {of_student} and {of_teacher}", loss.name());
                    assert!(number(value).is_finite(), "{name}");
                    let gradient = host(gradient);
                    assert!(
                        gradient.iter().all(|g| g.is_finite()),
                        "{name}: {gradient:?}"
                    );
                }
            }
        }
    }
}

/// Labels come as whatever integers a loader made them.
#[test]
fn labels_may_be_of_any_integer_type() {
    for loss in losses() {
        let student = Tensor::from_inner(rows_like("ordinary", 3, &OWN));
        let teacher = rows_like("a zero channel", 3, loss.teacher);
        let of = |dtype: IntDType| {
            let labels = labels(3, &student.device()).cast(dtype);
            number(loss.with_labels(&student, &teacher, labels))
        };
        let expected = of(IntDType::I32);
        for dtype in [IntDType::I64, IntDType::U8, IntDType::U32] {
            assert_eq!(of(dtype), expected, "{}: {dtype:?}", loss.name());
        }
    }
}
