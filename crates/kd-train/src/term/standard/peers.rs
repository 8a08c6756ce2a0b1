//! Losses of peers that learn from each other's logits or embeddings, without parts.

use burn::tensor::Tensor;
use kd_core::{DmlLossConfig, KdclEnsemble, KdclLossConfig, MmdLoss};
use kd_models::Features;
use serde::{Deserialize, Serialize};

use super::pairs::NO_EMBEDDING;
use crate::TrainError;
use crate::term::{Ask, Depth, LabelKind, Losses, NoParts, Reads, Setting, Shapes, Step, Term};

/// The peers alone.
pub(super) const PEERS: Reads = Reads {
    networks: Ask::WithGraph,
    teacher: Depth::Nothing,
    labels: LabelKind::Nothing,
};

/// Refuses a run of fewer peers.
pub(super) fn at_least(peers: usize, setting: &Setting<'_>) -> Result<(), TrainError> {
    match setting.peers.len() {
        found if found >= peers => Ok(()),
        _ if peers > 2 => Err(TrainError::Unread {
            what: "three peers or more, the last of which is the leader: networks (`peers`) or \
                   heads of one (`branches`)",
        }),
        _ => Err(TrainError::Unread {
            what: "two peers or more: networks (`peers`) or heads of one (`branches`)",
        }),
    }
}

/// The width of the embedding of each peer.
pub(super) fn widths(peers: &[Shapes]) -> Result<Vec<usize>, TrainError> {
    let widths = peers.iter().map(|peer| peer.embedding);
    widths.collect::<Option<_>>().ok_or(NO_EMBEDDING)
}

/// The width that all these peers have.
pub(super) fn width(peers: &[Shapes]) -> Result<usize, TrainError> {
    let widths = widths(peers)?;
    match &widths[..] {
        [first, rest @ ..] if rest.iter().all(|width| width == first) => Ok(*first),
        _ => Err(TrainError::Recipe {
            place: "embeddings".into(),
            reason: format!("have the widths {widths:?}, expected one width for all peers"),
        }),
    }
}

/// The embedding of each peer.
pub(super) fn embeddings(peers: &[Features]) -> Result<Vec<Tensor<2>>, TrainError> {
    let embeddings = peers.iter().map(|peer| peer.embedding.clone());
    embeddings.collect::<Option<_>>().ok_or(NO_EMBEDDING)
}

/// `mmd`: the maximum mean discrepancy of the peers' embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mmd {}

impl Term for Mmd {
    const NAME: &'static str = "mmd";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self {}
    }

    fn reads(&self) -> Vec<Reads> {
        vec![PEERS]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<NoParts, TrainError> {
        at_least(2, setting)?;
        width(&setting.peers)?;
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let embeddings = embeddings(step.view(0).peers())?;
        Ok((Losses::of_peers(MmdLoss.forward(&embeddings)), ()))
    }
}

impl Term for DmlLossConfig {
    const NAME: &'static str = "dml";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self::new()
    }

    fn reads(&self) -> Vec<Reads> {
        vec![PEERS]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<NoParts, TrainError> {
        at_least(2, setting)?;
        self.init()?;
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let losses = self.init()?.forward(&step.view(0).logits());
        Ok((Losses::of_peers(losses), ()))
    }
}

impl Term for KdclLossConfig {
    const NAME: &'static str = "kdcl";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self::new()
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads {
            labels: LabelKind::Hard,
            ..PEERS
        }]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<NoParts, TrainError> {
        at_least(2, setting)?;
        self.init()?;
        match &self.ensemble {
            KdclEnsemble::General { weights } if weights.len() != setting.peers.len() => {
                let (found, peers) = (weights.len(), setting.peers.len());
                Err(TrainError::Recipe {
                    place: "ensemble.general.weights".into(),
                    reason: format!("has {found} weights, expected one for each of {peers} peers"),
                })
            }
            _ => Ok(NoParts::default()),
        }
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let seen = step.view(0);
        let loss = self.init()?;
        let losses = loss.forward(&seen.logits(), seen.hard_labels()?.clone());
        Ok((Losses::of_peers(losses), ()))
    }
}
