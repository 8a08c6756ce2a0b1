//! Losses of the maps of the stages, without parts: AT and NST of every stage after the stem, SP of the
//! last, as published.

use kd_core::{AtLossConfig, NstLoss, SpLossConfig};
use serde::{Deserialize, Serialize};

use super::pairs::{each, stages, sum};
use crate::TrainError;
use crate::term::{Losses, NoParts, Reads, Setting, Step, Term};

/// `nst`: neuron selectivity transfer, summed over the stages after the stem.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nst {}

impl Term for AtLossConfig {
    const NAME: &'static str = "at";
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
        self.init()?;
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let loss = self.init()?;
        each(step, |student, teacher| {
            sum(stages(student, teacher)
                .into_iter()
                .map(|[s, t]| loss.forward(s, t)))
        })
    }
}

impl Term for Nst {
    const NAME: &'static str = "nst";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self {}
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::FEATURES]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<NoParts, TrainError> {
        setting.stages()?;
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        each(step, |student, teacher| {
            sum(stages(student, teacher)
                .into_iter()
                .map(|[s, t]| NstLoss.forward(s, t)))
        })
    }
}

impl Term for SpLossConfig {
    const NAME: &'static str = "sp";
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
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let loss = self.init();
        each(step, |student, teacher| {
            sum(stages(student, teacher)
                .pop()
                .map(|[s, t]| loss.forward(s, t)))
        })
    }
}
