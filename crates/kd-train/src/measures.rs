//! What the networks of a run come to on the test set.

use kd_data::ImageSet;
use kd_metrics::EvaluationReport;

use crate::TrainError;
use crate::average::Average;
use crate::evaluation::{measure, measure_heads};
use crate::network::{Frozen, Network};
use crate::progress::Progress;

/// What was measured after an epoch.
#[derive(Default)]
pub(crate) struct Measures {
    /// What the student answers with. `None` if nothing was measured.
    pub(crate) student: Option<EvaluationReport>,
    /// Every peer, if there are several.
    pub(crate) peers: Vec<EvaluationReport>,
    /// The average of the student, if there is one.
    pub(crate) average: Option<EvaluationReport>,
}

impl Measures {
    /// Measures the networks, of which each has so many heads, and the average of the student.
    pub(crate) fn of(
        networks: &[Box<dyn Network>],
        heads: &[usize],
        average: Option<&dyn Average>,
        set: &ImageSet,
        batch_size: usize,
    ) -> Result<Self, TrainError> {
        let mut peers = Vec::new();
        if heads.iter().sum::<usize>() > 1 {
            for network in networks {
                let (frozen, device) = (network.frozen(), network.device());
                peers.extend(measure_heads(&*frozen, set, batch_size, &device)?);
            }
        }
        let device = networks[0].device();
        let one = |frozen: Box<dyn Frozen>| {
            measure(&*frozen, set, batch_size, &device, &Progress::Silent)
        };
        // What a network of one head answers with is that head.
        let student = match (peers.first(), heads[0]) {
            (Some(first), 1) => first.clone(),
            _ => one(networks[0].frozen())?,
        };
        let average = average.map(|average| one(average.frozen())).transpose()?;
        Ok(Self {
            student: Some(student),
            peers,
            average,
        })
    }
}
