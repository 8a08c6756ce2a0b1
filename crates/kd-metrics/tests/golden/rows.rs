//! What an evaluation finds.

use std::collections::BTreeMap;

use kd_metrics::{ClassScores, EvaluationConfig, TemperatureScaling};
use serde::Deserialize;

use crate::{Scores, Table, all_close, cases, classes, close, same_gaps, table};

#[derive(Deserialize)]
struct Classification {
    name: String,
    #[serde(flatten)]
    scores: Scores,
    top: BTreeMap<String, f64>,
    confusion: Vec<Vec<u64>>,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    #[serde(rename = "macro")]
    macro_average: Average,
    weighted: Average,
    nll: f64,
    brier: f64,
    entropy: f64,
}

#[derive(Deserialize)]
struct Average {
    precision: f64,
    recall: f64,
    f1: f64,
}

impl Average {
    fn check(&self, name: &str, found: ClassScores) {
        close(name, found.precision, self.precision);
        close(name, found.recall, self.recall);
        close(name, found.f1, self.f1);
    }
}

#[test]
fn classification() {
    for case in cases::<Classification>("classification") {
        let name = &case.name;
        let report = case.scores.evaluate(&EvaluationConfig::new(), None);
        for (k, expected) in &case.top {
            close(
                &format!("{name}: top {k}"),
                report.top(k.parse().unwrap()),
                *expected,
            );
        }
        close(name, report.top1, report.top(1));
        close(name, report.top5, report.top(5));
        assert!(
            report
                .confusion
                .rows()
                .eq(case.confusion.iter().map(Vec::as_slice)),
            "{name}"
        );
        let of = |part: fn(&ClassScores) -> f64| {
            report
                .confusion
                .per_class()
                .iter()
                .map(part)
                .collect::<Vec<_>>()
        };
        all_close(name, &of(|s| s.precision), &case.precision);
        all_close(name, &of(|s| s.recall), &case.recall);
        all_close(name, &of(|s| s.f1), &case.f1);
        case.macro_average
            .check(name, report.confusion.macro_average());
        case.weighted
            .check(name, report.confusion.weighted_average());
        close(name, report.nll, case.nll);
        close(name, report.brier, case.brier);
        close(name, report.entropy, case.entropy);
    }
}

#[derive(Deserialize)]
struct Calibration {
    name: String,
    #[serde(flatten)]
    scores: Scores,
    bins: usize,
    ece: f64,
    mce: f64,
    ece_equal_mass: f64,
    classwise: Vec<f64>,
    classwise_ece: f64,
    temperature: Option<f64>,
    nll_before: f64,
    nll_after: f64,
}

#[test]
fn calibration() {
    let cases = cases::<Calibration>("calibration");
    assert!(cases.iter().any(|case| case.ece != case.ece_equal_mass));
    for case in cases {
        let name = &case.name;
        let report = case
            .scores
            .evaluate(&EvaluationConfig::new().with_bins(case.bins), None);
        close(&format!("{name}: ECE"), report.ece, case.ece);
        close(&format!("{name}: MCE"), report.mce, case.mce);
        close(
            &format!("{name}: equal mass"),
            report.ece_equal_mass,
            case.ece_equal_mass,
        );
        close(
            &format!("{name}: classwise"),
            report.classwise_ece,
            case.classwise_ece,
        );
        all_close(name, &report.per_class_ece, &case.classwise);
    }
}

#[test]
fn temperature() {
    for case in cases::<Calibration>("calibration") {
        let name = &case.name;
        let mut scaling = TemperatureScaling::new(case.scores.classes).unwrap();
        let (logits, labels) = (&case.scores.logits, &case.scores.labels);
        let half = labels.len() / 2;
        for range in [0..half, half..labels.len()]
            .into_iter()
            .filter(|range| !range.is_empty())
        {
            let part = logits[range.clone()].to_vec();
            scaling
                .update(table(&part), classes(&labels[range]))
                .unwrap();
        }
        let fit = scaling.fit().unwrap();
        assert_eq!(fit.at_limit, case.temperature.is_none(), "{name}: {fit:?}");
        if let Some(temperature) = case.temperature {
            close(&format!("{name}: T"), fit.temperature, temperature);
        }
        close(&format!("{name}: before"), fit.nll_before, case.nll_before);
        close(&format!("{name}: after"), fit.nll_after, case.nll_after);
    }
}

#[derive(Deserialize)]
struct Human {
    #[serde(flatten)]
    scores: Scores,
    human: Table,
    smoothing: f64,
    kl_human_model: f64,
    kl_model_human: f64,
    per_sample: Vec<f64>,
    per_class: Vec<Option<f64>>,
    model_confidence: Vec<Option<Vec<f64>>>,
    human_confidence: Vec<Option<Vec<f64>>>,
    kl_confusion: Vec<Vec<Option<f64>>>,
    human_entropy: f64,
}

fn same_rows(name: &str, found: &[Option<Vec<f64>>], expected: &[Option<Vec<f64>>]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for pair in found.iter().zip(expected) {
        match pair {
            (Some(found), Some(expected)) => all_close(name, found, expected),
            (found, expected) => assert_eq!(found, expected, "{name}"),
        }
    }
}

#[test]
fn human() {
    for case in cases::<Human>("human") {
        let config = EvaluationConfig::new()
            .with_smoothing(case.smoothing)
            .with_keep_rows(true);
        let report = case.scores.evaluate(&config, Some(&case.human));
        let human = report.human.as_ref().unwrap();
        close("KL(human‖model)", human.kl, case.kl_human_model);
        assert_eq!(report.kl_human, Some(human.kl));
        close("KL(model‖human)", human.kl_model, case.kl_model_human);
        close("entropy", human.entropy, case.human_entropy);
        let samples: Vec<f64> = report.rows.iter().map(|row| row.kl.unwrap().0).collect();
        all_close("per sample", &samples, &case.per_sample);
        same_gaps("per class", &human.per_class, &case.per_class);
        same_rows("model", &report.class_means, &case.model_confidence);
        same_rows("human", &human.confidence, &case.human_confidence);
        assert_eq!(human.kl_confusion.len(), case.kl_confusion.len());
        for (found, expected) in human.kl_confusion.iter().zip(&case.kl_confusion) {
            same_gaps("KL confusion", found, expected);
        }
    }
}

#[derive(Deserialize)]
struct Separability {
    #[serde(flatten)]
    scores: Scores,
    value: f64,
}

#[test]
fn separability() {
    for case in cases::<Separability>("separability") {
        let report = case.scores.evaluate(&EvaluationConfig::new(), None);
        close("S_f", report.separability, case.value);
    }
}
