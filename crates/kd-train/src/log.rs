use std::collections::BTreeMap;

use kd_metrics::EvaluationReport;
use serde::{Deserialize, Serialize};

use crate::values::Values;

/// A line of `metrics.jsonl`. Epochs and steps count from 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Line {
    /// Once, before the first step.
    Start {
        /// The weight of each term, at the end of its ramp.
        weights: BTreeMap<String, f64>,
        /// Steps of an epoch.
        steps: usize,
        /// Epochs of the run.
        epochs: usize,
    },
    /// Every so many steps: the values of that step.
    Step {
        /// The epoch.
        epoch: usize,
        /// The step in the epoch.
        step: usize,
        /// What the step was applied with.
        learning_rate: f64,
        /// Each term, not weighted, and the weighted sum.
        #[serde(flatten)]
        values: Values,
    },
    /// After each epoch.
    Epoch(EpochRecord),
}

/// An epoch, in `metrics.jsonl` and in the [`Outcome`](crate::Outcome).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch.
    pub epoch: usize,
    /// The learning rate of the epoch.
    pub learning_rate: f64,
    /// Means over the images of the epoch, taken while the network changed.
    pub train: Values<f64>,
    /// Where mixed images are picked: the mean score of those picked over the mean score of their pool, averaged over the steps. By the
    /// divergence of teacher and student it is the ratio r of *Understanding the Success of Knowledge Distillation – A Data Augmentation
    /// Perspective*, equation 4; above 1, since the best are picked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_ratio: Option<f64>,
    /// The student after the epoch, where there is a test set and the recipe asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestRecord>,
    /// Every peer after the epoch, where there are several: each head of the student, then of each
    /// network that is trained with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<TestRecord>,
    /// The average of the student after the epoch, if the recipe has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<TestRecord>,
}

/// Epochs as comma-separated values: a column for each number that some epoch has. A cell is
/// empty where the epoch has none.
pub(crate) fn table(history: &[EpochRecord]) -> String {
    let rows: Vec<Vec<(String, String)>> = history.iter().map(cells).collect();
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let quoted = |text: &str| match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    };
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let head = line(columns.iter().map(|column| quoted(column)).collect());
    let body = rows.iter().map(|row| {
        let cell = |column: &&str| {
            let found = row.iter().find(|(name, _)| name == column);
            found.map_or(String::new(), |(_, value)| value.clone())
        };
        line(columns.iter().map(cell).collect())
    });
    head + &body.collect::<String>()
}

/// The numbers of an epoch, by the names of their columns.
fn cells(record: &EpochRecord) -> Vec<(String, String)> {
    let mut cells = vec![
        ("epoch".to_string(), record.epoch.to_string()),
        ("learning_rate".into(), record.learning_rate.to_string()),
        ("loss".into(), record.train.loss.to_string()),
    ];
    let terms = record.train.terms.iter();
    cells.extend(terms.map(|(name, value)| (format!("train.{name}"), value.to_string())));
    let ratio = record.score_ratio.map(|ratio| ratio.to_string());
    cells.extend(ratio.map(|ratio| ("score_ratio".to_string(), ratio)));
    let mut measured = |name: &str, test: &TestRecord| {
        for (measure, value) in [
            ("top1", Some(test.top1)),
            ("top5", Some(test.top5)),
            ("nll", Some(test.nll)),
            ("ece", Some(test.ece)),
            ("kl_human", test.kl_human),
        ] {
            cells.extend(value.map(|value| (format!("{name}.{measure}"), value.to_string())));
        }
    };
    if let Some(test) = &record.test {
        measured("test", test);
    }
    if let Some(ema) = &record.ema {
        measured("ema", ema);
    }
    for (number, peer) in record.peers.iter().enumerate() {
        measured(&format!("peer{number}"), peer);
    }
    cells
}

/// The measures of a student on the test set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestRecord {
    /// Share of images whose label has the largest logit.
    pub top1: f64,
    /// Share of images whose label is among the five largest.
    pub top5: f64,
    /// Mean negative log-likelihood of the labels, in nats.
    pub nll: f64,
    /// Expected calibration error, 15 bins.
    pub ece: f64,
    /// Mean KL(human ‖ student), in nats, where the set has human labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_human: Option<f64>,
}

impl From<&EvaluationReport> for TestRecord {
    fn from(report: &EvaluationReport) -> Self {
        Self {
            top1: report.top1,
            top5: report.top5,
            nll: report.nll,
            ece: report.ece,
            kl_human: report.kl_human,
        }
    }
}

/// A line of `timing.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochTiming {
    /// The epoch.
    pub epoch: usize,
    /// Of its steps.
    pub seconds: f64,
    /// How many steps.
    pub steps: usize,
    /// Images that went through the networks.
    #[serde(flatten)]
    pub counts: ForwardCounts,
}

/// Images that went through each network: what steps cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardCounts {
    /// Through the networks in training, forward and backward.
    pub student_images: u64,
    /// Through the networks in training, forward alone: to score candidates, or for a target.
    pub student_scored_images: u64,
    /// Through the teacher.
    pub teacher_images: u64,
}

impl ForwardCounts {
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            student_images: self.student_images - earlier.student_images,
            student_scored_images: self.student_scored_images - earlier.student_scored_images,
            teacher_images: self.teacher_images - earlier.teacher_images,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.student_images += other.student_images;
        self.student_scored_images += other.student_scored_images;
        self.teacher_images += other.teacher_images;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_column_for_whatever_some_epoch_has() {
        let record = |epoch, term: &str, test| EpochRecord {
            epoch,
            learning_rate: 0.1,
            train: Values {
                loss: 1.5,
                terms: BTreeMap::from([(term.to_string(), 0.25)]),
            },
            score_ratio: None,
            test,
            peers: Vec::new(),
            ema: None,
        };
        let test = TestRecord {
            top1: 0.5,
            top5: 1.0,
            nll: 2.0,
            ece: 0.125,
            kl_human: None,
        };
        let history = [record(0, "fsp", None), record(1, "a,b", Some(test))];
        assert_eq!(
            table(&history),
            "epoch,learning_rate,loss,train.fsp,\"train.a,b\",test.top1,test.top5,test.nll,test.ece\n\
             0,0.1,1.5,0.25,,,,,\n\
             1,0.1,1.5,,0.25,0.5,1,2,0.125\n"
        );
    }
}
