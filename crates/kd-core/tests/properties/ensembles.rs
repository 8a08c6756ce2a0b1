//! Teachers that are made of peers.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kd_core::*;
use proptest::prelude::*;

use crate::cases;
use crate::common::host;

const CLASSES: usize = 4;
const BATCH: usize = 6;

fn peers(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<Tensor<2>>> {
    let logits = prop::collection::vec(-4f64..4.0, BATCH * CLASSES).prop_map(|values| {
        let data = TensorData::new(values, [BATCH, CLASSES]);
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    });
    prop::collection::vec(logits, range)
}

fn labels() -> Tensor<1, Int> {
    Tensor::from_data([0, 1, 2, 3, 0, 2], &Device::flex())
}

fn cross_entropy(z: &Tensor<2>) -> Vec<f64> {
    host(divergence::cross_entropy(z.clone(), labels()))
}

fn teacher(ensemble: KdclEnsemble, peers: &[Tensor<2>]) -> Tensor<2> {
    let loss = KdclLossConfig::new()
        .with_ensemble(ensemble)
        .init()
        .unwrap();
    loss.teacher(peers, labels())
}

/// The squared error of probabilities that are mixed with weights, as `EnsembleErrors` measures it.
fn squared_error(peers: &[Tensor<2>], weights: &[f64]) -> f64 {
    let mixed = peers
        .iter()
        .zip(weights)
        .fold(None, |sum: Option<Tensor<2>>, (z, weight)| {
            let part = divergence::softmax(z.clone(), 1.0).mul_scalar(*weight);
            Some(match sum {
                Some(sum) => sum + part,
                None => part,
            })
        });
    let right = labels().one_hot::<2>(CLASSES).float().cast(DType::F64);
    host((mixed.unwrap() - right).square().sum())[0]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_naive_teacher_is_as_good_as_the_best_peer(peers in peers(2..=4)) {
        let found = cross_entropy(&teacher(KdclEnsemble::Naive, &peers));
        for (i, found) in found.into_iter().enumerate() {
            let best = peers.iter().map(|z| cross_entropy(z)[i]).fold(f64::INFINITY, f64::min);
            prop_assert_eq!(found, best);
        }
    }

    /// No peer and no mixture with even weights is better, up to the halvings of the search.
    #[test]
    fn the_linear_teacher_is_the_best_mixture(peers in peers(2..=4), weights in prop::collection::vec(0.01f64..1.0, 4)) {
        let found = cross_entropy(&teacher(KdclEnsemble::Linear, &peers));
        let sum: f64 = weights[..peers.len()].iter().sum();
        let mixture = peers.iter().zip(&weights).map(|(z, weight)| z.clone().mul_scalar(weight / sum));
        let mixture = Tensor::stack::<3>(mixture.collect(), 0).sum_dim(0).squeeze_dim::<2>(0);
        for z in peers.iter().chain([&mixture]) {
            for (found, other) in found.iter().zip(cross_entropy(z)) {
                // Rounds of pairs among three and more end near the best mixture.
                let bound = if peers.len() == 2 { 1e-6 } else { 1e-2 };
                prop_assert!(*found <= other + bound, "{found} {other}");
            }
        }
    }

    /// Relative to the label no logit is larger than that of any peer.
    #[test]
    fn the_teacher_of_smallest_logits_is_better_than_every_peer(peers in peers(2..=4)) {
        let found = cross_entropy(&teacher(KdclEnsemble::MinLogit, &peers));
        for z in &peers {
            prop_assert!(found.iter().zip(cross_entropy(z)).all(|(found, peer)| *found <= peer + 1e-12));
        }
    }

    #[test]
    fn the_general_weights_sum_to_one_and_no_others_have_a_smaller_error(
        peers in peers(2..=4), other in prop::collection::vec(-1f64..1.0, 4),
    ) {
        let mut errors = EnsembleErrors::new(peers.len()).unwrap();
        errors.update(&peers, labels());
        let weights = errors.weights().unwrap();
        prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{weights:?}");
        let least = squared_error(&peers, &weights);
        let mut other = other[..peers.len()].to_vec();
        other[0] += 1.0 - other.iter().sum::<f64>();
        prop_assert!(least <= squared_error(&peers, &other) + 1e-9, "{weights:?} {other:?}");
    }

    #[test]
    fn errors_of_two_batches_are_those_of_both(peers in peers(2..=4)) {
        let mut whole = EnsembleErrors::new(peers.len()).unwrap();
        whole.update(&peers, labels());
        let mut parts = EnsembleErrors::new(peers.len()).unwrap();
        for rows in [0..2, 2..BATCH] {
            let part: Vec<_> = peers.iter().map(|z| z.clone().slice([rows.clone()])).collect();
            parts.update(&part, labels().slice([rows]));
        }
        for (a, b) in whole.weights().unwrap().into_iter().zip(parts.weights().unwrap()) {
            prop_assert!((a - b).abs() < 1e-6 * (1.0 + a.abs()), "{a} {b}");
        }
    }

    #[test]
    fn of_two_peers_the_other_is_the_mean_of_the_others(peers in peers(2..=2)) {
        let of = |target| DmlLossConfig::new().with_target(target).init().unwrap().forward(&peers);
        for (a, b) in of(DmlTarget::Peers).into_iter().zip(of(DmlTarget::MeanLogits)) {
            prop_assert_eq!(host(a), host(b));
        }
    }

    #[test]
    fn gates_and_attention_are_weights(peers in peers(3..=3)) {
        let peers: Vec<_> = peers.into_iter().map(|z| z.cast(DType::F32)).collect();
        let one = OneConfig::new(CLASSES, 3).init(&Device::flex()).unwrap();
        let okddip = OkddipConfig::new(CLASSES).init(&Device::flex()).unwrap();
        let gates = one.gates(peers[0].clone());
        let attention = okddip.attention(&peers);
        prop_assert_eq!((gates.dims(), attention.dims()), ([BATCH, 3], [BATCH, 3, 3]));
        for weights in [host(gates), host(attention)] {
            prop_assert!(weights.iter().all(|w| (0.0..=1.0).contains(w)));
            prop_assert!(weights.chunks(3).all(|w| (w.iter().sum::<f64>() - 1.0).abs() < 1e-6));
        }
    }
}
