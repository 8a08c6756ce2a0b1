//! Measures for knowledge distillation: how good a teacher, a student, an augmentation is; plots and a report.
//!
//! - [`Evaluation`]: accuracy, F1, likelihood, calibration errors, agreement with people and class separability in one pass over the logits;
//!   [`TemperatureScaling`]: the one number that calibrates a network.
//! - [`structure`]: cohesion, adhesion and discrimination of embeddings, t-SNE, principal components.
//! - [`TStddev`]: how much a teacher's mean answer varies under an augmentation, with a bootstrap interval; it ranks augmentations without
//!   training a student. [`ReferenceWindow`] makes the draws that it needs.
//! - [`augmentation`]: what else is measured of augmentations: covariance, entropy, baseline, mixed labels against the teacher.
//! - [`Relation`]: Pearson, Spearman and Kendall with p-values; [`PairedDifference`]: a gain over seeds with its interval.
//! - [`plot`]: curves, bars with intervals, reliability diagrams, heat maps and scatter plots, as SVG in one quiet style; as PNG too with the
//!   feature `png`. With the feature `burn-train`, the measures are metrics of Burn's `Learner`.
//! - [`Report`]: a page of sections in one self-contained HTML file.
//!
//! A measure is an accumulator: `update` or `push` batch by batch, then `compute` into a plain value that prints as a table and that serde
//! stores. Bad data is refused with an error that names the row.
//!
//! ```
//! use burn::prelude::*;
//! use kd_metrics::{EvaluationConfig, Report, Section, plot};
//!
//! # fn main() -> Result<(), kd_metrics::MetricError> {
//! let device = Device::flex();
//! let mut evaluation = EvaluationConfig::new().init(3)?;
//! for _batch in 0..4 {
//!     let logits = Tensor::<2>::from_data([[2.0, 0.0, 0.0], [0.0, 1.0, 3.0]], &device);
//!     let labels = Tensor::<1, Int>::from_data([0, 1], &device);
//!     evaluation.update(logits, labels, None)?;
//! }
//! let report = evaluation.compute()?;
//! assert_eq!((report.samples, report.top1), (8, 0.5));
//! println!("{report}");
//!
//! let diagram = plot::reliability_diagram(&report.calibration_bins, report.ece)?;
//! let page = Report::new("A teacher").section(
//!     Section::new("Calibration")
//!         .paragraph("Confidence against accuracy on the test set.")
//!         .svg(diagram, "Bars below the line are overconfident."),
//! );
//! assert!(page.render().starts_with("<!doctype html>"));
//! # Ok(())
//! # }
//! ```

pub mod augmentation;
mod bootstrap;
#[cfg(feature = "burn-train")]
pub mod burn_train;
mod error;
mod evaluation;
mod paired;
pub mod plot;
mod read;
mod relation;
pub mod report;
pub mod structure;
mod temperature;

pub use augmentation::{ReferenceWindow, ReferenceWindowConfig, TStddev, TStddevReport};
pub use bootstrap::Bootstrap;
pub use error::MetricError;
pub use evaluation::{
    CalibrationBin, ClassScores, ConfusionMatrix, Evaluation, EvaluationConfig, EvaluationReport,
    HumanReport, MeanRows, RowReport,
};
pub use paired::PairedDifference;
pub use relation::{Correlation, Relation};
pub use report::{Report, Section, contact_sheet};
pub use structure::{ClassStructure, Embeddings, StructureReport};
pub use temperature::{TemperatureFit, TemperatureScaling};
