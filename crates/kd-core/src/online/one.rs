use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, activation};
use kd_nn::{BatchNorm, BatchNormConfig};

use super::{check_peers, distill, widened};
use crate::divergence::{cross_entropy, project, soft_cross_entropy};
use crate::error::{CoreError, check_count, check_temperature};

/// Configuration of [`One`].
#[derive(Config, Debug, PartialEq)]
pub struct OneConfig {
    /// Width of the features that the branches share, pooled.
    pub features: usize,
    /// Branches.
    pub branches: usize,
    /// Softmax temperature `tau` of the branches' terms, in [1e-6, 1e6].
    #[config(default = 3.0)]
    pub temperature: f64,
    /// Seed of the gate's weights.
    #[config(default = 0)]
    pub seed: u64,
}

/// ONE, on-the-fly native ensemble: a gate weighs the branches of one network, `z_e = sum_j g_j z_j`; the weighted logits learn from the
/// labels, and each branch from them, `tau^2 KL(p_e || p_j)`.
///
/// From Lan, Zhu and Gong, "Knowledge Distillation by On-the-Fly Native Ensemble" (NeurIPS 2018), Eq. 5-9. The gate is a linear
/// layer, batch norm, ReLU and softmax over what the branches share, as in the public PyTorch code. Each branch's own
/// cross-entropy is not part of it. Give it to the optimiser and to the checkpoint.
///
/// Made by [`OneConfig`].
#[derive(Module, Debug)]
pub struct One {
    /// From the shared features to the branches.
    pub gate: Linear,
    /// The norm after it.
    pub norm: BatchNorm,
    temperature: f64,
}

/// The losses of one step of [`One`].
#[derive(Debug, Clone)]
pub struct OneTerms {
    /// Cross-entropy of the weighted logits, averaged over the batch: `[1]`.
    pub ensemble: Tensor<1>,
    /// What each branch learns from the weighted logits, averaged over the batch: `[1]` each.
    pub branches: Vec<Tensor<1>>,
    /// The weighted logits: `[batch, classes]`.
    pub logits: Tensor<2>,
}

impl OneConfig {
    /// Checks the configuration and makes the gate, with weights drawn as PyTorch draws them.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] with fewer than two branches, without features, or if the temperature is not in its range.
    pub fn init(&self, device: &Device) -> Result<One, CoreError> {
        let branches = check_count("branches", self.branches, 2, "[2, inf)")?;
        let features = check_count("features", self.features, 1, "[1, inf)")?;
        let one = One {
            gate: LinearConfig::new(features, branches).init(device),
            norm: BatchNormConfig::new(branches).init(device),
            temperature: f64::from(check_temperature(self.temperature)?),
        };
        Ok(kd_nn::initialize(
            one,
            kd_nn::Scheme::UNIFORM_FAN_IN,
            self.seed,
        ))
    }
}

impl One {
    /// The weight of each branch for each sample, summing to 1: `[batch, features]` -> `[batch, branches]`.
    pub fn gates(&self, shared: Tensor<2>) -> Tensor<2> {
        let scores = self.norm.forward(project(&self.gate, shared));
        activation::softmax(activation::relu(scores), 1)
    }

    /// The losses of one step.
    ///
    /// # Shapes
    ///
    /// - `shared`: `[batch, features]`, what the branches share, pooled
    /// - `logits`: `[batch, classes]` for each branch
    /// - `labels`: `[batch]`, each in `0..classes`
    pub fn forward(
        &self,
        shared: Tensor<2>,
        logits: &[Tensor<2>],
        labels: Tensor<1, Int>,
    ) -> OneTerms {
        let own = |weighted: &Tensor<2>| cross_entropy(weighted.clone(), labels).mean();
        self.terms(shared, logits, own)
    }

    /// The losses of one step on images whose labels are distributions, as those of mixed images.
    ///
    /// # Shapes
    ///
    /// As [`forward`](Self::forward); `target_probs`: `[batch, classes]`, rows sum to 1
    pub fn forward_soft(
        &self,
        shared: Tensor<2>,
        logits: &[Tensor<2>],
        target_probs: Tensor<2>,
    ) -> OneTerms {
        let own = |weighted: &Tensor<2>| soft_cross_entropy(target_probs, weighted.clone()).mean();
        self.terms(shared, logits, own)
    }

    fn terms(
        &self,
        shared: Tensor<2>,
        logits: &[Tensor<2>],
        own: impl FnOnce(&Tensor<2>) -> Tensor<1>,
    ) -> OneTerms {
        check_peers("logits", logits);
        let logits = &widened(logits);
        let gates = self.gates(shared).unsqueeze_dim::<3>(1);
        assert_eq!(
            gates.dims()[2],
            logits.len(),
            "the gate has another number of branches than there are logits"
        );
        // [batch, classes, branches] weighted by [batch, 1, branches].
        let all = Tensor::stack::<3>(logits.to_vec(), 2);
        let weighted: Tensor<2> = (all * gates).sum_dim(2).squeeze_dim(2);
        OneTerms {
            ensemble: own(&weighted),
            branches: distill(&weighted, logits, self.temperature as f32),
            logits: weighted,
        }
    }
}
