use burn::module::Module;
use burn::tensor::Tensor;

use crate::network::Network;
use crate::{Architecture, Classify, Features, InputSpec, Summary};

/// A network of one of the [architectures](Architecture), with what it expects to be shown.
#[derive(Module, Debug)]
pub struct Classifier {
    network: Network,
    #[module(skip)]
    architecture: Architecture,
    #[module(skip)]
    input_spec: InputSpec,
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

    /// Its layers, their shapes, the counts of parameters and operations.
    pub fn summary(&self) -> Summary {
        Summary::new(self.architecture, &self.input_spec, self.network.plan())
    }

    /// Lets a pass also give each stage before its ReLU, as [`Features::before_relu`]. Without it,
    /// the layers around the ReLU are computed as one, which is faster.
    ///
    /// Networks whose stages do not end in a ReLU give none.
    pub fn with_before_relu(mut self) -> Self {
        self.network = self.network.giving_before_relu();
        self
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
        self.network.check(self.architecture.name(), &images);
        self.network.forward(images).branches.swap_remove(0)
    }

    fn input_spec(&self) -> &InputSpec {
        &self.input_spec
    }
}
