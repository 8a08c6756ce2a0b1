//! What a run costs, found by taking a few of its steps.

use std::ops::Range;

use super::Run;
use crate::TrainError;
use crate::checkpoint::Position;
use crate::dry_run::{DryRun, Reading, measured, phases};
use crate::gradients::Pending;

impl Run<'_> {
    /// Takes a few steps of each phase, and says what they cost.
    pub(crate) fn dry(mut self) -> Result<DryRun, TrainError> {
        let epochs = self.recipe.epochs;
        let phases = phases(epochs, |epoch| self.stepper.objective.reading(epoch));
        let measure = |phase: (Range<usize>, Reading)| {
            self.position = Position {
                epoch: phase.0.start,
                ..Position::default()
            };
            self.pending = Pending::default();
            let mut batches = self.loader.epoch(phase.0.start as u64);
            measured(phase, |_| {
                let Some(batch) = batches.next() else {
                    return Ok(None);
                };
                let before = self.position.counts;
                self.step(&batch)?;
                Ok(Some(self.position.counts.since(&before)))
            })
        };
        Ok(DryRun {
            phases: phases.into_iter().map(measure).collect::<Result<_, _>>()?,
            steps: self.loader.batches(),
            epochs,
            networks: self.networks.len(),
        })
    }
}
