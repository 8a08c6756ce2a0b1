//! Losses of a network that is its own teacher, without parts. They contain their cross-entropy.

use kd_core::{CsKdLossConfig, DdgsdLossConfig, DistortedView};
use kd_models::Features;

use super::pairs::NO_EMBEDDING;
use super::peers::{PEERS, widths};
use crate::TrainError;
use crate::term::{Ask, LabelKind, Losses, NoParts, Reads, Setting, Step, Term};

const LABELLED: Reads = Reads {
    labels: LabelKind::Hard,
    ..PEERS
};

/// On two views: the images, and others of the same classes, over which the networks pass in
/// training mode and without a gradient.
impl Term for CsKdLossConfig {
    const NAME: &'static str = "cs_kd";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self::new()
    }

    fn reads(&self) -> Vec<Reads> {
        let partner = Reads {
            networks: Ask::Detached,
            ..PEERS
        };
        vec![LABELLED, partner]
    }

    fn init(&self, _: &Setting<'_>) -> Result<NoParts, TrainError> {
        self.init()?;
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let (loss, seen) = (self.init()?, step.view(0));
        let labels = seen.hard_labels()?;
        let pairs = seen.peers().iter().zip(step.view(1).peers());
        let losses = pairs.map(|(own, partner)| {
            loss.forward(own.logits.clone(), partner.logits.clone(), labels.clone())
        });
        Ok((Losses::of_peers(losses), ()))
    }
}

/// On two views of the same images.
impl Term for DdgsdLossConfig {
    const NAME: &'static str = "ddgsd";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self::new()
    }

    fn reads(&self) -> Vec<Reads> {
        vec![LABELLED, PEERS]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<NoParts, TrainError> {
        widths(&setting.peers)?;
        self.init()?;
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let (loss, seen) = (self.init()?, step.view(0));
        let labels = seen.hard_labels()?;
        let view = |peer: &Features| -> Result<_, TrainError> {
            Ok(DistortedView {
                logits: peer.logits.clone(),
                features: peer.embedding.clone().ok_or(NO_EMBEDDING)?,
            })
        };
        let pairs = seen.peers().iter().zip(step.view(1).peers());
        let losses = pairs
            .map(|(first, second)| Ok(loss.forward(view(first)?, view(second)?, labels.clone())));
        let losses = losses.collect::<Result<Vec<_>, TrainError>>()?;
        Ok((Losses::of_peers(losses), ()))
    }
}
