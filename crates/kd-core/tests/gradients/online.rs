use burn::tensor::Tensor;
use kd_core::*;

use crate::harness::{BATCH, CLASSES, check, check_held, check_parameters, device, input, labels};

const FEATURES: usize = 4;
const PEERS: usize = 3;
const TEMPERATURE: f64 = 2.0;

/// Logits, or other numbers, of a peer.
fn peer(j: usize, width: usize) -> Tensor<2> {
    Tensor::from_inner(input([BATCH, width], 1.5, 1.3 * j as f64))
}

fn peers(width: usize) -> Vec<Tensor<2>> {
    (0..PEERS).map(|j| peer(j, width)).collect()
}

/// All peers, `x` in the place of one.
fn with(x: Tensor<2>, j: usize) -> Vec<Tensor<2>> {
    let [_, width] = x.dims();
    let mut all = peers(width);
    all[j] = x;
    all
}

fn start(j: usize, width: usize) -> Tensor<2> {
    peer(j, width).inner()
}

/// `tau^2 KL(target || x)`.
fn towards(target: &Tensor<2>, x: Tensor<2>) -> Tensor<1> {
    let config = KlLossConfig::new().with_temperature(TEMPERATURE);
    config.init().unwrap().forward(x, target.clone())
}

#[test]
fn dml_loss() {
    for target in [DmlTarget::Peers, DmlTarget::MeanLogits] {
        let config = DmlLossConfig::new().with_temperature(TEMPERATURE);
        let loss = config.with_target(target).init().unwrap();
        for j in 0..PEERS {
            check(&format!("{target:?}, peer {j}"), start(j, CLASSES), |x| {
                loss.forward(&with(x, j)).swap_remove(j)
            });
        }
    }
}

#[test]
fn mmd_loss() {
    for j in 0..PEERS {
        check(&format!("peer {j}"), start(j, FEATURES), |x| {
            MmdLoss.forward(&with(x, j)).swap_remove(j)
        });
    }
}

#[test]
fn kdcl_loss() {
    let weights = vec![0.5, -0.2, 0.7];
    for ensemble in [
        KdclEnsemble::Naive,
        KdclEnsemble::Linear,
        KdclEnsemble::MinLogit,
        KdclEnsemble::General { weights },
    ] {
        let config = KdclLossConfig::new().with_temperature(TEMPERATURE);
        let loss = config.with_ensemble(ensemble.clone()).init().unwrap();
        let teacher = loss.teacher(&peers(CLASSES), labels());
        for j in 0..PEERS {
            let name = format!("{ensemble:?}, peer {j}");
            check_held(
                &name,
                start(j, CLASSES),
                |x| loss.forward(&with(x, j), labels()).swap_remove(j),
                |x| towards(&teacher, x),
            );
        }
    }
}

#[test]
fn one() {
    let config = OneConfig::new(FEATURES, PEERS).with_temperature(TEMPERATURE);
    let one = config.init(&device()).unwrap();
    let shared = || Tensor::from_inner(input([BATCH, FEATURES], 1.0, 0.5));
    let terms = |x, j| one.forward(shared(), &with(x, j), labels());
    for j in 0..PEERS {
        check(&format!("ensemble, branch {j}"), start(j, CLASSES), |x| {
            terms(x, j).ensemble
        });
        let ensemble = terms(peer(j, CLASSES), j).logits;
        check_held(
            &format!("branch {j}"),
            start(j, CLASSES),
            |x| terms(x, j).branches.swap_remove(j),
            |x| towards(&ensemble, x),
        );
    }
    check("what is shared", shared().inner(), |x| {
        one.forward(x, &peers(CLASSES), labels()).ensemble
    });
    // Batch norm takes the gate's bias off again.
    check_parameters("gate", &one, &["gate.bias"], |one| {
        one.forward(shared(), &peers(CLASSES), labels()).ensemble
    });
}

#[test]
fn okddip() {
    let config = OkddipConfig::new(FEATURES).with_reduction(2);
    let okddip = config
        .with_temperature(TEMPERATURE)
        .init(&device())
        .unwrap();
    let forward = |okddip: &Okddip, features: &[Tensor<2>], logits: &[Tensor<2>]| {
        okddip.forward(features, logits, peer(7, CLASSES))
    };
    let mixed = okddip
        .attention(&peers(FEATURES))
        .matmul(Tensor::stack(peers(CLASSES), 1));
    for j in 0..PEERS {
        let target = mixed.clone().narrow(1, j, 1).squeeze_dim(1);
        check_held(
            &format!("logits of peer {j}"),
            start(j, CLASSES),
            |x| {
                forward(&okddip, &peers(FEATURES), &with(x, j))
                    .peers
                    .swap_remove(j)
            },
            |x| towards(&target, x),
        );
        // The embedding of each peer moves the target of every other.
        check(&format!("features of peer {j}"), start(j, FEATURES), |x| {
            forward(&okddip, &with(x, j), &peers(CLASSES))
                .peers
                .swap_remove(0)
        });
        check_parameters(&format!("loss of peer {j}"), &okddip, &[], |okddip| {
            forward(okddip, &peers(FEATURES), &peers(CLASSES))
                .peers
                .swap_remove(j)
        });
    }
    check("leader", start(7, CLASSES), |x| {
        okddip.forward(&peers(FEATURES), &peers(CLASSES), x).leader
    });
}

#[test]
fn peer_teacher() {
    let config = PeerTeacherConfig::new(vec![FEATURES; PEERS], CLASSES);
    let teacher = config
        .with_temperature(TEMPERATURE)
        .init(&device())
        .unwrap();
    for j in 0..PEERS {
        check(&format!("peer {j}"), start(j, CLASSES), |x| {
            let terms = teacher.forward(&peers(FEATURES), &with(x, j), labels());
            terms.peers[j].clone()
        });
    }
    check_parameters("teacher", &teacher, &[], |teacher| {
        teacher
            .forward(&peers(FEATURES), &peers(CLASSES), labels())
            .teacher
    });
}
