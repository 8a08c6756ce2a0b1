//! What a teacher knows, and how it passes it on: every measure of kd-metrics on a network, a data set, and a student if there is one.

mod figures;
mod mixes;
mod network;
mod page;
mod readings;

use kd_metrics::{MetricError, Relation};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::rank::RankReport;

pub use figures::Figure;
pub use mixes::{Disagreement, MixDiagnosis, MixDiagnosisConfig, PickOverlap, diagnose_mixes};
pub use network::{
    DiagnosisConfig, Layout, NetworkDiagnosis, TemperatureDiagnosis, diagnose_network,
};

/// The diagnosis of some networks on one test set, and of what the first of them says of augmented images: parts that are put together
/// here, and a page of them.
///
/// Every part but the networks may be missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// What the data is called.
    pub data: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The networks, the teacher first.
    pub networks: Vec<NetworkDiagnosis>,
    /// How much the teacher's answers vary under each augmentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankReport>,
    /// What the teacher says of mixed images, and which of them would be picked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixes: Option<MixDiagnosis>,
    /// How T. stddev goes together with the test losses of students.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<LossRelation>,
}

impl Diagnosis {
    /// Parts that were put together by hand, or read from a file, may be of different data.
    fn check(&self) -> Result<(), TrainError> {
        let expected = self.classes.len();
        let count = |what, found| match found == expected {
            true => Ok(()),
            false => Err(MetricError::Count {
                what,
                expected,
                found,
            }),
        };
        for network in &self.networks {
            count(
                "classes of a network",
                network.evaluation.confusion.classes(),
            )?;
            for structure in network.embedding.iter().chain(&network.logits) {
                count("classes of a structure", structure.per_class.len())?;
                count("classes of a structure", structure.between.len())?;
            }
            if let Some(human) = &network.evaluation.human {
                count("classes of human labels", human.per_class.len())?;
            }
        }
        let mixes = self.mixes.iter();
        let shown = mixes.flat_map(|mixes| &mixes.disagreements);
        for class in shown.flat_map(|found| found.label.iter().chain(&found.answer)) {
            if class.0 >= expected {
                count("classes of a mixed image", class.0 + 1)?;
            }
        }
        Ok(())
    }
}

/// T. stddev of augmentations against the test loss of students that were distilled with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossRelation {
    /// Scheme, T. stddev, test loss.
    pub points: Vec<(String, f64, f64)>,
    /// Correlations and the line. Nothing where all T. stddev or all losses are equal: nothing goes
    /// together with what does not vary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<Relation>,
}

impl LossRelation {
    /// The relation of a ranking's first sharing with the losses of the schemes that have one.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] for a scheme that the ranking does not have, [`TrainError::Metric`] with fewer than three of them or a loss
    /// that is not finite.
    pub fn of(ranking: &RankReport, losses: &[(String, f64)]) -> Result<Self, TrainError> {
        let first = ranking.rows.first().map(|row| row.sharing);
        let points = losses.iter().map(|(scheme, loss)| {
            let row = ranking
                .rows
                .iter()
                .find(|row| Some(row.sharing) == first && row.scheme == *scheme);
            let row = row.ok_or_else(|| TrainError::Recipe {
                place: "losses".into(),
                reason: format!("`{scheme}` is not among the schemes that were ranked"),
            })?;
            Ok((scheme.clone(), row.result.value, *loss))
        });
        let points = points.collect::<Result<Vec<_>, TrainError>>()?;
        let (x, y): (Vec<f64>, Vec<f64>) = points.iter().map(|point| (point.1, point.2)).unzip();
        let relation = match Relation::of(&x, &y) {
            Ok(relation) => Some(relation),
            // The points are shown all the same.
            Err(MetricError::Constant { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { relation, points })
    }
}
