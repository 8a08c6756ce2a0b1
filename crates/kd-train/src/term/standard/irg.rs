use kd_core::{Graph, IrgLossConfig};
use kd_models::Features;

use super::pairs::{NO_EMBEDDING, NO_STAGES, each};
use crate::TrainError;
use crate::term::{Losses, NoParts, Reads, Setting, Shapes, Step, Term};

/// On the last two stages, the embedding and the logits.
impl Term for IrgLossConfig {
    const NAME: &'static str = "irg";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self::new()
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::FEATURES]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<NoParts, TrainError> {
        setting.stages()?;
        setting.embeddings()?;
        for network in setting.peers.iter().chain(&setting.teacher) {
            check(network)?;
        }
        self.init()?;
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let loss = self.init()?;
        each(step, |student, teacher| {
            Ok(loss.forward(graph(student)?, graph(teacher)?))
        })
    }
}

/// Refuses a network whose last two stages are not two steps of one transformation.
fn check(network: &Shapes) -> Result<(), TrainError> {
    let [.., lower, upper] = &network.stages[..] else {
        return Err(NO_STAGES);
    };
    match upper[0].is_multiple_of(lower[0]) {
        true => Ok(()),
        false => Err(TrainError::Recipe {
            place: "stages".into(),
            reason: format!(
                "end with {} and {} channels, expected a multiple of the former in the last",
                lower[0], upper[0]
            ),
        }),
    }
}

fn graph(features: &Features) -> Result<Graph, TrainError> {
    let [.., lower, upper] = &features.stages[..] else {
        return Err(NO_STAGES);
    };
    Ok(Graph {
        lower: lower.clone(),
        upper: upper.clone(),
        embedding: features.embedding.clone().ok_or(NO_EMBEDDING)?,
        logits: features.logits.clone(),
    })
}
