use burn::module::Module;
use burn::tensor::Tensor;

use crate::resnet::ResNet;
use crate::{Architecture, Classify, Features, InputSpec};

/// A network of one of the [architectures](Architecture), with what it expects to be shown.
#[derive(Module, Debug)]
pub struct Classifier {
    network: Network,
    #[module(skip)]
    architecture: Architecture,
    #[module(skip)]
    input_spec: InputSpec,
}

/// The families. A family more is a variant more.
// The variants are of one size class: a network is its parameters, which live on the heap.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub(crate) enum Network {
    ResNet(ResNet),
}

impl Classifier {
    pub(crate) fn new(network: Network, architecture: Architecture, input_spec: InputSpec) -> Self {
        Self {
            network,
            architecture,
            input_spec,
        }
    }

    /// The name of the network.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    pub(crate) fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

impl Classify for Classifier {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_features(images).logits
    }

    fn forward_features(&self, images: Tensor<4>) -> Features {
        let images = self.input_spec.normalize(images);
        match &self.network {
            Network::ResNet(network) => network.forward(images),
        }
    }

    fn input_spec(&self) -> &InputSpec {
        &self.input_spec
    }
}
