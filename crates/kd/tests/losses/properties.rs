//! Bounds, and what does not depend on the order of the samples.

use kd::burn::tensor::{Tensor, TensorData};
use proptest::prelude::*;

use crate::catalogue::*;

const ROUNDING: f64 = 2e-5;

pub(crate) fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Of maps that are scaled to norm 1.
pub(crate) const NORMALISED: [&str; 3] = ["at", "nst", "sp"];

/// Relative to the loss plus 1. Numbers of norm 1 are rounded by 1e-7; distances and angles enter
/// with weights of 25 and 50, the edges of a graph with 5, divergences with tau^2, in DKD 8 times
/// as much.
pub(crate) fn rounding(loss: &Loss) -> f64 {
    match loss.term {
        term if NORMALISED.contains(&term) || term == "pkt" => 1e-6,
        "rkd" | "irg" => 1e-4,
        "dkd" => 128.0 * ROUNDING,
        _ => 16.0 * ROUNDING,
    }
}

/// Losses that are not 0 where student and teacher are equal: with a term of the labels, a margin,
/// a target that is not the teacher itself, layers, or a number that is added to a denominator.
const OF_THEIR_OWN: [&str; 17] = [
    "ab",
    "cc",
    "ce",
    "crd",
    "cs_kd",
    "ddgsd",
    "dist",
    "fitnet",
    "ft",
    "label_smoothing",
    "peer_teacher",
    "ps_kd",
    "tf_kd_self",
    "tf_kd_virtual",
    "vid",
    "one",
    "okddip",
];

fn distances() -> impl Iterator<Item = &'static Loss> {
    losses().filter(|loss| loss.is_of_equals() && !loss.is_any(&OF_THEIR_OWN))
}

#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) size: usize,
    student: Vec<f32>,
    teacher: Vec<f32>,
}

impl Batch {
    /// On a device with autodiff, where layers are, and without a graph.
    pub(crate) fn student(&self) -> Tensor<2> {
        Tensor::from_inner(self.rows(&self.student, &OWN))
    }

    pub(crate) fn teacher(&self, loss: &Loss) -> Tensor<2> {
        self.rows(&self.teacher, loss.teacher)
    }

    fn rows(&self, values: &[f32], shape: &Shape) -> Tensor<2> {
        let values = values[..self.size * shape.width()].to_vec();
        let data = TensorData::new(values, [self.size, shape.width()]);
        Tensor::from_data(data, &crate::device())
    }
}

pub(crate) fn batches() -> impl Strategy<Value = Batch> {
    const WIDEST: usize = 97;
    (2usize..5, 0.5f32..8.0).prop_flat_map(|(size, scale)| {
        let numbers = prop::collection::vec(-scale..scale, size * WIDEST);
        (numbers.clone(), numbers).prop_map(move |(student, teacher)| Batch {
            size,
            student,
            teacher,
        })
    })
}

proptest! {
    #![proptest_config(cases())]

    /// All but VID, a likelihood.
    #[test]
    fn losses_are_not_negative(batch in batches()) {
        for loss in losses().filter(|loss| loss.term != "vid") {
            let value = number(loss.of(&batch.student(), &batch.teacher(loss)));
            prop_assert!(value >= -rounding(loss) && value.is_finite(), "{}: {value}", loss.name());
        }
    }

    #[test]
    fn a_student_that_equals_its_teacher_has_nothing_to_learn(batch in batches()) {
        for loss in distances() {
            let teacher = batch.teacher(loss);
            let (value, gradient) = with_gradient(loss, &teacher, &teacher);
            let (value, gradient) = (number(value), host(gradient));
            prop_assert!(value.abs() <= rounding(loss), "{}: {value}", loss.name());
            let still = gradient.iter().all(|g| g.abs() <= rounding(loss));
            prop_assert!(still, "{}: {gradient:?}", loss.name());
        }
    }

    #[test]
    fn no_student_is_better_than_the_teacher(batch in batches()) {
        for loss in distances().chain(losses().filter(|loss| loss.name().ends_with("soft"))) {
            if !loss.is_of_equals() {
                continue;
            }
            let (student, teacher) = (batch.student(), batch.teacher(loss));
            let same = Tensor::from_inner(teacher.clone());
            let [best, other] = [same, student].map(|x| number(loss.of(&x, &teacher)));
            prop_assert!(best <= other + rounding(loss), "{}: {best} {other}", loss.name());
        }
    }

    /// All but those that compare a sample with the next one (CC) or with what is remembered of
    /// others (CRD).
    #[test]
    fn the_order_of_the_samples_does_not_matter(batch in batches()) {
        for loss in losses().filter(|loss| !loss.is(&["cc"]) && loss.term != "crd") {
            let (student, teacher) = (batch.student(), batch.teacher(loss));
            let labels = labels(batch.size, &student.device());
            let before = number(loss.with_labels(&student, &teacher, labels.clone()));
            let after = loss.with_labels(&student.flip([0]), &teacher.flip([0]), labels.flip([0]));
            let (after, bound) = (number(after), 1e-5 * (1.0 + before.abs()));
            prop_assert!((before - after).abs() <= bound, "{}: {before} {after}", loss.name());
        }
    }
}
