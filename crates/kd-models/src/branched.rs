use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::network::{Network, Passed};
use crate::{Architecture, Features, InputSpec, ModelConfig, ModelError};

/// A network whose last stage and head stand several times on a shared trunk, for ONE and for OKDDip's branches.
///
/// As the online distillation benchmark has them (Chen et al., *Online Knowledge Distillation with Diverse Peers*, 2020), also in the names of
/// weights: `layer3_0`, `classifier3_0`, …; the branches of a DenseNet share its third block. What weighs the branches (ONE's gate, the
/// attention of OKDDip) is part of the loss.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kd_models::{Architecture, BranchedClassifier, InputSpec, ModelConfig, Statistics};
///
/// let config = ModelConfig::new(InputSpec::cifar(10, Statistics::CIFAR10)?);
/// let network = BranchedClassifier::new(Architecture::ResNet20, &config, 3, &Device::flex())?;
/// let passed = network.forward(Tensor::zeros([2, 3, 32, 32], &Device::flex()));
/// assert_eq!(passed.branches.len(), 3);
/// assert_eq!(passed.branches[2].logits.dims(), [2, 10]);
/// assert_eq!(passed.shared.dims(), [2, 32]);
/// # Ok::<(), kd_models::ModelError>(())
/// ```
#[derive(Module, Debug)]
pub struct BranchedClassifier {
    network: Network,
    #[module(skip)]
    architecture: Architecture,
    #[module(skip)]
    input_spec: InputSpec,
}

/// What the branches make of a batch.
#[derive(Clone, Debug)]
pub struct Branches {
    /// Logits, embedding and stages of each; of the stages all but the last are the trunk's, and the same.
    pub branches: Vec<Features>,
    /// What they share, averaged over its pixels: `[batch, features]`. What ONE's gate reads.
    pub shared: Tensor<2>,
}

impl BranchedClassifier {
    /// A network of `branches` branches.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoBranches`] if the architecture has no such form or there is no branch, and those of [`Architecture::init`].
    pub fn new(
        architecture: Architecture,
        config: &ModelConfig,
        branches: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let network = architecture.network(config, branches, device)?;
        if network.plan().shared.is_none() {
            return Err(ModelError::NoBranches {
                network: architecture.name(),
                branches,
            });
        }
        Ok(Self {
            network,
            architecture,
            input_spec: config.input_spec.clone(),
        })
    }

    /// Images with pixels in `[0, 1]` to what each branch makes of them.
    ///
    /// # Shapes
    ///
    /// `[batch, channels, height, width]` -> as [`Branches`] says
    ///
    /// # Panics
    ///
    /// As [`Classify::forward`](crate::Classify::forward).
    pub fn forward(&self, images: Tensor<4>) -> Branches {
        let images = self.input_spec.normalize(images);
        self.network.check(self.architecture.name(), &images);
        let Passed { branches, shared } = self.network.forward(images);
        match shared {
            Some(shared) => Branches { branches, shared },
            None => unreachable!("a branched network has a trunk"),
        }
    }

    /// The name of the network.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// What the network expects to be shown.
    pub fn input_spec(&self) -> &InputSpec {
        &self.input_spec
    }
}
