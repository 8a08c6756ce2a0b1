use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};

use super::{check_peers, distill};
use crate::divergence::{constant_like, cross_entropy, project, soft_cross_entropy, track_like};
use crate::error::{CoreError, check_count, check_temperature};

/// Configuration of a [`PeerTeacher`].
#[derive(Config, Debug, PartialEq)]
pub struct PeerTeacherConfig {
    /// The width of each peer's embedding.
    pub features: Vec<usize>,
    /// Classes.
    pub classes: usize,
    /// Softmax temperature `tau` of the peers' terms, in [1e-6, 1e6].
    #[config(default = 3.0)]
    pub temperature: f64,
    /// Seed of the weights.
    #[config(default = 0)]
    pub seed: u64,
}

/// A classifier of the embeddings of all peers, and what each peer is to learn from it:
/// `tau^2 KL(p_PT || p_j)` with `z_PT = g(f_1, ..., f_J)`.
///
/// From Shen et al., "Mixed Sample Augmentation for Online Distillation", Eq. 10 (which writes the divergence the other way round;
/// this is the order of every implementation, and of the paper's Eq. 4). The teacher is trained by its own cross-entropy alone: the
/// embeddings are constants for it, and what it says is a constant for the peers. Give it to the optimiser and to the checkpoint.
///
/// Made by [`PeerTeacherConfig`].
#[derive(Module, Debug)]
pub struct PeerTeacher {
    /// From the embeddings, one behind the other, to the classes.
    pub linear: Linear,
    temperature: f64,
}

/// The losses of one step of a [`PeerTeacher`].
#[derive(Debug, Clone)]
pub struct PeerTeacherTerms {
    /// The teacher's own: cross-entropy, averaged over the batch, `[1]`.
    pub teacher: Tensor<1>,
    /// What each peer learns from the teacher, averaged over the batch: `[1]` each.
    pub peers: Vec<Tensor<1>>,
    /// The teacher's logits: `[batch, classes]`.
    pub logits: Tensor<2>,
}

impl PeerTeacherConfig {
    /// Checks the configuration and makes the teacher, with weights drawn as PyTorch draws them.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] with fewer than two peers, without features or classes, or if the temperature is not positive and
    /// finite.
    pub fn init(&self, device: &Device) -> Result<PeerTeacher, CoreError> {
        check_count("peers", self.features.len(), 2, "[2, inf)")?;
        for width in &self.features {
            check_count("features", *width, 1, "[1, inf)")?;
        }
        let classes = check_count("classes", self.classes, 1, "[1, inf)")?;
        let temperature = f64::from(check_temperature(self.temperature)?);
        let teacher = PeerTeacher {
            linear: LinearConfig::new(self.features.iter().sum(), classes).init(device),
            temperature,
        };
        Ok(kd_nn::initialize(
            teacher,
            kd_nn::Scheme::UNIFORM_FAN_IN,
            self.seed,
        ))
    }
}

impl PeerTeacher {
    /// The losses of one step.
    ///
    /// # Shapes
    ///
    /// - `features`: `[batch, features]` for each peer, of the configured widths
    /// - `logits`: `[batch, classes]` for each peer
    /// - `labels`: `[batch]`, each in `0..classes`
    pub fn forward(
        &self,
        features: &[Tensor<2>],
        logits: &[Tensor<2>],
        labels: Tensor<1, Int>,
    ) -> PeerTeacherTerms {
        let own = |teacher: &Tensor<2>| cross_entropy(teacher.clone(), labels).mean();
        self.terms(features, logits, own)
    }

    /// The losses of one step on images whose labels are distributions, as those of mixed images.
    ///
    /// # Shapes
    ///
    /// As [`forward`](Self::forward); `target_probs`: `[batch, classes]`, rows sum to 1
    pub fn forward_soft(
        &self,
        features: &[Tensor<2>],
        logits: &[Tensor<2>],
        target_probs: Tensor<2>,
    ) -> PeerTeacherTerms {
        let own = |teacher: &Tensor<2>| soft_cross_entropy(target_probs, teacher.clone()).mean();
        self.terms(features, logits, own)
    }

    fn terms(
        &self,
        features: &[Tensor<2>],
        logits: &[Tensor<2>],
        own: impl FnOnce(&Tensor<2>) -> Tensor<1>,
    ) -> PeerTeacherTerms {
        assert_eq!(features.len(), logits.len(), "features and logits");
        check_peers("logits", logits);
        let all = features
            .iter()
            .map(|f| track_like(constant_like(f.clone(), &features[0]), &logits[0]));
        let teacher = project(&self.linear, Tensor::cat(all.collect(), 1));
        PeerTeacherTerms {
            teacher: own(&teacher),
            peers: distill(&teacher, logits, self.temperature as f32),
            logits: teacher,
        }
    }
}
