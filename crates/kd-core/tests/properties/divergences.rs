use burn::tensor::{Device, Int, Tensor, TensorData};
use kd_core::{KdLossConfig, divergence};
use proptest::prelude::*;

use crate::{ROUNDING, cases};

#[derive(Debug, Clone)]
struct Pair {
    batch: usize,
    classes: usize,
    teacher: Vec<f32>,
    student: Vec<f32>,
    temperature: f32,
}

impl Pair {
    fn tensor(&self, values: &[f32]) -> Tensor<2> {
        let data = TensorData::new(values.to_vec(), [self.batch, self.classes]);
        Tensor::from_data(data, &Device::flex())
    }
    fn kl(&self) -> Vec<f32> {
        let (teacher, student) = (self.tensor(&self.teacher), self.tensor(&self.student));
        numbers(divergence::kl(teacher, student, self.temperature))
    }
}

fn numbers(x: Tensor<1>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

fn pairs() -> impl Strategy<Value = Pair> {
    (1usize..5, 2usize..12, 0.5f32..20.0).prop_flat_map(|(batch, classes, temperature)| {
        let logits = prop::collection::vec(-30f32..30.0, batch * classes);
        (logits.clone(), logits).prop_map(move |(teacher, student)| Pair {
            batch,
            classes,
            teacher,
            student,
            temperature,
        })
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn kl_is_not_negative(pair in pairs()) {
        prop_assert!(pair.kl().iter().all(|kl| *kl >= -ROUNDING && kl.is_finite()), "{:?}", pair.kl());
    }

    #[test]
    fn kl_of_equals_is_zero(mut pair in pairs()) {
        pair.student = pair.teacher.clone();
        prop_assert!(pair.kl().iter().all(|kl| *kl == 0.0));
    }

    #[test]
    fn kl_ignores_a_shift_of_each_row(pair in pairs(), shift in -20f32..20.0) {
        let mut shifted = pair.clone();
        shifted.teacher.iter_mut().for_each(|x| *x += shift);
        shifted.student.iter_mut().for_each(|x| *x -= shift);
        for (a, b) in pair.kl().iter().zip(shifted.kl()) {
            prop_assert!((a - b).abs() <= ROUNDING * (1.0 + a), "{a} {b}");
        }
    }

    #[test]
    fn losses_follow_a_permutation_of_the_samples_and_ignore_one_of_the_classes(pair in pairs(), turn in 0usize..12) {
        let (batch, classes) = (pair.batch, pair.classes);
        let turned = |values: &[f32]| -> Vec<f32> {
            (0..batch * classes)
                .map(|k| values[(k / classes + turn) % batch * classes + (k % classes + turn) % classes])
                .collect()
        };
        let labels: Vec<i64> = (0..batch).map(|i| (i % classes) as i64).collect();
        let turned_labels: Vec<i64> = (0..batch)
            .map(|i| (labels[(i + turn) % batch] + (classes * 12 - turn) as i64) % classes as i64)
            .collect();
        let loss = KdLossConfig::new().with_temperature(f64::from(pair.temperature)).init().unwrap();
        let each = |student: &[f32], teacher: &[f32], labels: Vec<i64>| {
            let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [batch]), &Device::flex());
            numbers(loss.forward_no_reduction(pair.tensor(student), pair.tensor(teacher), labels))
        };
        let before = each(&pair.student, &pair.teacher, labels);
        let after = each(&turned(&pair.student), &turned(&pair.teacher), turned_labels);
        for i in 0..batch {
            let (a, b) = (before[(i + turn) % batch], after[i]);
            // tau^2 multiplies the rounding of KL.
            prop_assert!((a - b).abs() <= ROUNDING * (a.abs() + pair.temperature.powi(2) + 1.0), "{a} {b}");
        }
    }

    #[test]
    fn softmax_and_log_softmax_agree_and_sum_to_one(pair in pairs()) {
        let p = divergence::softmax(pair.tensor(&pair.teacher), pair.temperature);
        let q = divergence::log_softmax(pair.tensor(&pair.teacher), pair.temperature).exp();
        let worst = (p.clone() - q).abs().max().into_scalar::<f32>();
        prop_assert!(worst < ROUNDING, "{worst}");
        for sum in numbers(p.sum_dim(1).squeeze_dim(1)) {
            prop_assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        }
    }

    #[test]
    fn entropy_lies_between_zero_and_the_logarithm_of_the_classes(pair in pairs()) {
        let entropy = numbers(divergence::entropy(pair.tensor(&pair.teacher), pair.temperature));
        let most = (pair.classes as f32).ln();
        prop_assert!(entropy.iter().all(|h| *h >= -ROUNDING && *h <= most + ROUNDING), "{entropy:?}");
    }

    #[test]
    fn cross_entropy_is_entropy_plus_divergence(pair in pairs()) {
        let (teacher, student) = (pair.tensor(&pair.teacher), pair.tensor(&pair.student));
        let target = divergence::softmax(teacher.clone(), 1.0);
        let cross = numbers(divergence::soft_cross_entropy(target.clone(), student.clone()));
        let entropy = numbers(divergence::entropy(teacher.clone(), 1.0));
        let from_logits = numbers(divergence::kl(teacher, student.clone(), 1.0));
        let from_probs = numbers(divergence::kl_probs(target, divergence::log_softmax(student, 1.0)));
        for i in 0..pair.batch {
            let bound = ROUNDING * (1.0 + cross[i]);
            prop_assert!((cross[i] - entropy[i] - from_logits[i]).abs() <= bound);
            prop_assert!((from_probs[i] - from_logits[i]).abs() <= bound);
        }
    }
}
