//! The target is a constant: it gets no gradient, and where it was computed makes no difference.
//!
//! Comparisons are of bits: a target that is moved between devices is the same numbers, and the
//! same operations follow.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use burn::tensor::{Device, Tensor};
use common::*;
use kd_core::*;

const BATCH: usize = 3;
const FEATURES: usize = 6;

fn plain() -> Device {
    Device::flex().autodiff()
}

/// A leaf where the device can have one.
fn tracked(x: Tensor<2>) -> Tensor<2> {
    if x.is_autodiff() { x.require_grad() } else { x }
}

/// Where the layers of a loss are with the student, with a graph or without.
#[test]
fn where_a_teacher_of_layers_comes_from_makes_no_difference() {
    type Loss = fn(Tensor<2>, Tensor<2>) -> Tensor<1>;
    let losses: [(&str, Loss); 6] = [
        ("FitNet", |s, t| {
            let (s, t) = (s.reshape([BATCH, 2, 3, 1]), t.reshape([BATCH, 4, 3, 1]));
            let loss = FitNetLossConfig::new([2, 3, 1], [4, 3, 1]).init(&s.device());
            loss.unwrap().forward(s, t)
        }),
        ("VID", |s, t| {
            let (s, t) = (s.reshape([BATCH, 2, 3, 1]), t.reshape([BATCH, 4, 3, 1]));
            let loss = VidLossConfig::new(2, 4).init(&s.device());
            loss.unwrap().forward(s, t)
        }),
        ("FT", |s, t| {
            let (s, t) = (s.reshape([BATCH, 2, 3, 1]), t.reshape([BATCH, 4, 3, 1]));
            let translator = TranslatorConfig::new(2, 4).init(&s.device()).unwrap();
            FtLossConfig::new().init().forward(translator.forward(s), t)
        }),
        ("CC", |s, t| {
            let loss = CcLossConfig::new(FEATURES, 2 * FEATURES).init(&s.device());
            loss.unwrap().forward(s, t)
        }),
        ("CRD", |s, t| {
            let loss = CrdLossConfig::new(FEATURES, 2 * FEATURES, 7).init(&s.device());
            let negatives = Negatives::new(&[vec![1, 4], vec![2, 5], vec![3, 6]], 7).unwrap();
            loss.unwrap()
                .forward(s, t, &[0, 1, 2], &negatives)
                .unwrap()
                .loss
        }),
        ("peer teacher", |s, t| {
            let config = PeerTeacherConfig::new(vec![2 * FEATURES; 2], FEATURES);
            let teacher = config.init(&s.device()).unwrap();
            let labels = labels(BATCH, &s.device());
            teacher
                .forward(&[t.clone(), t], &[s.clone(), s], labels)
                .peers
                .swap_remove(0)
        }),
    ];
    let inner = Device::flex();
    let devices = [inner.clone(), plain(), plain().gradient_checkpointing()];
    for (name, loss) in losses {
        for student_device in &devices {
            let found = devices.clone().map(|teacher_device| {
                let row = |width, phase, device: &Device| {
                    tracked(rows(&numbers(BATCH, width, 1.5, phase), width, device))
                };
                let student = row(FEATURES, 0.2, student_device);
                let value = loss(student.clone(), row(2 * FEATURES, 1.1, &teacher_device));
                let gradient = student
                    .is_autodiff()
                    .then(|| host(student.grad(&value.backward()).expect(name)));
                (number(value), gradient)
            });
            assert_eq!(found[0], found[1], "{name}");
            assert_eq!(found[0], found[2], "{name}");
        }
    }
}

/// Logits or embeddings of three peers.
fn peers(width: usize) -> Vec<Tensor<2>> {
    [0.1, 0.7, 1.9]
        .map(|phase| tracked(rows(&numbers(BATCH, width, 2.0, phase), width, &plain())))
        .into()
}

#[test]
fn what_kdcl_calls_the_teacher_is_a_constant() {
    let loss = KdclLossConfig::new().init().unwrap();
    let teacher = loss.teacher(&peers(CLASSES), labels(BATCH, &plain()));
    assert!(!teacher.is_autodiff());
}

/// Leaves of which a loss may move some and not others.
fn moved(leaves: &[&Tensor<2>], loss: Tensor<1>) -> Vec<bool> {
    let gradients = loss.backward();
    let moved = |leaf: &&Tensor<2>| match leaf.grad(&gradients) {
        Some(gradient) => host(gradient).iter().any(|g| *g != 0.0),
        None => false,
    };
    leaves.iter().map(moved).collect()
}

#[test]
fn a_layer_on_the_teacher_s_side_learns_and_the_teacher_does_not() {
    let (width, teacher_width) = (FEATURES, 8);
    let leaf = |width, phase| tracked(rows(&numbers(BATCH, width, 1.0, phase), width, &plain()));
    let (student, teacher) = (leaf(width, 0.2), leaf(teacher_width, 1.1));
    let gaussian = CcKernel::Gaussian {
        gamma: 0.4,
        order: 2,
    };
    for kernel in [CcKernel::Consecutive, gaussian] {
        let config = CcLossConfig::new(width, teacher_width).with_kernel(kernel);
        let loss = config.init(&plain()).unwrap();
        let layers = [loss.embed_s.weight.val(), loss.embed_t.weight.val()];
        let value = loss.forward(student.clone(), teacher.clone());
        let found = moved(&[&student, &layers[0], &layers[1], &teacher], value);
        assert_eq!(found, [true, true, true, false], "{kernel:?}");
    }
    for contrast in [CrdContrast::Nce, CrdContrast::InfoNce] {
        let config = CrdLossConfig::new(width, teacher_width, 9).with_contrast(contrast);
        let loss = config.init(&plain()).unwrap();
        let layers = [loss.embed_s.weight.val(), loss.embed_t.weight.val()];
        let banks = [loss.bank_s.val(), loss.bank_t.val()];
        assert!(banks.iter().all(|bank| !bank.is_autodiff()));
        let negatives = Negatives::new(&vec![vec![4, 5]; BATCH], 9).unwrap();
        let output = loss.forward(student.clone(), teacher.clone(), &[0, 1, 2], &negatives);
        let value = output.unwrap().loss;
        let found = moved(&[&student, &layers[0], &layers[1], &teacher], value);
        assert_eq!(found, [true, true, true, false], "{contrast:?}");
    }
}

#[test]
fn a_peer_teacher_learns_from_the_labels_alone_and_teaches_as_a_constant() {
    let config = PeerTeacherConfig::new(vec![FEATURES; 3], CLASSES);
    let teacher = config.init(&plain()).unwrap();
    let (features, logits) = (peers(FEATURES), peers(CLASSES));
    let weight = teacher.linear.weight.val();
    let terms = || teacher.forward(&features, &logits, labels(BATCH, &plain()));
    let leaves = [&weight, &features[0], &logits[0], &logits[1]];
    assert_eq!(moved(&leaves, terms().teacher), [true, false, false, false]);
    assert_eq!(
        moved(&leaves, terms().peers.swap_remove(0)),
        [false, false, true, false]
    );
}

#[test]
fn attention_learns_from_the_losses_of_the_peers_only_if_it_is_to() {
    for learns in [true, false] {
        let config = OkddipConfig::new(FEATURES).with_learn_attention(learns);
        let okddip = config.init(&plain()).unwrap();
        let (features, logits) = (peers(FEATURES), peers(CLASSES));
        let (query, key) = (okddip.query.weight.val(), okddip.key.weight.val());
        let terms = || okddip.forward(&features, &logits, logits[2].clone());
        let leaves = [
            &query,
            &key,
            &features[0],
            &features[1],
            &logits[0],
            &logits[1],
        ];
        let found = moved(&leaves, terms().peers.swap_remove(0));
        assert_eq!(found, [learns, learns, learns, learns, true, false]);
        let found = moved(&leaves, terms().leader);
        assert_eq!(found, [false; 6]);
    }
}

#[test]
fn the_gate_of_one_learns_from_the_ensemble_and_not_from_the_branches() {
    let one = OneConfig::new(FEATURES, 3).init(&plain()).unwrap();
    let (shared, logits) = (peers(FEATURES).swap_remove(0), peers(CLASSES));
    let gate = one.gate.weight.val();
    let terms = || one.forward(shared.clone(), &logits, labels(BATCH, &plain()));
    let leaves = [&gate, &shared, &logits[0], &logits[1]];
    assert_eq!(moved(&leaves, terms().ensemble), [true; 4]);
    assert_eq!(
        moved(&leaves, terms().branches.swap_remove(0)),
        [false, false, true, false]
    );
}

/// What a loss is to remember may be computed from tracked tensors and is none.
#[test]
fn what_is_remembered_has_no_graph() {
    let memory = PsKdConfig::new(BATCH, CLASSES).init(&plain()).unwrap();
    let logits = tracked(rows(&numbers(BATCH, CLASSES, 1.0, 0.2), CLASSES, &plain()));
    let output = memory.forward(logits, labels(BATCH, &plain()), &[0, 1, 2], 1.0);
    let memory = memory.remember(output.unwrap().update);
    assert!(!memory.predictions.val().is_autodiff());
}
