use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, activation};

use super::{check_peers, distill, mean_of, widened};
use crate::divergence::{constant_like, kl_log, log_softmax, project, track_like};
use crate::error::{CoreError, check_count, check_temperature};

/// Configuration of [`Okddip`].
#[derive(Config, Debug, PartialEq)]
pub struct OkddipConfig {
    /// Width of the peers' embeddings.
    pub features: usize,
    /// By how much the attention's projections are narrower; the width is `features / reduction`, at least 1.
    #[config(default = 8)]
    pub reduction: usize,
    /// Softmax temperature `tau`, in [1e-6, 1e6].
    #[config(default = 3.0)]
    pub temperature: f64,
    /// Whether the attention learns from the peers' losses. Without it the projections stay as they were drawn.
    #[config(default = true)]
    pub learn_attention: bool,
    /// Seed of the projections.
    #[config(default = 0)]
    pub seed: u64,
}

/// OKDDip, online distillation with diverse peers: each peer's target is a mixture of all peers' logits with weights of its own,
/// `t_j = sum_k a_jk z_k`, `a_j = softmax_k(q_j k_k)`, and a leader learns from their mean.
///
/// From Chen et al., "Online Knowledge Distillation with Diverse Peers" (AAAI 2020), Eq. 5-9. Queries and keys are linear projections of
/// the embeddings, without bias. As in the authors' code the loss of a peer also reaches the attention; unlike there, the mixed logits
/// themselves are constants: no peer is moved to make another's task easier. Cross-entropies are not part of it. Give
/// it to the optimiser and to the checkpoint.
///
/// Made by [`OkddipConfig`].
#[derive(Module, Debug)]
pub struct Okddip {
    /// Of the peer that learns.
    pub query: Linear,
    /// Of the peers it learns from.
    pub key: Linear,
    temperature: f64,
    learn_attention: bool,
}

/// The losses of one step of [`Okddip`].
#[derive(Debug, Clone)]
pub struct OkddipTerms {
    /// What each peer learns from its mixture, averaged over the batch: `[1]` each.
    pub peers: Vec<Tensor<1>>,
    /// What the leader learns from the mean of the peers, averaged over the batch: `[1]`.
    pub leader: Tensor<1>,
}

impl OkddipConfig {
    /// Checks the configuration and makes the attention, with weights drawn as PyTorch draws them.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] without features, if the reduction is 0, or if the temperature is not in its range.
    pub fn init(&self, device: &Device) -> Result<Okddip, CoreError> {
        let features = check_count("features", self.features, 1, "[1, inf)")?;
        let reduction = check_count("reduction", self.reduction, 1, "[1, inf)")?;
        let projection = || {
            LinearConfig::new(features, (features / reduction).max(1))
                .with_bias(false)
                .init(device)
        };
        let okddip = Okddip {
            query: projection(),
            key: projection(),
            temperature: f64::from(check_temperature(self.temperature)?),
            learn_attention: self.learn_attention,
        };
        Ok(kd_nn::initialize(
            okddip,
            kd_nn::Scheme::UNIFORM_FAN_IN,
            self.seed,
        ))
    }
}

impl Okddip {
    /// How much each peer (row) takes from each (column): `[batch, features]` of each peer -> `[batch, peers, peers]`, rows sum to 1.
    pub fn attention(&self, features: &[Tensor<2>]) -> Tensor<3> {
        let all = Tensor::stack::<3>(widened(features), 1);
        let energy = project(&self.query, all.clone()).matmul(project(&self.key, all).transpose());
        activation::softmax(energy, 2)
    }

    /// The losses of one step.
    ///
    /// # Shapes
    ///
    /// - `features`: `[batch, features]` for each peer, without the leader
    /// - `logits`: `[batch, classes]` for each peer
    /// - `leader`: `[batch, classes]`
    pub fn forward(
        &self,
        features: &[Tensor<2>],
        logits: &[Tensor<2>],
        leader: Tensor<2>,
    ) -> OkddipTerms {
        check_peers("features", features);
        check_peers("logits", logits);
        assert_eq!(features.len(), logits.len(), "features and logits");
        let logits = &widened(logits);
        let temperature = self.temperature as f32;
        let attention = self.attention(features).cast(logits[0].dtype());
        let attention = if self.learn_attention {
            attention
        } else {
            constant_like(attention, &logits[0].clone().unsqueeze())
        };
        let others = logits.iter().map(|z| constant_like(z.clone(), &logits[0]));
        let others = Tensor::stack::<3>(others.collect(), 1);
        let others = if self.learn_attention {
            track_like(others, &logits[0])
        } else {
            others
        };
        let targets = attention.matmul(others);
        let peers = logits.iter().enumerate().map(|(j, own)| {
            let target: Tensor<2> = targets.clone().narrow(1, j, 1).squeeze_dim(1);
            kl_log(
                log_softmax(target, temperature),
                log_softmax(own.clone(), temperature),
            )
            .mean()
            .mul_scalar(self.temperature.powi(2))
        });
        let peers = peers.collect();
        let mean = mean_of(logits.iter().cloned(), &logits[0]);
        let leader = distill(&mean, &[leader], temperature).swap_remove(0);
        OkddipTerms { peers, leader }
    }
}
