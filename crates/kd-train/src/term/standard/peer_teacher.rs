use kd_core::PeerTeacherConfig;
use serde::{Deserialize, Serialize};

use super::peers::{PEERS, at_least, embeddings, widths};
use crate::TrainError;
use crate::term::{LabelKind, Labels, Losses, Reads, Setting, Step, Term};

/// `peer_teacher`: a classifier of the embeddings of all peers, from which each peer learns. Its own
/// cross-entropy, `teacher`, has weight 1 and trains its layer alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerTeacher {
    /// Softmax temperature of the peers' losses.
    pub temperature: f64,
}

impl Term for PeerTeacher {
    const NAME: &'static str = "peer_teacher";
    type Parts = kd_core::PeerTeacher;
    type Update = ();

    fn defaults() -> Self {
        Self {
            temperature: PeerTeacherConfig::new(vec![1; 2], 1).temperature,
        }
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads {
            labels: LabelKind::Any,
            ..PEERS
        }]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<Self::Parts, TrainError> {
        at_least(2, setting)?;
        let config = PeerTeacherConfig::new(widths(&setting.peers)?, setting.classes)
            .with_temperature(self.temperature)
            .with_seed(setting.seed);
        Ok(config.init(&setting.device)?)
    }

    fn losses(
        &self,
        teacher: &Self::Parts,
        step: &Step<'_>,
    ) -> Result<(Losses, Self::Update), TrainError> {
        let seen = step.view(0);
        let (features, logits) = (embeddings(seen.peers())?, seen.logits());
        let terms = match seen.labels()? {
            Labels::Hard(labels) => teacher.forward(&features, &logits, labels.clone()),
            Labels::Mixed(shares) => teacher.forward_soft(&features, &logits, shares.clone()),
        };
        let losses = Losses::of_peers(terms.peers).with_own("teacher", terms.teacher);
        Ok((losses, ()))
    }
}
