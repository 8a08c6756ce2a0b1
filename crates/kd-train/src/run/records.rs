//! What a run leaves in its folder, and how it goes on from there.

use burn::optim::ModuleOptimizer;

use super::Run;
use crate::average::Average;
use crate::checkpoint::Records;
use crate::log::Line;
use crate::network::Network;
use crate::run_folder::RunFolder;
use crate::step::Stepper;
use crate::term::Part;
use crate::{Recipe, TrainError};

/// The name of a network among the records of a checkpoint.
fn name_of(network: usize) -> String {
    match network {
        0 => "student".into(),
        peer => format!("peer.{peer}"),
    }
}

/// Something that a checkpoint records.
enum Recorded<'a> {
    Network(&'a mut dyn Network),
    Average(&'a mut dyn Average),
    Part(&'a mut dyn Part),
}

impl Run<'_> {
    /// Leaves what there is to leave in this folder, and goes on where its checkpoint stands.
    pub(crate) fn open(&mut self, mut folder: RunFolder) -> Result<(), TrainError> {
        let checkpoint = folder.checkpoint();
        let mut recorded = self.recorded();
        let names: Vec<String> = recorded.iter().map(|(name, _)| name.clone()).collect();
        let loaded = checkpoint.load(&names, |name, record| {
            let found = recorded.iter_mut().find(|(known, _)| known == name);
            match found {
                Some((_, Recorded::Network(network))) => network.load(record),
                Some((_, Recorded::Average(average))) => average.load(record),
                Some((_, Recorded::Part(part))) => part.load(record),
                None => Ok(()),
            }
        })?;
        if let Some((optimizer, position)) = loaded {
            self.optimizer =
                optimizer.into(fresh_optimizer(self.recipe, &self.stepper, &self.networks))?;
            self.position = position;
        }
        if let (Some(recording), Some(plan)) = (&self.recording, &self.plan) {
            recording.covers(plan, [self.position.epoch, self.position.step])?;
        }
        let lines = folder.rewind(&self.position)?;
        self.history = lines
            .into_iter()
            .filter_map(|line| match line {
                Line::Epoch(record) => Some(record),
                _ => None,
            })
            .collect();
        self.folder = Some(folder);
        Ok(())
    }

    /// What a checkpoint records, by name: networks, their averages, and the parts of terms.
    fn recorded(&mut self) -> Vec<(String, Recorded<'_>)> {
        let networks = self.networks.iter_mut().enumerate();
        let networks =
            networks.map(|(number, network)| (name_of(number), Recorded::Network(&mut **network)));
        let parts = self.stepper.objective.parts();
        let parts = parts.map(|(name, part)| (format!("term.{name}"), Recorded::Part(part)));
        let averages = self.averages.iter_mut().enumerate();
        let averages = averages.map(|(number, average)| {
            let name = format!("ema.{}", name_of(number));
            (name, Recorded::Average(&mut **average))
        });
        networks.chain(averages).chain(parts).collect()
    }

    fn records(&mut self) -> Result<Records, TrainError> {
        let recorded = self.recorded().into_iter();
        recorded
            .map(|(name, recorded)| {
                let record = match recorded {
                    Recorded::Network(network) => network.record(),
                    Recorded::Average(average) => average.record(),
                    Recorded::Part(part) => part.record(),
                };
                let record = record.map_err(|reason| TrainError::Checkpoint {
                    path: name.clone().into(),
                    reason,
                })?;
                Ok((name, record))
            })
            .collect()
    }

    /// Writes a checkpoint, if there is a folder. Weights that are not finite are refused: a loss may
    /// be finite where its gradient is not, and every run that goes on from such weights fails.
    pub(super) fn save(&mut self) -> Result<(), TrainError> {
        let networks = self.networks.iter();
        let found = networks.filter_map(|network| network.not_finite()).next();
        if let Some(tensor) = found.or_else(|| self.stepper.objective.not_finite()) {
            let steps = self.loader.batches();
            let last = self.position.epoch * steps + self.position.step - 1;
            return Err(TrainError::NotFinite {
                tensor,
                epoch: last / steps,
                step: last % steps,
            });
        }
        // A step that a checkpoint is behind is not asked again.
        if let Some(recording) = &self.recording {
            recording.flush()?;
        }
        let records = match self.folder {
            Some(_) => self.records()?,
            None => return Ok(()),
        };
        let Some(folder) = &mut self.folder else {
            return Ok(());
        };
        (self.position.metrics_bytes, self.position.timing_bytes) = folder.flush()?;
        let checkpoint = folder.checkpoint();
        checkpoint.save(records, &self.optimizer, &self.position)
    }
}

/// The optimiser of the recipe, which has not taken a step yet.
pub(super) fn fresh_optimizer(
    recipe: &Recipe,
    stepper: &Stepper,
    networks: &[Box<dyn Network>],
) -> ModuleOptimizer {
    let modules = stepper.modules(networks).into_iter();
    let norms_and_biases: Vec<_> = modules.flat_map(|m| m.norms_and_biases()).collect();
    recipe.optimizer.init_for(&norms_and_biases)
}
