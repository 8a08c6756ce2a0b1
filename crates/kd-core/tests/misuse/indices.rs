use burn::tensor::Tensor;
use kd_core::*;

use crate::{device, labels, logits, message};

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

#[test]
fn ensemble_errors_of_nothing_have_no_weights() {
    let mut errors = EnsembleErrors::new(2).unwrap();
    assert_eq!(
        message(errors.weights()),
        "images = 0 is out of range: expected [1, inf)"
    );
    errors.update(&[logits(2), logits(2) * f32::NAN], labels(2));
    assert_eq!(
        message(errors.weights()),
        "squared error = NaN is out of range: expected [0, inf)"
    );
}

#[test]
fn an_index_outside_of_the_bank_is_an_error() {
    let crd = CrdLossConfig::new(2, 2, 5).init(&device()).unwrap();
    let negatives = |samples| Negatives::new(&[vec![0, 1], vec![2, 3]], samples).unwrap();
    let embedding = || Tensor::<2>::ones([2, 2], &device());
    let result = crd.forward(embedding(), embedding(), &[4, 5], &negatives(5));
    assert_eq!(message(result), "CRD: index 5 is outside of the 5 samples");
    let result = crd.forward(embedding(), embedding(), &[4, 3], &negatives(6));
    assert_eq!(
        message(result),
        "samples that negatives were drawn from: found 6, expected 5, as in the banks"
    );
    let outside = Negatives::new(&[vec![0, 1], vec![2, 6]], 6);
    assert_eq!(
        message(outside),
        "negatives: index 6 is outside of the 6 samples"
    );
    let ragged = Negatives::new(&[vec![0, 1], vec![2]], 6);
    assert_eq!(
        message(ragged),
        "negatives of an image: found 1, expected 2, as of the first"
    );
}

#[test]
fn an_index_outside_of_the_memory_is_an_error_and_changes_nothing() {
    let fresh = PsKdConfig::new(4, 3).init(&device()).unwrap();
    let update = fresh
        .forward(logits(2), labels(2), &[0, 3], 1.0)
        .unwrap()
        .update;
    let memory = fresh.remember(update);
    let before = numbers(memory.predictions.val());
    for indices in [[4, 0], [1, usize::MAX]] {
        let result = memory.forward(logits(2), labels(2), &indices, 1.0);
        let outside = indices.iter().max().unwrap();
        assert_eq!(
            message(result),
            format!("PS-KD: index {outside} is outside of the 4 samples")
        );
    }
    assert!(memory.forward(logits(2), labels(2), &[1, 2], 1.1).is_err());
    assert_eq!(numbers(memory.predictions.val()), before);
}
