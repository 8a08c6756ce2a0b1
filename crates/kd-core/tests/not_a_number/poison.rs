//! One number that is not a number, in the student's argument or in the teacher's.

use burn::tensor::Tensor;
use kd_core::{
    DdgsdLossConfig, DistortedView, KdclEnsemble, KdclLossConfig, ParaphraserConfig, divergence,
};

use crate::catalogue::*;
use crate::{DTYPE, device};

const BATCH: usize = 3;

fn input(width: usize, phase: f64) -> Vec<f64> {
    numbers(BATCH, width, 1.5, phase)
}

fn tensor(values: &[f64], width: usize) -> Tensor<2> {
    rows(values, width.max(1), &device()).cast(DTYPE)
}

/// Whether value and gradient are finite.
fn is_finite(loss: &Loss, student: &[f64], teacher: &[f64]) -> bool {
    let student = tensor(student, loss.student);
    let (value, gradient) = with_gradient(loss, &student, &tensor(teacher, loss.teacher));
    value.is_finite() && gradient.iter().all(|g| g.is_finite())
}

#[test]
fn every_loss_carries_nan_of_either_argument() {
    let mut swallowed = Vec::new();
    for innermost in [false, true] {
        channels_innermost(innermost);
        for loss in taught().into_iter().chain(untaught()) {
            let (student, teacher) = (input(loss.student, 0.2), input(loss.teacher.max(1), 1.1));
            assert!(is_finite(&loss, &student, &teacher), "{}", loss.name);
            for place in (0..loss.student).step_by(3) {
                let mut student = student.clone();
                student[loss.student + place] = f64::NAN;
                if is_finite(&loss, &student, &teacher) {
                    swallowed.push(format!("{} of a student, {innermost}", loss.name));
                }
            }
            for place in (0..loss.teacher).step_by(3) {
                let mut teacher = teacher.clone();
                teacher[loss.teacher + place] = f64::NAN;
                if is_finite(&loss, &student, &teacher) {
                    swallowed.push(format!("{} of a teacher, {innermost}", loss.name));
                }
            }
        }
    }
    swallowed.dedup();
    assert!(swallowed.is_empty(), "not a number is lost: {swallowed:#?}");
}

fn matrix<const B: usize, const C: usize>(rows: [[f64; C]; B]) -> Tensor<2> {
    Tensor::from_data(rows, (&device(), DTYPE))
}

#[test]
fn divergences_carry_nan() {
    const NAN: f64 = f64::NAN;
    // The second class does not count for the divergence, unless it is not a number.
    let log_q = || matrix([[-0.5, NAN]]);
    assert!(host(divergence::kl_probs(matrix([[1.0, 0.0]]), log_q()))[0].is_nan());
    let q = || matrix([[-0.5, -1.0]]);
    assert!(host(divergence::kl_probs(matrix([[1.0, NAN]]), q()))[0].is_nan());
    assert!(host(divergence::kl_log(q(), log_q()))[0].is_nan());
    assert!(host(divergence::kl_log(log_q(), q()))[0].is_nan());
    assert!(host(divergence::entropy(log_q(), 4.0))[0].is_nan());
    assert!(host(divergence::soft_cross_entropy(log_q(), q()))[0].is_nan());
    assert!(host(divergence::soft_cross_entropy(q(), log_q()))[0].is_nan());
    let labels = labels(1, &device());
    assert!(
        host(divergence::cross_entropy(
            matrix([[NAN, 0.0, 0.0, 1.0, 0.0]]),
            labels
        ))[0]
            .is_nan()
    );
}

/// Of three peers, wherever the one that is not a number stands.
#[test]
fn ensembles_of_peers_carry_nan() {
    for ensemble in [
        KdclEnsemble::Naive,
        KdclEnsemble::Linear,
        KdclEnsemble::MinLogit,
    ] {
        let config = KdclLossConfig::new().with_ensemble(ensemble.clone());
        let loss = config.init().unwrap();
        for peer in 0..3 {
            for place in 0..CLASSES {
                let mut logits = [0.1, 0.7, 1.9].map(|phase| input(CLASSES, phase));
                logits[peer][CLASSES + place] = f64::NAN;
                let logits = logits.map(|values| tensor(&values, CLASSES));
                let losses = loss.forward(&logits, labels(BATCH, &device()));
                for (other, loss) in losses.into_iter().enumerate() {
                    let name = format!("{ensemble:?}, {other} of {peer} at {place}");
                    assert!(number(loss).is_nan(), "{name}");
                }
            }
        }
    }
}

#[test]
fn views_and_reconstructions_carry_nan() {
    let autodiff = device().autodiff();
    let view = |values: &[f64]| DistortedView {
        logits: Tensor::from_inner(tensor(values, CLASSES)),
        features: Tensor::from_inner(tensor(values, CLASSES)),
    };
    let loss = DdgsdLossConfig::new().init().unwrap();
    let (fine, mut poisoned) = (input(CLASSES, 0.3), input(CLASSES, 0.9));
    poisoned[CLASSES] = f64::NAN;
    for [a, b] in [[&fine, &poisoned], [&poisoned, &fine]] {
        let labels = labels(BATCH, &autodiff);
        assert!(number(loss.forward(view(a), view(b), labels)).is_nan());
    }
    let paraphraser = ParaphraserConfig::new(MAP[0]).init(&device()).unwrap();
    let width = MAP.iter().product();
    let mut values = input(width, 0.3);
    values[width + 1] = f64::NAN;
    for innermost in [false, true] {
        channels_innermost(innermost);
        let map = map(tensor(&values, width), MAP);
        assert!(number(paraphraser.reconstruction_loss(map)).is_nan());
    }
}
