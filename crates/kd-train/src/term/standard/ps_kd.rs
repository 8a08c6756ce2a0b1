use kd_core::{PsKdConfig, PsKdUpdate};
use serde::{Deserialize, Serialize};

use super::peers::PEERS;
use crate::TrainError;
use crate::term::{LabelKind, Losses, Reads, Setting, Step, Term};

/// `ps_kd`: cross-entropy with a target between the label and what the network said of the image
/// when it last saw it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PsKd {
    /// The weight of the past at the end of training, in [0, 1].
    pub alpha: f64,
}

impl Term for PsKd {
    const NAME: &'static str = "ps_kd";
    /// The memory of each peer.
    type Parts = Vec<kd_core::PsKd>;
    type Update = Vec<PsKdUpdate>;

    fn defaults() -> Self {
        Self {
            alpha: PsKdConfig::new(1, 1).alpha,
        }
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads {
            labels: LabelKind::Hard,
            ..PEERS
        }]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<Self::Parts, TrainError> {
        let config = PsKdConfig::new(setting.labels.len(), setting.classes).with_alpha(self.alpha);
        let memory = |_| Ok(config.init(&setting.device)?);
        (0..setting.peers.len()).map(memory).collect()
    }

    fn losses(
        &self,
        memories: &Self::Parts,
        step: &Step<'_>,
    ) -> Result<(Losses, Self::Update), TrainError> {
        let seen = step.view(0);
        let labels = seen.hard_labels()?;
        let indices: Vec<usize> = step.ids.iter().map(|id| *id as usize).collect();
        let progress = (step.epoch + 1) as f64 / step.epochs as f64;
        let outputs = memories.iter().zip(seen.peers()).map(|(memory, peer)| {
            let output = memory.forward(peer.logits.clone(), labels.clone(), &indices, progress)?;
            Ok((output.loss, output.update))
        });
        let outputs = outputs.collect::<Result<Vec<_>, TrainError>>()?;
        let (losses, updates): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        Ok((Losses::of_peers(losses), updates))
    }

    fn remember(&self, memories: Self::Parts, updates: Self::Update) -> Self::Parts {
        let memories = memories.into_iter().zip(updates);
        memories
            .map(|(memory, update)| memory.remember(update))
            .collect()
    }
}
