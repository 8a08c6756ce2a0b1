use std::fmt;

use kd_augment::ParamSharing;
use kd_metrics::plot::bar_with_interval;
use kd_metrics::report::Table;
use kd_metrics::{Report, Section, TStddevReport};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::progress::duration;

/// A ranking of augmentations. The rows are sorted within each sharing, the best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankReport {
    /// One for each scheme and sharing.
    pub rows: Vec<RankRow>,
    /// Schemes that were asked for and pick by what a student says, without there being one.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Augmented images behind a mean, on average: the last batch of an epoch may be short.
    pub images_per_mean: f64,
    /// Images that the teacher was asked for.
    pub teacher_images: u64,
    /// Seconds of the teacher's forward passes.
    pub teacher_seconds: f64,
    /// Seconds in all.
    pub seconds: f64,
}

/// A scheme under one sharing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankRow {
    /// The name of the scheme.
    pub scheme: String,
    /// For whom parameters were drawn.
    pub sharing: ParamSharing,
    /// Value, interval and number of means.
    #[serde(flatten)]
    pub result: TStddevReport,
}

fn sharing_name(sharing: ParamSharing) -> &'static str {
    match sharing {
        ParamSharing::Batch => "batch",
        ParamSharing::PerSample => "per sample",
    }
}

impl fmt::Display for RankReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.rows.first().map_or(0.95, |row| row.result.level);
        writeln!(
            f,
            "{:<22} {:<11} {:>10}  {:>20} {:>6}",
            "scheme",
            "sharing",
            "T. stddev",
            format!("{:.0} % interval", 100.0 * level),
            "means"
        )?;
        let mut last = None;
        for RankRow {
            scheme,
            sharing,
            result,
        } in &self.rows
        {
            if last.is_some_and(|last| last != *sharing) {
                writeln!(f)?;
            }
            last = Some(*sharing);
            let (low, high) = result.interval;
            writeln!(
                f,
                "{scheme:<22} {:<11} {:>10.6}  {low:>8.6} … {high:>8.6} {:>6}",
                sharing_name(*sharing),
                result.value,
                result.means
            )?;
        }
        for scheme in &self.missing {
            writeln!(f, "{scheme:<22} {WITHOUT_STUDENT}")?;
        }
        Ok(())
    }
}

/// Why a scheme is missing.
const WITHOUT_STUDENT: &str =
    "not measured: it picks by what a trained student says, and none was given";

impl RankReport {
    /// A self-contained page with the ranking.
    ///
    /// # Errors
    ///
    /// [`TrainError::Metric`] when a figure cannot be drawn.
    pub fn page(&self, title: &str) -> Result<String, TrainError> {
        let lead = "How much the mean answer of the teacher varies from draw to draw of an augmentation. The lower, the \
                    better the augmentation is expected to be for distillation; where two intervals overlap, their order \
                    says little.";
        let mut report = Report::new(title).lead(lead);
        let mut sharings: Vec<_> = self.rows.iter().map(|row| row.sharing).collect();
        sharings.dedup();
        for sharing in sharings {
            let rows = || self.rows.iter().filter(move |row| row.sharing == sharing);
            let bars: Vec<_> = rows()
                .map(|row| {
                    let RankRow { scheme, result, .. } = row;
                    (scheme.as_str(), result.value, Some(result.interval))
                })
                .collect();
            let table = rows().fold(
                Table::new(["scheme", "T. stddev", "low", "high", "means"]),
                |table, RankRow { scheme, result, .. }| {
                    table.row([
                        scheme.clone(),
                        format!("{:.6}", result.value),
                        format!("{:.6}", result.interval.0),
                        format!("{:.6}", result.interval.1),
                        result.means.to_string(),
                    ])
                },
            );
            let what = match sharing {
                ParamSharing::Batch => {
                    "One draw of the parameters for all images of a batch, as in the published values."
                }
                ParamSharing::PerSample => "Parameters drawn for each image, as in training.",
            };
            let figure = bar_with_interval("T. stddev", "lower is better", &bars)?;
            report = report.section(
                Section::new(format!("Parameters shared: {}", sharing_name(sharing)))
                    .paragraph(what)
                    .svg(figure, "The interval is a bootstrap over the means.")
                    .table(table),
            );
        }
        if !self.missing.is_empty() {
            let names = self.missing.join(", ");
            report = report
                .section(Section::new("Missing").paragraph(format!("{names}: {WITHOUT_STUDENT}.")));
        }
        let cost = Section::new("What it took").numbers([
            (
                "images shown to the teacher",
                self.teacher_images.to_string(),
            ),
            ("time", duration(self.seconds)),
            ("of it in the teacher", duration(self.teacher_seconds)),
            (
                "images behind a mean",
                format!("{:.0}", self.images_per_mean),
            ),
        ]);
        Ok(report.section(cost).render())
    }
}
