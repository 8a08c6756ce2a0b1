use burn::tensor::Tensor;
use kd_core::*;

use crate::harness::{BATCH, check, check_held, check_parameters, device, input};

const SAMPLES: usize = 9;
const INDICES: [usize; BATCH] = [7, 0, 4];

fn loss(contrast: CrdContrast) -> CrdLoss {
    let config = CrdLossConfig::new(5, 6, SAMPLES).with_features(4);
    // A higher temperature than published: third derivatives grow with its third power.
    let config = config.with_temperature(0.5).with_contrast(contrast);
    config.init(&device()).unwrap()
}

fn student() -> Tensor<2> {
    input([BATCH, 5], 1.0, 0.0)
}

fn output(loss: &CrdLoss, student: Tensor<2>) -> CrdOutput {
    let teacher = input([BATCH, 6], 1.0, 2.0);
    // Of one image the same negative twice, of another the positive itself.
    let ids = [vec![1, 2, 3, 3], vec![8, 5, 6, 2], vec![4, 0, 1, 2]];
    let negatives = Negatives::new(&ids, SAMPLES).unwrap();
    loss.forward(student, teacher, &INDICES, &negatives)
        .unwrap()
}

/// After a step: the normalisers are set, the banks have moved.
fn seasoned(contrast: CrdContrast) -> CrdLoss {
    let loss = loss(contrast);
    let update = output(&loss, Tensor::from_inner(input([BATCH, 5], 1.0, 4.0))).update;
    loss.remember(update)
}

#[test]
fn crd_loss() {
    for contrast in [CrdContrast::Nce, CrdContrast::InfoNce] {
        let loss = seasoned(contrast);
        let name = format!("{contrast:?}");
        check(&name, student(), |x| output(&loss, x).loss);
        check_parameters(&name, &loss, &[], |loss| {
            output(loss, Tensor::from_inner(student())).loss
        });
    }
}

/// The first batch sets the normalisers, which are constants in its gradient already.
#[test]
fn crd_loss_of_the_first_batch() {
    let fresh = loss(CrdContrast::Nce);
    let update = output(&fresh, Tensor::from_inner(student())).update;
    let mut held = fresh.clone();
    held.normalizers = fresh.clone().remember(update).normalizers;
    check_held(
        "normalisers",
        student(),
        |x| output(&fresh, x).loss,
        |x| output(&held, x).loss,
    );
}
