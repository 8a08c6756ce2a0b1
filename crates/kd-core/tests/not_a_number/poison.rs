//! One number that is not a number, where no term of kd-train takes it. (Losses: `samples.rs`, and
//! `crates/kd/tests/losses/poison.rs`.)

use burn::tensor::Tensor;
use kd_core::{KdclEnsemble, KdclLossConfig, ParaphraserConfig, divergence};

use crate::common::*;
use crate::{DTYPE, device};

const BATCH: usize = 3;

fn input(width: usize, phase: f64) -> Vec<f64> {
    numbers(BATCH, width, 1.5, phase)
}

fn tensor(values: &[f64], width: usize) -> Tensor<2> {
    rows(values, width, &device()).cast(DTYPE)
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
fn reconstructions_carry_nan() {
    const MAP: [usize; 3] = [4, 4, 4];
    let paraphraser = ParaphraserConfig::new(MAP[0]).init(&device()).unwrap();
    let mut values = input(64, 0.3);
    values[65] = f64::NAN;
    for innermost in [false, true] {
        channels_innermost(innermost);
        let map = map(tensor(&values, 64), MAP);
        assert!(number(paraphraser.reconstruction_loss(map)).is_nan());
    }
}
