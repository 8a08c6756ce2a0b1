//! The target is a constant: it gets no gradient, and where it was computed makes no difference.
//!
//! Comparisons are of bits: a target that is moved between devices is the same numbers, and the
//! same operations follow.

use kd::burn::tensor::{Device, Tensor};

use crate::catalogue::*;

const BATCH: usize = 3;

/// A leaf where the device can have one.
fn row(shape: &Shape, phase: f64, device: &Device) -> Tensor<2> {
    let values = numbers(BATCH, shape.width(), 1.5, phase);
    let x = Tensor::from_data(rows(&values, shape.width()).into_data(), device);
    if x.is_autodiff() { x.require_grad() } else { x }
}

#[test]
fn a_teacher_gets_no_gradient_and_the_student_gets_one() {
    let device = Device::flex().autodiff();
    // Both views of DDGSD learn, and OKDDip's attention learns from the embeddings of all.
    for loss in losses().filter(|loss| !loss.is(&["ddgsd", "okddip"])) {
        let (student, teacher) = (row(&OWN, 0.2, &device), row(loss.teacher, 1.1, &device));
        // Not the leaf itself, but what a network would have made of it.
        let made = teacher.clone().mul_scalar(1.0);
        let gradients = loss.of(&student, &made).backward();
        assert!(teacher.grad(&gradients).is_none(), "{}", loss.name());
        let gradient = student.grad(&gradients).expect(loss.term);
        assert!(host(gradient).iter().any(|g| *g != 0.0), "{}", loss.name());
    }
}

/// Of all but networks that have a layer or a gradient in common.
#[test]
fn where_a_teacher_comes_from_makes_no_difference() {
    let inner = Device::flex();
    let autodiff = inner.clone().autodiff();
    let devices = [
        inner,
        autodiff.clone(),
        autodiff.clone().gradient_checkpointing(),
    ];
    for loss in losses().filter(|loss| loss.place == 0 && !loss.is_any(&["one", "okddip", "ddgsd"]))
    {
        // Layers and the student are on one device.
        let of_student = match loss.has_parts {
            true => std::slice::from_ref(&autodiff),
            false => &devices[..],
        };
        for device in of_student {
            let found = devices.clone().map(|teacher_device| {
                let student = row(&OWN, 0.2, device);
                let value = loss.of(&student, &row(loss.teacher, 1.1, &teacher_device));
                let gradient = student
                    .is_autodiff()
                    .then(|| host(student.grad(&value.backward()).expect(loss.term)));
                (number(value), gradient)
            });
            assert_eq!(found[0], found[1], "{}", loss.name());
            assert_eq!(found[0], found[2], "{}", loss.name());
        }
    }
}

#[test]
fn the_losses_of_peers_may_be_added() {
    let device = Device::flex().autodiff();
    for loss in losses().filter(|loss| loss.peers > 1 && loss.place == 0 && !loss.is(&["okddip"])) {
        let phases = [0.1, 0.7, 1.9].into_iter().take(loss.peers);
        let leaves: Vec<_> = phases.map(|phase| row(&OWN, phase, &device)).collect();
        let together = Tensor::cat(loss.of_peers(&leaves), 0).sum().backward();
        for (j, leaf) in leaves.iter().enumerate() {
            let alone = loss.of_peers(&leaves).swap_remove(j).backward();
            let gradients = [&together, &alone].map(|all| host(leaf.grad(all).unwrap()));
            assert_eq!(gradients[0], gradients[1], "{}, peer {j}", loss.name());
            for (k, other) in leaves.iter().enumerate().filter(|(k, _)| *k != j) {
                assert!(
                    other.grad(&alone).is_none(),
                    "{}: {j} moves {k}",
                    loss.name()
                );
            }
        }
    }
}
