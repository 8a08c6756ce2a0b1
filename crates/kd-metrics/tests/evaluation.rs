//! Closed forms and properties of `Evaluation`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use burn::prelude::*;
use burn::tensor::DType;
use common::{Sample, accumulate, evaluate, peaked, update};
use kd_metrics::{EvaluationConfig, EvaluationReport};
use proptest::prelude::*;
use serde_json::Value;

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
}

#[test]
fn a_perfect_predictor() {
    let samples: Vec<_> = (0..30)
        .map(|i| peaked(i % 10, 200.0, (i % 10) as i64))
        .collect();
    let report = evaluate(&samples, 7).unwrap();
    assert_eq!((report.top1, report.top5), (1.0, 1.0));
    assert_eq!(
        (report.nll, report.ece, report.kl_human),
        (0.0, 0.0, Some(0.0))
    );
    // Confidence is exactly 1: the last bin holds it, the others are empty.
    let counts: Vec<u64> = report
        .calibration_bins
        .iter()
        .map(|bin| bin.count)
        .collect();
    assert_eq!(counts[14], 30);
    assert_eq!(counts.iter().sum::<u64>(), 30);
    assert_eq!(report.calibration_bins[0].accuracy, 0.0);
}

#[test]
fn a_uniform_predictor() {
    // All logits tie, so class 0 is predicted, and classes 0 to 4 are the first five.
    let samples: Vec<_> = (0..20).map(|i| peaked(0, 0.0, i % 10)).collect();
    let report = evaluate(&samples, 20).unwrap();
    assert_eq!((report.top1, report.top5), (0.1, 0.5));
    close(report.nll, 10f64.ln());
    close(report.kl_human.unwrap(), 10f64.ln());
    close(report.ece, 0.0);
}

#[test]
fn a_predictor_that_is_sure_and_wrong() {
    let samples: Vec<_> = (0..10)
        .map(|i| peaked((i + 1) % 10, 50.0, i as i64))
        .collect();
    let report = evaluate(&samples, 3).unwrap();
    assert_eq!(report.top1, 0.0);
    close(report.nll, 50.0);
    close(report.ece, 1.0);
}

#[test]
fn one_sample() {
    let report = evaluate(&[peaked(3, 9f32.ln(), 3)], 1).unwrap();
    // Probability 9 / 18.
    assert_eq!((report.samples, report.top1), (1, 1.0));
    close(report.nll, 2f64.ln());
    close(report.ece, 0.5);
}

#[test]
fn people_who_disagree() {
    let mut sample = peaked(0, 0.0, 0);
    sample.human[0] = 0.5;
    sample.human[1] = 0.5;
    let report = evaluate(&[sample], 1).unwrap();
    close(report.kl_human.unwrap(), 5f64.ln());
}

#[test]
fn autodiff_tensors_give_the_same() {
    let samples: Vec<_> = (0..9).map(|i| peaked(i % 4, 2.0, (i % 3) as i64)).collect();
    let mut evaluation = EvaluationConfig::new().init(10).unwrap();
    update(&mut evaluation, &samples, true, &Device::flex().autodiff()).unwrap();
    assert_eq!(
        evaluation.compute().unwrap(),
        evaluate(&samples, 9).unwrap()
    );
}

#[test]
fn compute_may_be_called_on_the_way() {
    let samples: Vec<_> = (0..8).map(|i| peaked(i, 3.0, 2)).collect();
    let mut evaluation = accumulate(&samples[..5], 2).unwrap();
    assert_eq!(
        evaluation.compute().unwrap(),
        evaluate(&samples[..5], 5).unwrap()
    );
    update(&mut evaluation, &samples[5..], true, &Device::flex()).unwrap();
    assert_eq!(evaluation.len(), 8);
    assert_eq!(evaluation.compute().unwrap().samples, 8);
}

#[test]
fn many_small_updates_are_read_in_between() {
    // More than the bound on updates that may wait.
    let samples: Vec<_> = (0..1300).map(|i| peaked(i % 10, 1.0, 4)).collect();
    let report = evaluate(&samples, 1).unwrap();
    assert_eq!((report.samples, report.top1), (1300, 0.1));
}

fn sample() -> impl Strategy<Value = Sample> {
    let classes = 6;
    (
        prop::collection::vec(-30f32..30.0, classes),
        0..classes as i64,
        prop::collection::vec(0u8..4, classes),
    )
        .prop_map(|(logits, label, mut votes)| {
            votes[label as usize] += 1;
            let total: u8 = votes.iter().sum();
            let human = votes
                .iter()
                .map(|&vote| f32::from(vote) / f32::from(total))
                .collect();
            Sample {
                logits,
                label,
                human,
            }
        })
}

/// Every number of the reports, by its place, equal but for the rounding of sums taken in another order.
fn assert_same(a: &EvaluationReport, b: &EvaluationReport) {
    let [a, b] = [a, b].map(|report| serde_json::to_value(report).unwrap());
    same_value("report", &a, &b);
}

fn same_value(place: &str, a: &Value, b: &Value) {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let [a, b] = [a, b].map(|number| number.as_f64().unwrap());
            assert!(
                (a - b).abs() <= 1e-12 * (1.0 + a.abs()),
                "{place}: {a} and {b}"
            );
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{place}");
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                same_value(&format!("{place}/{index}"), a, b);
            }
        }
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{place}");
            for (key, a) in a {
                same_value(&format!("{place}/{key}"), a, &b[key]);
            }
        }
        (a, b) => assert_eq!(a, b, "{place}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_and_batches_do_not_matter(
        (samples, shuffled) in prop::collection::vec(sample(), 1..40)
            .prop_flat_map(|samples| (Just(samples.clone()), Just(samples).prop_shuffle())),
        batch in 1usize..12,
    ) {
        let report = evaluate(&samples, samples.len()).unwrap();
        // In the same order every bit is the same.
        prop_assert_eq!(&evaluate(&samples, batch).unwrap(), &report);
        assert_same(&evaluate(&shuffled, batch).unwrap(), &report);
    }

    #[test]
    fn merging_is_concatenating(samples in prop::collection::vec(sample(), 2..40), cut in 0.0..1.0, batch in 1usize..12) {
        let cut = 1 + (cut * (samples.len() - 1) as f64) as usize;
        let whole = evaluate(&samples, batch).unwrap();
        let mut merged = accumulate(&samples[..cut], batch).unwrap();
        if cut < samples.len() {
            merged.merge(&accumulate(&samples[cut..], batch).unwrap()).unwrap();
        }
        prop_assert_eq!(merged.len(), samples.len());
        assert_same(&merged.compute().unwrap(), &whole);
    }

    #[test]
    fn measures_stay_in_their_range(samples in prop::collection::vec(sample(), 1..40)) {
        let report = evaluate(&samples, 16).unwrap();
        prop_assert!(0.0 <= report.top1 && report.top1 <= report.top5 && report.top5 <= 1.0);
        prop_assert!(report.nll >= 0.0 && (0.0..=2.0).contains(&report.brier));
        prop_assert!((0.0..=6f64.ln() + 1e-12).contains(&report.entropy));
        for error in [report.ece, report.mce, report.ece_equal_mass, report.classwise_ece] {
            prop_assert!((0.0..=1.0).contains(&error));
        }
        prop_assert!(report.ece <= report.mce + 1e-12 && report.separability >= 0.0);
        let human = report.human.as_ref().unwrap();
        prop_assert!(human.kl >= 0.0 && human.kl_model >= 0.0);
        let scores = report.confusion.per_class();
        // Each sample is a hit of its class or of none.
        let hits: f64 = scores.iter().map(|class| class.recall * class.support as f64).sum();
        prop_assert!((hits / report.samples as f64 - report.top1).abs() < 1e-12);
        let massed: u64 = report.mass_bins.iter().map(|bin| bin.count).sum();
        prop_assert_eq!(massed, report.samples);
        let counted: u64 = report.calibration_bins.iter().map(|bin| bin.count).sum();
        prop_assert_eq!(counted, report.samples);
        for bin in report.calibration_bins.iter().filter(|bin| bin.count > 0) {
            prop_assert!(bin.lower < bin.confidence && bin.confidence <= bin.upper + 1e-12);
        }
    }
}

#[test]
fn threads_and_batches_leave_every_bit() {
    let classes = 130;
    let samples: Vec<Sample> = (0..400)
        .map(|i| {
            let value = |c: usize| ((i * 7919 + c * c * 31 + i * c) % 997) as f32 / 50.0;
            let mut human = vec![0.0; classes];
            human[i % classes] += 0.75;
            human[i * 3 % classes] += 0.25;
            Sample {
                logits: (0..classes).map(value).collect(),
                label: (i % 129) as i64,
                human,
            }
        })
        .collect();
    let report = |threads: usize, batch: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| evaluate(&samples, batch).unwrap())
    };
    let one = report(1, 400);
    assert!(one == report(3, 400) && one == report(4, 33) && one == report(2, 1));
}

#[test]
fn settings_that_differ_are_not_merged() {
    let evaluation = |config: EvaluationConfig| config.init(4).unwrap();
    let plain = EvaluationConfig::new();
    for (other, field) in [
        (plain.clone().with_smoothing(0.1), "smoothing"),
        (plain.clone().with_keep_rows(true), "keep_rows"),
        (plain.clone().with_bins(9), "bins"),
    ] {
        let error = evaluation(plain.clone())
            .merge(&evaluation(other))
            .unwrap_err();
        assert!(error.to_string().starts_with(field), "{error}");
    }
}

#[test]
fn updates_of_other_types_are_read_too() {
    let device = Device::flex();
    let mut mixed = EvaluationConfig::new().init(2).unwrap();
    let mut plain = mixed.clone();
    for dtype in [DType::I64, DType::I32] {
        let logits = Tensor::<2>::from_data([[1.0, 0.0]], &device);
        let labels = Tensor::<1, Int>::from_data([1], &device);
        mixed
            .update(logits.clone(), labels.clone().cast(dtype), None)
            .unwrap();
        plain.update(logits, labels, None).unwrap();
    }
    assert_eq!(mixed.compute().unwrap(), plain.compute().unwrap());
}

#[test]
fn a_report_survives_json() {
    let report = evaluate(&[peaked(3, 1.0, 3), peaked(2, 4.0, 1)], 2).unwrap();
    let json = serde_json::to_string(&report).unwrap();
    let read: EvaluationReport = serde_json::from_str(&json).unwrap();
    // Numbers come back to the last bit or the one next to it, as serde_json reads them by default.
    assert_same(&read, &report);
}
