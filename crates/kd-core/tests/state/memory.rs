use burn::module::Module;
use burn::tensor::{Int, Tensor};
use kd_core::*;

use crate::resume::run;
use crate::*;

#[test]
fn forward_alone_changes_nothing() {
    for contrast in [CrdContrast::Nce, CrdContrast::InfoNce] {
        let (loss, _) = run(crd_config(contrast, 7), 1..=2, crd_step);
        let before = numbers(&loss);
        let (first, again) = (crd_forward(&loss, 3), crd_forward(&loss, 3));
        assert_eq!(first.loss.into_data(), again.loss.into_data());
        assert_eq!(numbers(&loss), before);
    }
    let memory = ps_kd(0);
    let before = numbers(&memory);
    let (first, again) = (ps_kd_forward(&memory, 3), ps_kd_forward(&memory, 3));
    assert_eq!(first.loss.into_data(), again.loss.into_data());
    assert_eq!(numbers(&memory), before);
}

#[test]
fn a_record_of_another_training_set_is_refused() {
    let record = || crd_config(CrdContrast::Nce, 7).into_record();
    let larger = CrdLossConfig::new(5, 6, SAMPLES + 1)
        .with_features(4)
        .init(&device())
        .unwrap();
    assert!(larger.try_load_record(record()).is_err());
    let larger = PsKdConfig::new(SAMPLES + 1, CLASSES)
        .init(&device())
        .unwrap();
    assert!(larger.try_load_record(ps_kd(0).into_record()).is_err());
}

/// Banks are no parameters, before and after they were restored.
#[test]
fn what_is_remembered_is_not_trained() {
    let loss = crd_config(CrdContrast::Nce, 7);
    let restored = crd_config(CrdContrast::Nce, 8).load_record(loss.clone().into_record());
    for loss in [loss, restored] {
        let (loss, _) = run(loss, 1..=2, crd_step);
        for bank in [&loss.bank_s, &loss.bank_t] {
            assert!(!bank.is_require_grad() && !bank.val().is_autodiff());
        }
        assert!(!loss.normalizers.is_require_grad() && !loss.normalizers.val().is_autodiff());
        assert!(loss.embed_s.weight.is_require_grad() && loss.embed_t.weight.is_require_grad());
    }
    let memory = ps_kd(0).load_record(ps_kd(0).into_record());
    assert!(!memory.predictions.is_require_grad() && !memory.predictions.val().is_autodiff());
}

fn row<const D: usize>(x: Tensor<D>, row: usize) -> Vec<f32> {
    let [_, width] = x.dims()[..] else {
        panic!("a matrix")
    };
    x.into_data().try_to_vec::<f32>().unwrap()[row * width..][..width].to_vec()
}

#[test]
fn crd_moves_the_rows_of_the_batch_and_no_others() {
    let loss = crd_config(CrdContrast::Nce, 7);
    let update = crd_forward(&loss, 1).update;
    let after = loss.clone().remember(update);
    // The samples of step 1.
    let seen = [1, 4, 7, 0];
    for (old, new) in [(&loss.bank_s, &after.bank_s), (&loss.bank_t, &after.bank_t)] {
        for sample in 0..SAMPLES {
            let (old, new) = (row(old.val(), sample), row(new.val(), sample));
            let norm = new.iter().map(|x| x * x).sum::<f32>();
            assert_eq!(old != new, seen.contains(&sample), "{sample}");
            assert!(old == new || (norm - 1.0).abs() < 1e-5, "{sample}: {norm}");
        }
    }
}

/// The first batch sets them; later ones keep them.
#[test]
fn normalizers_of_crd_are_set_once() {
    let normalizers = |loss: &CrdLoss| {
        loss.normalizers
            .val()
            .into_data()
            .try_to_vec::<f32>()
            .unwrap()
    };
    let loss = crd_config(CrdContrast::Nce, 7);
    assert_eq!(normalizers(&loss), [0.0, 0.0]);
    let (loss, _) = run(loss, 1..=1, crd_step);
    let first = normalizers(&loss);
    assert!(first.iter().all(|z| *z > 0.0));
    let (loss, _) = run(loss, 2..=4, crd_step);
    assert_eq!(normalizers(&loss), first);
}

#[test]
fn of_a_sample_that_comes_twice_the_later_row_stays() {
    let loss = crd_config(CrdContrast::Nce, 7);
    let negatives = Negatives::new(&[vec![1], vec![2]], SAMPLES).unwrap();
    let (student, teacher) = (input([2, 5], 1), input([2, 6], 2));
    let both = |indices: &[usize]| {
        let output = loss.forward(student.clone(), teacher.clone(), indices, &negatives);
        loss.clone().remember(output.unwrap().update)
    };
    let (twice, last) = (both(&[5, 5]), both(&[4, 5]));
    assert_eq!(row(twice.bank_s.val(), 5), row(last.bank_s.val(), 5));
    assert_eq!(row(twice.bank_t.val(), 5), row(last.bank_t.val(), 5));

    let memory = ps_kd(0);
    let logits = input([2, CLASSES], 1);
    let labels: Tensor<1, Int> = Tensor::from_data([0, 1], &device());
    let update = memory
        .forward(logits.clone(), labels, &[5, 5], 1.0)
        .unwrap()
        .update;
    let found = row(memory.remember(update).predictions.val(), 5);
    assert_eq!(found, row(divergence::softmax(logits.inner(), 1.0), 1));
}
