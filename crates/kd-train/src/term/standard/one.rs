use kd_core::OneConfig;
use serde::{Deserialize, Serialize};

use super::peers::PEERS;
use crate::TrainError;
use crate::term::{LabelKind, Labels, Losses, Reads, Setting, Step, Term};

/// `one`: the branches of a network learn from their ensemble, which a gate weighs. The
/// cross-entropy of the ensemble, `ensemble`, has weight 1; that of each branch is the term `ce`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct One {
    /// Softmax temperature of the branches' losses.
    pub temperature: f64,
}

impl Term for One {
    const NAME: &'static str = "one";
    type Parts = kd_core::One;
    type Update = ();

    fn defaults() -> Self {
        Self {
            temperature: OneConfig::new(1, 2).temperature,
        }
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads {
            labels: LabelKind::Any,
            ..PEERS
        }]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<Self::Parts, TrainError> {
        let &[Some(width)] = &setting.shared[..] else {
            return Err(TrainError::Unread {
                what: "one network with branches: set `branches`, and give a `BranchedClassifier` \
                       or a network of your own whose `forward_heads` says what its heads share",
            });
        };
        let config = OneConfig::new(width, setting.peers.len())
            .with_temperature(self.temperature)
            .with_seed(setting.seed);
        Ok(config.init(&setting.device)?)
    }

    fn losses(
        &self,
        one: &Self::Parts,
        step: &Step<'_>,
    ) -> Result<(Losses, Self::Update), TrainError> {
        let seen = step.view(0);
        let (shared, logits) = (seen.shared(0)?.clone(), seen.logits());
        let terms = match seen.labels()? {
            Labels::Hard(labels) => one.forward(shared, &logits, labels.clone()),
            Labels::Mixed(shares) => one.forward_soft(shared, &logits, shares.clone()),
        };
        let losses = Losses::of_peers(terms.branches).with_own("ensemble", terms.ensemble);
        Ok((losses, ()))
    }
}
