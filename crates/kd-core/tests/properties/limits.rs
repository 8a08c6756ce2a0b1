//! Losses at the ends of their settings, and where one turns into another.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kd_core::*;
use proptest::prelude::*;

use crate::cases;
use crate::common::host;

const CLASSES: usize = 6;
const BATCH: usize = 3;

fn logits() -> impl Strategy<Value = Tensor<2>> {
    prop::collection::vec(-3f64..3.0, BATCH * CLASSES).prop_map(|values| {
        let data = TensorData::new(values, [BATCH, CLASSES]);
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    })
}

fn labels() -> impl Strategy<Value = Tensor<1, Int>> {
    prop::collection::vec(0..CLASSES as i64, BATCH)
        .prop_map(|labels| Tensor::from_data(TensorData::new(labels, [BATCH]), &Device::flex()))
}

fn agree(a: Tensor<1>, b: Tensor<1>, bound: f64) -> Result<(), TestCaseError> {
    for (a, b) in host(a).into_iter().zip(host(b)) {
        prop_assert!((a - b).abs() <= bound * (1.0 + b.abs()), "{a} {b}");
    }
    Ok(())
}

/// Sums of a few numbers of 64 bits.
const EXACT: f64 = 1e-12;

proptest! {
    #![proptest_config(cases())]

    /// KL is half the variance of the difference of the logits under probabilities between teacher's and student's. With logits within
    /// +-3 at tau = 1000 those are 1/C up to the factor exp(6/1000).
    #[test]
    fn hot_kl_is_the_squared_difference_of_centred_logits(student in logits(), teacher in logits()) {
        let loss = KlLossConfig::new().with_temperature(1000.0).init().unwrap();
        let kl = host(loss.forward_no_reduction(student.clone(), teacher.clone()));
        let mse = LogitMseLossConfig::new().with_centered(true).init();
        for (kl, mse) in kl.into_iter().zip(host(mse.forward_no_reduction(student, teacher))) {
            prop_assert!((kl - mse / 2.0).abs() <= 0.0061 * mse / 2.0 + 1e-8, "{kl} {mse}");
        }
    }

    /// What is not the most likely class keeps at most exp(-gap / tau).
    #[test]
    fn cold_softmax_is_one_hot(z in logits()) {
        let temperature = 0.001;
        for (row, p) in host(z.clone()).chunks(CLASSES).zip(host(divergence::softmax(z, temperature)).chunks(CLASSES)) {
            let best = (0..CLASSES).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            for c in (0..CLASSES).filter(|c| *c != best) {
                let most = ((row[c] - row[best]) / f64::from(temperature)).exp();
                prop_assert!(p[c] <= most + 1e-12, "{row:?} {p:?}");
            }
        }
    }

    #[test]
    fn dkd_with_the_teacher_s_doubt_for_beta_is_kl(
        student in logits(), teacher in logits(), labels in labels(), temperature in 0.5f64..8.0,
    ) {
        let dkd = DkdLossConfig::new().with_temperature(temperature).init().unwrap();
        let kl = KlLossConfig::new().with_temperature(temperature).init().unwrap();
        let terms = dkd.terms(student.clone(), teacher.clone(), labels.clone());
        let certainty = divergence::softmax(teacher.clone(), temperature as f32)
            .gather(1, labels.unsqueeze_dim(1))
            .squeeze_dim::<1>(1);
        let whole = terms.target + (certainty.neg() + 1.0) * terms.others;
        agree(whole, kl.forward_no_reduction(student, teacher), 1e-6)?;
    }

    #[test]
    fn mixtures_without_their_teacher_are_cross_entropy(student in logits(), teacher in logits(), labels in labels()) {
        let ce = divergence::cross_entropy(student.clone(), labels.clone());
        let kd = KdLossConfig::new().with_alpha(0.0).init().unwrap();
        agree(kd.forward_no_reduction(student.clone(), teacher.clone(), labels.clone()), ce.clone(), EXACT)?;
        let cs = CsKdLossConfig::new().with_lambda(0.0).init().unwrap();
        agree(cs.forward_no_reduction(student.clone(), teacher.clone(), labels.clone()), ce.clone(), EXACT)?;
        let smoothing = LabelSmoothingLossConfig::new().with_epsilon(0.0).init().unwrap();
        agree(smoothing.forward_no_reduction(student.clone(), labels.clone()), ce.clone(), EXACT)?;
        let virtually = TfKdVirtualLossConfig::new().with_alpha(0.0).init().unwrap();
        agree(virtually.forward_no_reduction(student.clone(), labels.clone()), ce.clone(), EXACT)?;
        let memory = PsKdConfig::new(BATCH, CLASSES).init(&Device::flex()).unwrap();
        let memory = memory.clone().remember(memory.forward(teacher, labels.clone(), &[0, 1, 2], 1.0).unwrap().update);
        agree(memory.forward(student, labels, &[0, 1, 2], 0.0).unwrap().loss, ce.mean(), EXACT)?;
    }

    /// The target moves from the label to the past as training goes on.
    #[test]
    fn ps_kd_is_linear_in_the_progress(student in logits(), past in logits(), labels in labels(), progress in 0f64..1.0) {
        let samples = [2, 0, 1];
        let memory = PsKdConfig::new(BATCH, CLASSES).with_alpha(1.0).init(&Device::flex()).unwrap();
        let update = memory.forward(past.clone(), labels.clone(), &samples, 1.0).unwrap().update;
        let memory = memory.remember(update);
        let at = |progress| memory.forward(student.clone(), labels.clone(), &samples, progress).unwrap().loss;
        let mixed = at(0.0).mul_scalar(1.0 - progress) + at(1.0).mul_scalar(progress);
        // The memory is of 32 bits.
        agree(at(progress), mixed, 1e-6)?;
        let taught = SoftCrossEntropyLoss.forward(student.clone(), divergence::softmax(past, 1.0));
        agree(at(1.0), taught, 1e-6)?;
    }

    #[test]
    fn tf_kd_of_samples_is_kd(student in logits(), teacher in logits(), labels in labels(), alpha in 0f64..1.0) {
        let tf = TfKdSelfLossConfig::new().with_alpha(alpha).with_average(KlAverage::Samples).init().unwrap();
        let kd = KdLossConfig::new().with_alpha(alpha).with_temperature(20.0).init().unwrap();
        agree(
            tf.forward(student.clone(), teacher.clone(), labels.clone()),
            kd.forward(student, teacher, labels),
            EXACT,
        )?;
    }

    /// At a cold temperature the virtual teacher is the label, at a hot one the uniform distribution.
    #[test]
    fn the_virtual_teacher_s_target_is_a_distribution_with_the_label_on_top(z in logits(), labels in labels(), temperature in 0.01f64..50.0) {
        let loss = TfKdVirtualLossConfig::new().with_temperature(temperature).init().unwrap();
        let target = host(loss.target(&z, labels.clone()));
        for (row, label) in target.chunks(CLASSES).zip(labels.into_data().iter::<i64>()) {
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < EXACT);
            prop_assert!(row.iter().all(|p| *p <= row[label as usize]));
        }
    }

    #[test]
    fn ddgsd_does_not_see_which_view_is_first(a in logits(), b in logits(), labels in labels()) {
        let loss = DdgsdLossConfig::new().init().unwrap();
        let (a, b) = (
            DistortedView { features: b.clone(), logits: a.clone() },
            DistortedView { features: a, logits: b },
        );
        let one = loss.forward(a.clone(), b.clone(), labels.clone());
        agree(one, loss.forward(b, a, labels), EXACT)?;
    }
}
