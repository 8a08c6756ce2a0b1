use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Device, Tensor};
use kd_nn::BatchNorm;

use crate::network::{Network, Passed};
use crate::{
    Architecture, Classifier, Classify, Features, Heads, InputSpec, ModelConfig, ModelError,
    Summary,
};

/// A network whose last stage and head stand several times on a shared trunk, for ONE and for
/// OKDDip's branches.
///
/// It is built as in the online distillation benchmark (Chen et al., *Online Knowledge Distillation
/// with Diverse Peers*, 2020), also in the names of weights: `layer3_0`, `classifier3_0`, …; the
/// branches of a DenseNet share its third block. Losses see every head
/// ([`Classify::forward_heads`]); [`Classify::forward`] is what is deployed ([`Deployed`]).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kd_models::{Architecture, BranchedClassifier, Classify, InputSpec, ModelConfig, Statistics};
///
/// let config = ModelConfig::new(InputSpec::cifar(10, Statistics::CIFAR10)?);
/// let network = BranchedClassifier::new(Architecture::ResNet20, &config, 3, &Device::flex())?;
/// let images = Tensor::zeros([2, 3, 32, 32], &Device::flex());
/// let passed = network.forward_heads(images.clone());
/// assert_eq!(passed.heads.len(), 3);
/// assert_eq!(passed.shared.map(|shared| shared.dims()), Some([2, 32]));
/// // One head, as a network without branches.
/// assert_eq!(network.head(2).forward(images).dims(), [2, 10]);
/// # Ok::<(), kd_models::ModelError>(())
/// ```
#[derive(Module, Debug)]
pub struct BranchedClassifier {
    network: Network,
    gate: Option<Gate>,
    #[module(skip)]
    architecture: Architecture,
    #[module(skip)]
    config: ModelConfig,
    #[module(skip)]
    deployed: Deployed,
}

/// Which logits a branched network answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deployed {
    /// Those of the last head: OKDDip's leader.
    #[default]
    Last,
    /// The mean over the heads.
    Mean,
    /// The sum over the heads, weighted by the [`Gate`] that the network was given: ONE's ensemble.
    Gated,
}

/// ONE's gate: how much each head counts, from what the heads share.
///
/// `softmax(relu(norm(linear(shared))))`, after Lan, Zhu and Gong, *Knowledge Distillation by
/// On-the-Fly Native Ensemble* (2018).
#[derive(Module, Debug)]
pub struct Gate {
    linear: Linear,
    norm: BatchNorm,
}

impl Gate {
    /// A gate of these layers: the linear one has one output for each head.
    pub fn new(linear: Linear, norm: BatchNorm) -> Self {
        Self { linear, norm }
    }

    /// Weights of the heads, summing to 1: `[batch, features]` -> `[batch, heads]`.
    pub fn forward(&self, shared: Tensor<2>) -> Tensor<2> {
        let scores = self.norm.forward(self.linear.forward(shared));
        softmax(relu(scores), 1)
    }
}

impl BranchedClassifier {
    /// A network of `branches` branches.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoBranches`] if the architecture has no such form or there is no branch, and
    /// those of [`Architecture::init`].
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
            gate: None,
            architecture,
            config: config.clone(),
            deployed: Deployed::default(),
        })
    }

    /// Answers with the mean over the heads.
    pub fn with_mean(mut self) -> Self {
        self.deployed = Deployed::Mean;
        self
    }

    /// Answers with the sum over the heads that this gate weighs.
    ///
    /// # Errors
    ///
    /// [`ModelError::Gate`] if the gate is for another number of heads or of shared features.
    pub fn with_gate(mut self, gate: Gate) -> Result<Self, ModelError> {
        let [inputs, outputs] = gate.linear.weight.dims();
        let expected = [self.features(), self.branches()];
        if [inputs, outputs] != expected {
            return Err(ModelError::Gate {
                expected,
                found: [inputs, outputs],
            });
        }
        self.gate = Some(gate);
        self.deployed = Deployed::Gated;
        Ok(self)
    }

    /// Returns which logits [`Classify::forward`] answers with.
    pub fn deployed(&self) -> Deployed {
        self.deployed
    }

    /// Returns the number of heads.
    pub fn branches(&self) -> usize {
        self.network.plan().outputs.len()
    }

    /// Returns the width of what the heads share.
    fn features(&self) -> usize {
        let plan = self.network.plan();
        match plan.shared.map(|shared| plan.nodes[shared].shape) {
            Some(crate::plan::Shape::Row(features)) => features,
            _ => unreachable!("a branched network has a trunk"),
        }
    }

    /// Returns one head with the trunk before it: a network of the architecture without branches,
    /// which [`weights::save`](crate::weights::save) writes under the architecture's own names.
    ///
    /// # Panics
    ///
    /// If there is no head of this number, from 0.
    pub fn head(&self, head: usize) -> Classifier {
        let branches = self.branches();
        assert!(head < branches, "head {head} of {branches} heads");
        // The plan with branches could be made of this configuration, so this one can.
        let plan = match self.architecture.plan(&self.config, 0) {
            Ok(plan) => plan,
            Err(reason) => unreachable!("{reason}"),
        };
        let network = self.network.valid().head(plan, head);
        Classifier::new(network, self.architecture, self.config.input_spec.clone())
    }

    /// Returns its layers, their shapes, the counts of parameters and operations.
    pub fn summary(&self) -> Summary {
        Summary::new(
            self.architecture,
            &self.config.input_spec,
            self.network.plan(),
        )
    }

    /// Returns the architecture of which the branches are a form.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }
}

impl Classify for BranchedClassifier {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_features(images).logits
    }

    /// What is deployed: the last head with its stages and its embedding, or the logits alone where
    /// several heads answer together.
    fn forward_features(&self, images: Tensor<4>) -> Features {
        let Heads { mut heads, shared } = self.forward_heads(images);
        let stacked = |heads: Vec<Features>| {
            let logits = heads.into_iter().map(|head| head.logits);
            Tensor::stack::<3>(logits.collect(), 2)
        };
        match (self.deployed, &self.gate, shared) {
            (Deployed::Gated, Some(gate), Some(shared)) => {
                let weights = gate.forward(shared).unsqueeze_dim::<3>(1);
                let weighted = stacked(heads) * weights;
                Features::new(weighted.sum_dim(2).squeeze_dim(2))
            }
            (Deployed::Mean, ..) => Features::new(stacked(heads).mean_dim(2).squeeze_dim(2)),
            _ => heads.swap_remove(heads.len() - 1),
        }
    }

    fn forward_heads(&self, images: Tensor<4>) -> Heads {
        let images = self.config.input_spec.normalize(images);
        self.network.check(self.architecture.name(), &images);
        let Passed { branches, shared } = self.network.forward(images);
        Heads {
            heads: branches,
            shared,
        }
    }

    fn input_spec(&self) -> &InputSpec {
        &self.config.input_spec
    }
}
