//! Moving averages of networks.

use std::any::Any;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Tensor};
use kd_models::Classify;

use crate::modules::each_value;
use crate::network::{Frozen, Network, frozen};

/// An average of a network over its steps, of any type.
pub(crate) trait Average: Send {
    /// Moves towards the network that it is of: `average = decay average + (1 - decay) network`.
    fn follow(&mut self, network: &dyn Network, decay: f64);
    fn frozen(&self) -> Box<dyn Frozen>;
    fn record(&self) -> Result<Bytes, String>;
    fn load(&mut self, record: Bytes) -> Result<(), String>;
    /// The average in the type of the network.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// `None` only while the average is moved.
pub(crate) struct Averaged<M>(Option<M>);

impl<M> Averaged<M> {
    pub(crate) fn new(network: M) -> Self {
        Self(Some(network))
    }

    fn average(&self) -> &M {
        match &self.0 {
            Some(average) => average,
            None => unreachable!("an average is put back by whoever takes it"),
        }
    }
}

impl<M: Classify + 'static> Average for Averaged<M> {
    fn follow(&mut self, network: &dyn Network, decay: f64) {
        let Some(network) = network.as_any().downcast_ref::<M>() else {
            unreachable!("an average follows the network that it was made of");
        };
        if let Some(average) = self.0.take() {
            let mut mapper = Follow {
                values: values(&network.valid()),
                decay,
            };
            self.0 = Some(average.map(&mut mapper));
        }
    }

    fn frozen(&self) -> Box<dyn Frozen> {
        frozen(self.average())
    }

    fn record(&self) -> Result<Bytes, String> {
        let record = self.average().clone().into_record().into_bytes();
        record.map_err(|e| e.to_string())
    }

    fn load(&mut self, record: Bytes) -> Result<(), String> {
        let record = ModuleRecord::from_bytes(record).map_err(|e| e.to_string())?;
        let average = self.average().clone().try_load_record(record);
        self.0 = Some(average.map_err(|e| e.to_string())?);
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.average().clone())
    }
}

/// The values of a module by their identity. The container is that of gradients, because it holds
/// tensors of any number of dimensions.
fn values<M: Module>(module: &M) -> GradientsParams {
    let mut values = GradientsParams::new();
    each_value(module, &mut values);
    values
}

struct Follow {
    values: GradientsParams,
    decay: f64,
}

impl ModuleMapper for Follow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id: ParamId = param.id;
        match self.values.remove::<D>(id) {
            Some(value) => param
                .map(|average| average.mul_scalar(self.decay) + value.mul_scalar(1.0 - self.decay)),
            None => param,
        }
    }
}
