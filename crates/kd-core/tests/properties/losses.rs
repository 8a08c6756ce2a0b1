//! What losses have in common.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use crate::cases;
use crate::catalogue::*;

/// Of maps, or of what is computed of them, that are scaled to norm 1.
pub(crate) const NORMALISED: [&str; 7] = [
    "AT",
    "AT by norm",
    "FT",
    "FT of whole factors",
    "NST",
    "SP",
    "SP whole",
];

/// Relative to the loss plus 1. Numbers of norm 1 are rounded by 1e-7; distances and angles enter with weights of 25 and 50, the edges of
/// a graph with 5, divergences with tau^2, in DKD 8 times as much.
pub(crate) fn rounding(loss: &Loss) -> f64 {
    match loss.name {
        name if NORMALISED.contains(&name) => 1e-6,
        "PKT" => 1e-6,
        "RKD" | "IRG" => 1e-4,
        "DKD" => 128.0 * f64::from(crate::ROUNDING),
        _ => 16.0 * f64::from(crate::ROUNDING),
    }
}

const WIDEST: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) size: usize,
    student: Vec<f32>,
    teacher: Vec<f32>,
}

impl Batch {
    pub(crate) fn student(&self, loss: &Loss) -> Tensor<2> {
        self.rows(&self.student, loss.student)
    }

    pub(crate) fn teacher(&self, loss: &Loss) -> Tensor<2> {
        self.rows(&self.teacher, loss.teacher)
    }

    fn rows(&self, values: &[f32], width: usize) -> Tensor<2> {
        let values = values[..self.size * width].to_vec();
        let data = TensorData::new(values, [self.size, width]);
        Tensor::from_data(data, &Device::flex())
    }
}

pub(crate) fn batches() -> impl Strategy<Value = Batch> {
    (2usize..5, 0.5f32..8.0).prop_flat_map(|(size, scale)| {
        let numbers = prop::collection::vec(-scale..scale, size * WIDEST);
        (numbers.clone(), numbers).prop_map(move |(student, teacher)| Batch {
            size,
            student,
            teacher,
        })
    })
}

fn value(loss: &Loss, student: &Tensor<2>, teacher: &Tensor<2>) -> f64 {
    number(loss.of(student, teacher))
}

proptest! {
    #![proptest_config(cases())]

    /// All but VID, a likelihood.
    #[test]
    fn losses_are_not_negative(batch in batches()) {
        for loss in taught().into_iter().chain(untaught()).filter(|loss| loss.name != "VID") {
            let value = value(&loss, &batch.student(&loss), &batch.teacher(&loss));
            prop_assert!(value >= -rounding(&loss) && value.is_finite(), "{}: {value}", loss.name);
        }
    }

    #[test]
    fn a_student_that_equals_its_teacher_has_nothing_to_learn(batch in batches()) {
        for loss in distances() {
            let teacher = batch.teacher(&loss);
            let (value, gradient) = with_gradient(&loss, &teacher, &teacher);
            prop_assert!(value.abs() <= rounding(&loss), "{}: {value}", loss.name);
            prop_assert!(gradient.iter().all(|g| g.abs() <= rounding(&loss)), "{}: {gradient:?}", loss.name);
        }
    }

    #[test]
    fn no_student_is_better_than_the_teacher(batch in batches()) {
        let soft = |loss: &Loss| loss.name == "soft cross-entropy";
        for loss in distances().into_iter().chain(mixtures().into_iter().filter(soft)) {
            let (student, teacher) = (batch.student(&loss), batch.teacher(&loss));
            let (best, other) = (value(&loss, &teacher, &teacher), value(&loss, &student, &teacher));
            prop_assert!(best <= other + rounding(&loss), "{}: {best} {other}", loss.name);
        }
    }

    #[test]
    fn the_loss_is_the_mean_of_the_samples(batch in batches()) {
        for loss in taught().into_iter().chain(untaught()) {
            let Some(each) = &loss.each else { continue };
            let (student, teacher) = (batch.student(&loss), batch.teacher(&loss));
            let mean = value(&loss, &student, &teacher);
            let each = host(each(student, teacher, labels(batch.size, &Device::flex())));
            prop_assert_eq!(each.len(), batch.size);
            let sum: f64 = each.iter().sum();
            let size = 1.0 + each.iter().map(|x| x.abs()).sum::<f64>();
            prop_assert!((mean - sum / batch.size as f64).abs() <= 1e-6 * size, "{}", loss.name);
        }
    }

    /// All but those that compare a sample with the next one (CC) or with what is remembered of others (CRD).
    #[test]
    fn the_order_of_the_samples_does_not_matter(batch in batches()) {
        let ordered = |loss: &Loss| !["CC", "CRD", "CRD InfoNCE"].contains(&loss.name);
        let losses = distances().into_iter().chain(mixtures()).chain(untaught()).chain(learned());
        for loss in losses.filter(ordered) {
            let (student, teacher) = (batch.student(&loss), batch.teacher(&loss));
            let labels = labels(batch.size, &Device::flex());
            let before = number((loss.value)(student.clone(), teacher.clone(), labels.clone()));
            let after = number((loss.value)(student.flip([0]), teacher.flip([0]), labels.flip([0])));
            prop_assert!((before - after).abs() <= 1e-5 * (1.0 + before.abs()), "{}: {before} {after}", loss.name);
        }
    }
}
