//! Networks of any type: those that are asked, and those that are trained.

use std::any::Any;

use burn::module::ParamId;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device, Gradients, Tensor};
use kd_models::{Classify, Features, Heads, InputSpec};
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::average::{Average, Averaged};
use crate::evaluation::device_of;
use crate::gradients::{self, Factor, Trainable};
use crate::modules::{fingerprint, hex, norms_and_biases, not_finite, parameters};

/// A network that is asked and never trained: without autodiff, in evaluation mode, its batch-norm
/// statistics at rest.
pub(crate) trait Frozen: Send {
    fn logits(&self, images: Tensor<4>) -> Tensor<2>;
    fn features(&self, images: Tensor<4>) -> Features;
    fn heads(&self, images: Tensor<4>) -> Heads;
    fn input_spec(&self) -> &InputSpec;
    /// SHA-256 of its parameters and statistics, and of what it expects to be shown.
    fn fingerprint(&self) -> String;
    /// Takes the error of a pass since this was last called. Only what is not a network has one.
    fn failure(&self) -> Option<TrainError> {
        None
    }
}

/// Copies a network for being asked.
pub(crate) fn frozen<M: Classify + 'static>(network: &M) -> Box<dyn Frozen> {
    Box::new(AtRest(network.valid()))
}

struct AtRest<M>(M);

impl<M: Classify + 'static> Frozen for AtRest<M> {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.0.forward(images)
    }

    fn features(&self, images: Tensor<4>) -> Features {
        self.0.forward_features(images)
    }

    fn heads(&self, images: Tensor<4>) -> Heads {
        self.0.forward_heads(images)
    }

    fn input_spec(&self) -> &InputSpec {
        self.0.input_spec()
    }

    fn fingerprint(&self) -> String {
        let InputSpec {
            size,
            mean,
            std,
            class_names,
        } = self.0.input_spec();
        let spec = format!("{size:?} {mean:?} {std:?} {class_names:?}");
        hex(&Sha256::digest(fingerprint(&self.0) + &spec))
    }
}

/// A network in training.
pub(crate) trait Network: Trainable + Send {
    /// A pass in training mode, with a graph.
    fn heads(&self, images: Tensor<4>) -> Heads;
    /// A copy for being asked.
    fn frozen(&self) -> Box<dyn Frozen>;
    /// An average of the network over the steps from here on.
    fn average(&self) -> Box<dyn Average>;
    fn as_any(&self) -> &dyn Any;
    /// A copy for being trained, with statistics of its own.
    fn copy(&self) -> Box<dyn Network>;
    /// Its parameters, each with its path.
    fn parameters(&self) -> Vec<(ParamId, String)>;
    fn record(&self) -> Result<Bytes, String>;
    fn load(&mut self, record: Bytes) -> Result<(), String>;
    fn not_finite(&self) -> Option<String>;
    /// Without autodiff.
    fn device(&self) -> Device;
    /// The network in its own type, without autodiff.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// Moves a network to autodiff if it is not there yet, for being trained.
pub(crate) fn trained<M: Classify + 'static>(network: M) -> Box<dyn Network> {
    Box::new(Trained(Some(network.train())))
}

/// `None` only while a step moves it.
struct Trained<M>(Option<M>);

impl<M> Trained<M> {
    fn network(&self) -> &M {
        match &self.0 {
            Some(network) => network,
            None => unreachable!("a network is put back by whoever takes it"),
        }
    }
}

impl<M: Classify + 'static> Trainable for Trained<M> {
    fn take(&self, gradients: &mut Gradients) -> GradientsParams {
        GradientsParams::from_module(gradients, self.network())
    }

    fn add(&self, sum: GradientsParams, more: GradientsParams) -> GradientsParams {
        gradients::add(self.network(), sum, more)
    }

    fn square_sum(&self, gradients: &GradientsParams) -> Option<Tensor<1>> {
        gradients::square_sum(self.network(), gradients)
    }

    fn scaled(&self, gradients: GradientsParams, by: &Factor) -> GradientsParams {
        gradients::scaled(self.network(), gradients, by)
    }

    fn step(&mut self, optimizer: &mut ModuleOptimizer, rate: f64, gradients: GradientsParams) {
        if let Some(network) = self.0.take() {
            self.0 = Some(optimizer.step(rate, network, gradients));
        }
    }

    fn norms_and_biases(&self) -> Vec<ParamId> {
        norms_and_biases(self.network())
    }
}

impl<M: Classify + 'static> Network for Trained<M> {
    fn heads(&self, images: Tensor<4>) -> Heads {
        self.network().forward_heads(Tensor::from_inner(images))
    }

    fn frozen(&self) -> Box<dyn Frozen> {
        frozen(self.network())
    }

    fn average(&self) -> Box<dyn Average> {
        Box::new(Averaged::new(self.network().valid()))
    }

    fn as_any(&self) -> &dyn Any {
        self.network()
    }

    fn copy(&self) -> Box<dyn Network> {
        trained(self.network().valid())
    }

    fn parameters(&self) -> Vec<(ParamId, String)> {
        parameters(self.network())
    }

    fn record(&self) -> Result<Bytes, String> {
        // Batch norm keeps its latest update aside until somebody asks for a synchronised copy.
        let _synchronised = self.network().valid();
        let record = self.network().clone().into_record().into_bytes();
        record.map_err(|e| e.to_string())
    }

    fn load(&mut self, record: Bytes) -> Result<(), String> {
        let record = ModuleRecord::from_bytes(record).map_err(|e| e.to_string())?;
        let network = self.network().clone().try_load_record(record);
        self.0 = Some(network.map_err(|e| e.to_string())?);
        Ok(())
    }

    fn not_finite(&self) -> Option<String> {
        not_finite(&self.network().valid())
    }

    fn device(&self) -> Device {
        device_of(self.network())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.network().valid())
    }
}
