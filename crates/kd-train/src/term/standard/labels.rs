//! Losses of logits and labels, with no teacher but what is made of the labels: a number for each
//! peer, without parts.

use kd_core::{LabelSmoothingLossConfig, TfKdVirtualLossConfig};
use kd_models::Features;

use crate::TrainError;
use crate::term::{LabelKind, Losses, NoParts, Reads, Setting, Step, Term};

/// A configuration of kd-core whose loss takes logits and one label an image.
macro_rules! of_labels {
    ($name:literal, $config:ty) => {
        impl Term for $config {
            const NAME: &'static str = $name;
            type Parts = NoParts;
            type Update = ();

            fn defaults() -> Self {
                Self::new()
            }

            fn reads(&self) -> Vec<Reads> {
                vec![Reads {
                    labels: LabelKind::Hard,
                    ..Reads::LABELS
                }]
            }

            fn init(&self, _: &Setting<'_>) -> Result<NoParts, TrainError> {
                self.init()?;
                Ok(NoParts::default())
            }

            fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
                let (loss, seen) = (self.init()?, step.view(0));
                let labels = seen.hard_labels()?;
                let of = |peer: &Features| loss.forward(peer.logits.clone(), labels.clone());
                Ok((Losses::of_peers(seen.peers().iter().map(of)), ()))
            }
        }
    };
}

of_labels!("label_smoothing", LabelSmoothingLossConfig);
of_labels!("tf_kd_virtual", TfKdVirtualLossConfig);
