use kd_core::{CrdContrast, CrdLossConfig, Negatives};

use crate::harness::{cases, close, device, digest};

#[test]
fn golden_crd() {
    for case in cases("crd", 10) {
        let [_, student] = case.shape("student");
        let [_, teacher] = case.shape("teacher");
        let (samples, features) = (if case.indices.len() == 64 { 300 } else { 40 }, {
            if case.indices.len() == 64 { 16 } else { 8 }
        });
        let nce = case.form() == "nce";
        let config = CrdLossConfig::new(student, teacher, samples)
            .with_features(features)
            .with_temperature(case.number("temperature"))
            .with_momentum(case.number("momentum"))
            .with_contrast(if nce {
                CrdContrast::Nce
            } else {
                CrdContrast::InfoNce
            });
        let ids = |ids| Negatives::new(ids, samples).unwrap();
        let mut crd = None;
        let mut update = None;
        case.check(|s| {
            let loss = s.module(config.init(&device().autodiff()).unwrap());
            let (student, teacher) = (s.input("student"), s.input("teacher"));
            let output = loss
                .forward(student, teacher, &case.indices, &ids(&case.negatives))
                .unwrap();
            (crd, update) = (Some(loss), Some(output.update));
            output.loss
        });
        let mut crd = crd.unwrap().remember(update.unwrap());
        if let Some(value) = case.value2 {
            let mut s = case.session();
            // The layers are as they were; what changed are banks and normalisers.
            let banks = (crd.bank_s, crd.bank_t);
            crd = s.module(config.init(&device().autodiff()).unwrap());
            (crd.bank_s, crd.bank_t) = banks;
            let (student, teacher) = (s.input("student2"), s.input("teacher2"));
            let normalizers = crd.normalizers.val();
            assert_eq!(normalizers.dims(), [2]);
            if nce {
                let z = case.extra["z"].clone();
                crd.normalizers = crd
                    .normalizers
                    .map(|_| burn::tensor::Tensor::from_data(z.as_slice(), &device()));
            }
            let output = crd
                .forward(student, teacher, &case.indices2, &ids(&case.negatives2))
                .unwrap();
            s.compare(1e-9, output.loss, value, &case.gradients2);
            crd = crd.remember(output.update);
        }
        let numbers = |x: burn::tensor::Tensor<2>| x.into_data().iter::<f64>().collect::<Vec<_>>();
        for (bank, name) in [(&crd.bank_s, "bank_s"), (&crd.bank_t, "bank_t")] {
            let found = digest(&numbers(bank.val()));
            close(
                &format!("{}: {name}", case.name()),
                &found,
                &case.extra[name],
                1e-9,
            );
        }
        if nce {
            let z: Vec<f64> = crd.normalizers.val().into_data().iter().collect();
            close(&case.name(), &z, &case.extra["z"], 1e-9);
        }
    }
}
