use kd_core::{SoftCrossEntropyLoss, divergence};
use kd_models::Features;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::term::{Labels, Losses, NoParts, Reads, Setting, Step, Term};

/// `ce`: the cross-entropy with the labels of the view, hard or mixed, averaged over its images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ce {}

impl Term for Ce {
    const NAME: &'static str = "ce";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self {}
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::LABELS]
    }

    fn init(&self, _: &Setting<'_>) -> Result<NoParts, TrainError> {
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let seen = step.view(0);
        let labels = seen.labels()?;
        let loss = |passed: &Features| {
            let logits = passed.logits.clone();
            match labels {
                Labels::Hard(labels) => divergence::cross_entropy(logits, labels.clone()).mean(),
                Labels::Mixed(shares) => SoftCrossEntropyLoss.forward(logits, shares.clone()),
            }
        };
        Ok((Losses::of_peers(seen.peers().iter().map(loss)), ()))
    }
}
