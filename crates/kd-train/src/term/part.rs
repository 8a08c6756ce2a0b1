//! A term of any type, with its parts.

use std::any::Any;

use burn::module::{Module, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Gradients, Tensor};

use super::{Losses, Reads, Setting, Step, Term};
use crate::TrainError;
use crate::gradients::{self, Factor, Trainable};
use crate::modules::{norms_and_biases, not_finite};

/// What an accepted step leaves to remember, whatever its type.
pub(crate) type Update = Box<dyn Any>;

/// A term of any type, with its parts: what a run keeps.
pub(crate) trait Part: Trainable + Send {
    fn reads_at(&self, epoch: usize, epochs: usize) -> Vec<Reads>;
    fn losses(&self, step: &Step<'_>) -> Result<(Losses, Update), TrainError>;
    fn remember(&mut self, update: Update);
    /// Whether the parts have parameters or memories.
    fn has_record(&self) -> bool;
    fn record(&self) -> Result<Bytes, String>;
    fn load(&mut self, record: Bytes) -> Result<(), String>;
    fn not_finite(&self) -> Option<String>;
    /// The parts in their own type.
    fn parts(&self) -> &dyn Any;
    fn parts_mut(&mut self) -> &mut dyn Any;
    /// The same, without autodiff.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// A term and its parts.
pub(super) struct Made<T: Term> {
    term: T,
    /// `None` only while a step moves them.
    parts: Option<T::Parts>,
}

impl<T: Term> Made<T> {
    pub(super) fn new(term: T, setting: &Setting<'_>) -> Result<Self, TrainError> {
        let parts = term.init(setting)?.train();
        Ok(Self {
            term,
            parts: Some(parts),
        })
    }

    fn parts(&self) -> &T::Parts {
        match &self.parts {
            Some(parts) => parts,
            None => unreachable!("parts are put back by whoever takes them"),
        }
    }

    fn change(&mut self, change: impl FnOnce(&T, T::Parts) -> T::Parts) {
        if let Some(parts) = self.parts.take() {
            self.parts = Some(change(&self.term, parts));
        }
    }
}

impl<T: Term> Trainable for Made<T> {
    fn take(&self, gradients: &mut Gradients) -> GradientsParams {
        GradientsParams::from_module(gradients, self.parts())
    }

    fn add(&self, sum: GradientsParams, more: GradientsParams) -> GradientsParams {
        gradients::add(self.parts(), sum, more)
    }

    fn square_sum(&self, gradients: &GradientsParams) -> Option<Tensor<1>> {
        gradients::square_sum(self.parts(), gradients)
    }

    fn scaled(&self, gradients: GradientsParams, by: &Factor) -> GradientsParams {
        gradients::scaled(self.parts(), gradients, by)
    }

    fn step(&mut self, optimizer: &mut ModuleOptimizer, rate: f64, gradients: GradientsParams) {
        self.change(|_, parts| match gradients.is_empty() {
            true => parts,
            false => optimizer.step(rate, parts, gradients),
        });
    }

    fn norms_and_biases(&self) -> Vec<ParamId> {
        norms_and_biases(self.parts())
    }
}

impl<T: Term> Part for Made<T> {
    fn reads_at(&self, epoch: usize, epochs: usize) -> Vec<Reads> {
        self.term.reads_at(epoch, epochs)
    }

    fn losses(&self, step: &Step<'_>) -> Result<(Losses, Update), TrainError> {
        let (losses, update) = self.term.losses(self.parts(), step)?;
        Ok((losses, Box::new(update)))
    }

    fn remember(&mut self, update: Update) {
        // The update comes from `losses` of the same term, so it has its type.
        if let Ok(update) = update.downcast::<T::Update>() {
            self.change(|term, parts| term.remember(parts, *update));
        }
    }

    fn has_record(&self) -> bool {
        self.parts().num_params() > 0
    }

    fn record(&self) -> Result<Bytes, String> {
        // Batch norm keeps its latest update aside until somebody asks for a synchronised copy.
        let _synchronised = self.parts().valid();
        let record = self.parts().clone().into_record().into_bytes();
        record.map_err(|e| e.to_string())
    }

    fn load(&mut self, record: Bytes) -> Result<(), String> {
        let record = ModuleRecord::from_bytes(record).map_err(|e| e.to_string())?;
        let parts = self.parts().clone().try_load_record(record);
        self.parts = Some(parts.map_err(|e| e.to_string())?);
        Ok(())
    }

    fn not_finite(&self) -> Option<String> {
        not_finite(&self.parts().valid())
    }

    fn parts(&self) -> &dyn Any {
        self.parts()
    }

    fn parts_mut(&mut self) -> &mut dyn Any {
        &mut self.parts
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.parts().valid())
    }
}
