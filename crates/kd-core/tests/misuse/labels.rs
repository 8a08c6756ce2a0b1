use burn::tensor::{Int, Tensor};
use kd_core::*;

use crate::device;

fn rows(width: usize) -> Tensor<2> {
    Tensor::ones([2, width], &device())
}

/// Tests of labels outside of three classes: whatever takes labels refuses them, below and above.
macro_rules! refused {
    ($($name:ident => $body:expr;)+) => {
        mod above { $(
            #[test]
            #[should_panic(expected = "label 3 is outside of the 3 classes")]
            fn $name() {
                let _ = super::$name(super::labels([2, 3]));
            }
        )+ }
        mod below { $(
            #[test]
            #[should_panic(expected = "label -1 is outside of the 3 classes")]
            fn $name() {
                let _ = super::$name(super::labels([-1, 0]));
            }
        )+ }
        $(fn $name(labels: Tensor<1, Int>) -> impl Sized {
            let run: fn(Tensor<1, Int>) -> _ = $body;
            run(labels)
        })+
    };
}

fn labels(numbers: [i64; 2]) -> Tensor<1, Int> {
    Tensor::from_data(numbers, &device())
}

refused! {
    cross_entropy => |y| divergence::cross_entropy(rows(3), y);
    kd => |y| KdLossConfig::new().init().unwrap().forward(rows(3), rows(3), y);
    dkd => |y| DkdLossConfig::new().init().unwrap().forward(rows(3), rows(3), y);
    label_smoothing => |y| LabelSmoothingLossConfig::new().init().unwrap().forward(rows(3), y);
    tf_kd => |y| TfKdSelfLossConfig::new().init().unwrap().forward(rows(3), rows(3), y);
    virtual_tf_kd => |y| TfKdVirtualLossConfig::new().init().unwrap().forward(rows(3), y);
    target_of_virtual_tf_kd => |y| TfKdVirtualLossConfig::new().init().unwrap().target(&rows(3), y);
    cs_kd => |y| CsKdLossConfig::new().init().unwrap().forward(rows(3), rows(3), y);
    ddgsd => |y| {
        let view = || DistortedView { logits: rows(3), features: rows(4) };
        DdgsdLossConfig::new().init().unwrap().forward(view(), view(), y)
    };
    ps_kd => |y| PsKdConfig::new(5, 3).init(&device()).unwrap().forward(rows(3), y, &[0, 1], 1.0);
    errors_of_an_ensemble => |y| EnsembleErrors::new(2).unwrap().update(&[rows(3), rows(3)], y);
    kdcl_naive => |y| kdcl(KdclEnsemble::Naive, y);
    kdcl_linear => |y| kdcl(KdclEnsemble::Linear, y);
    kdcl_smallest => |y| kdcl(KdclEnsemble::MinLogit, y);
    kdcl_general => |y| kdcl(KdclEnsemble::General { weights: vec![0.5; 2] }, y);
    one => |y| {
        let one = OneConfig::new(4, 2).init(&device()).unwrap();
        one.forward(rows(4), &[rows(3), rows(3)], y)
    };
    peer_teacher => |y| {
        let teacher = PeerTeacherConfig::new(vec![4, 4], 3).init(&device()).unwrap();
        teacher.forward(&[rows(4), rows(4)], &[rows(3), rows(3)], y)
    };
}

fn kdcl(ensemble: KdclEnsemble, labels: Tensor<1, Int>) -> Vec<Tensor<1>> {
    let config = KdclLossConfig::new().with_ensemble(ensemble);
    config.init().unwrap().forward(&[rows(3), rows(3)], labels)
}

/// Nothing is added to the errors of an ensemble before a label is refused.
#[test]
fn a_refused_label_changes_nothing() {
    let mut errors = EnsembleErrors::new(2).unwrap();
    errors.update(&[rows(3), rows(3)], labels([0, 2]));
    let before = errors.clone();
    let update = || errors.update(&[rows(3), rows(3)], labels([0, 3]));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(update)).is_err());
    assert_eq!(errors, before);
}
