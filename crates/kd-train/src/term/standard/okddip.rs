use kd_core::OkddipConfig;
use serde::{Deserialize, Serialize};

use super::peers::{PEERS, at_least, embeddings, width};
use crate::TrainError;
use crate::term::{Losses, Reads, Setting, Step, Term};

/// `okddip`: each peer learns from a mixture of all, with weights of its own, and the last peer, the
/// leader, from their mean. Peers are networks, or the heads of one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Okddip {
    /// By how much the projections of the attention are narrower than the embeddings.
    pub reduction: usize,
    /// Softmax temperature.
    pub temperature: f64,
    /// Whether the attention learns from the peers' losses.
    pub learn_attention: bool,
}

impl Term for Okddip {
    const NAME: &'static str = "okddip";
    type Parts = kd_core::Okddip;
    type Update = ();

    fn defaults() -> Self {
        let defaults = OkddipConfig::new(1);
        Self {
            reduction: defaults.reduction,
            temperature: defaults.temperature,
            learn_attention: defaults.learn_attention,
        }
    }

    fn reads(&self) -> Vec<Reads> {
        vec![PEERS]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<Self::Parts, TrainError> {
        at_least(3, setting)?;
        let followers = &setting.peers[..setting.peers.len() - 1];
        let config = OkddipConfig::new(width(followers)?)
            .with_reduction(self.reduction)
            .with_temperature(self.temperature)
            .with_learn_attention(self.learn_attention)
            .with_seed(setting.seed);
        Ok(config.init(&setting.device)?)
    }

    fn losses(
        &self,
        okddip: &Self::Parts,
        step: &Step<'_>,
    ) -> Result<(Losses, Self::Update), TrainError> {
        let seen = step.view(0);
        let mut logits = seen.logits();
        let Some(leader) = logits.pop() else {
            return Err(TrainError::Unread { what: "peers" });
        };
        let features = embeddings(&seen.peers()[..logits.len()])?;
        let terms = okddip.forward(&features, &logits, leader);
        let losses = terms.peers.into_iter().chain([terms.leader]);
        Ok((Losses::of_peers(losses), ()))
    }
}
