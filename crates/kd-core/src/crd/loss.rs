use burn::config::Config;
use burn::module::{Module, Param, ParamId};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use kd_nn::custom::{Dense, matmul};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::contrast::{exponential, largest, soft_plus, soft_plus_of};
use super::{Negatives, kernel};
use crate::divergence::{constant_like, project, track_like, widen};
use crate::error::{CoreError, check_count, check_fraction, check_indices};
use crate::math::{assert_same_batch, normalize};

const EPSILON: f64 = 1e-7;

/// How the positive is told from the negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrdContrast {
    /// Noise-contrastive estimation: for each sample alone, is it the positive? (The paper, Eq. 11, 18-19, and the published tables.)
    Nce,
    /// Cross-entropy of the positive among all (van den Oord et al., 2018).
    InfoNce,
}

/// Configuration of [`CrdLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct CrdLossConfig {
    /// Width of the student's embedding.
    pub student_features: usize,
    /// Width of the teacher's embedding.
    pub teacher_features: usize,
    /// Samples of the training set: rows of the banks.
    pub samples: usize,
    /// Width to which both embeddings are brought.
    #[config(default = 128)]
    pub features: usize,
    /// Temperature of the scores, in [0.025, inf): sums of their exponentials must be finite.
    #[config(default = 0.07)]
    pub temperature: f64,
    /// What stays of a row of a bank when its sample is seen, in [0, 1].
    #[config(default = 0.5)]
    pub momentum: f64,
    /// How the positive is told from the negatives.
    #[config(default = "CrdContrast::Nce")]
    pub contrast: CrdContrast,
    /// Seed of the weights and of the banks.
    #[config(default = 0)]
    pub seed: u64,
}

impl CrdLossConfig {
    /// Checks the configuration and makes the loss: layers with weights drawn as PyTorch draws them, banks uniform in
    /// `±1 / sqrt(features / 3)`.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] for a number out of its range.
    pub fn init(&self, device: &Device) -> Result<CrdLoss, CoreError> {
        let count = |field, value| check_count(field, value, 1, "[1, inf)");
        let student = count("student_features", self.student_features)?;
        let teacher = count("teacher_features", self.teacher_features)?;
        let features = count("features", self.features)?;
        let samples = check_count("samples", self.samples, 2, "[2, inf)")?;
        if !(self.temperature >= 0.025 && self.temperature.is_finite()) {
            return Err(CoreError::OutOfRange {
                field: "temperature",
                value: self.temperature,
                range: "[0.025, inf)",
            });
        }
        let layers = kd_nn::initialize(
            Embeddings {
                embed_s: LinearConfig::new(student, features).init(device),
                embed_t: LinearConfig::new(teacher, features).init(device),
            },
            kd_nn::Scheme::UNIFORM_FAN_IN,
            self.seed,
        );
        // Banks are no parameters: they live outside of autodiff.
        let device = device.clone().without_autodiff();
        let bank = |number: u64| {
            let mut stream = ChaCha8Rng::seed_from_u64(self.seed.wrapping_mul(2) ^ number);
            let bound = (3.0 / features as f64).sqrt();
            let values: Vec<f32> = (0..samples * features)
                .map(|_| {
                    let unit = f64::from(stream.next_u32()) / (1u64 << 32) as f64;
                    ((2.0 * unit - 1.0) * bound) as f32
                })
                .collect();
            let data = TensorData::new(values, [samples, features]);
            Param::initialized(ParamId::new(), widen(Tensor::from_data(data, &device)))
        };
        Ok(CrdLoss {
            embed_s: layers.embed_s,
            embed_t: layers.embed_t,
            bank_s: bank(0),
            bank_t: bank(1),
            normalizers: Param::initialized(ParamId::new(), widen(Tensor::zeros([2], &device))),
            temperature: self.temperature,
            momentum: check_fraction("momentum", self.momentum)?,
            contrast: self.contrast,
        })
    }
}

#[derive(Module, Debug)]
struct Embeddings {
    embed_s: Linear,
    embed_t: Linear,
}

/// Contrastive representation distillation: the embedding of an image by the student is to be told from those of other images by the
/// teacher, and the other way round.
///
/// From Tian, Krishnan and Isola, "Contrastive Representation Distillation" (ICLR 2020). Both embeddings pass a linear layer and are scaled
/// to norm 1: `v_s`, `v_t`. Two banks remember what both were for every sample of the training set. With the student as anchor and the
/// teacher's bank `m` (and with the roles exchanged, and added), with `K` negatives and `P_k = exp(v m_k / T) / Z`:
///
/// `L = mean over the batch of -log(P_0 / (P_0 + K/n)) - sum_k log((K/n) / (P_k + K/n))`
///
/// `P_0` is the positive, the bank's row of the sample itself. As in the reference code, `Z` is set by the first batch (mean of
/// the exponentials times `n`) and stays, 1e-7 is added to the denominators, and the teacher's layer is trained as well. The
/// teacher's embedding itself is a constant; see [`constant_like`].
///
/// [`forward`](Self::forward) changes nothing: it gives the loss and what is to be remembered, which [`remember`](Self::remember) then takes,
/// for example after the optimiser's step was accepted. Layers, banks and normalisers are the module's record: a resumed run goes on
/// with them. Banks take `2 samples features` numbers (51 MB for 50,000 × 128).
///
/// The scores of all candidates of the batch are one matrix product per anchor, each image's negatives weights on them: of `n = 50,000` and
/// `K = 16,384` that reads a third of a bank once, where gathering each image's rows would read and write 0.5 GB. Backward costs nothing:
/// the gradient of the loss with respect to both embeddings is known in closed form and computed beside the value.
///
/// Made by [`CrdLossConfig`].
#[derive(Module, Debug)]
pub struct CrdLoss {
    /// The student's layer.
    pub embed_s: Linear,
    /// The teacher's layer.
    pub embed_t: Linear,
    /// What the student said of each sample: `[samples, features]`.
    pub bank_s: Param<Tensor<2>>,
    /// What the teacher's layer said of each sample: `[samples, features]`.
    pub bank_t: Param<Tensor<2>>,
    /// `Z` with the student and with the teacher as anchor: `[2]`; 0 before the first batch.
    pub normalizers: Param<Tensor<1>>,
    temperature: f64,
    momentum: f64,
    #[module(skip)]
    contrast: CrdContrast,
}

/// A step of [`CrdLoss`].
#[derive(Debug, Clone)]
pub struct CrdOutput {
    /// The loss, averaged over the batch: `[1]`.
    pub loss: Tensor<1>,
    /// What is to be remembered.
    pub update: CrdUpdate,
}

/// What a step of [`CrdLoss`] is to remember.
#[derive(Debug, Clone)]
pub struct CrdUpdate {
    rows: Tensor<1, Int>,
    student: Tensor<2>,
    teacher: Tensor<2>,
    normalizers: Tensor<1>,
}

/// One side of the loss, without autodiff.
struct Side {
    value: Tensor<1>,
    /// Of the value, with respect to the anchor's embedding.
    gradient: Tensor<2>,
    normalizer: Tensor<1>,
}

impl CrdLoss {
    /// The loss of a batch.
    ///
    /// # Shapes
    ///
    /// - `student`: `[batch, student_features]`
    /// - `teacher`: `[batch, teacher_features]`
    /// - `indices`: the number of each image in the training set
    /// - `negatives`: of each image; see [`NegativeSampler`](super::NegativeSampler)
    ///
    /// # Errors
    ///
    /// [`CoreError::Index`] if an index is not that of a sample, [`CoreError::Shape`] if the negatives are of another training set.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit together.
    pub fn forward(
        &self,
        student: Tensor<2>,
        teacher: Tensor<2>,
        indices: &[usize],
        negatives: &Negatives,
    ) -> Result<CrdOutput, CoreError> {
        let [samples, _] = self.bank_s.dims();
        let [batch, _] = student.dims();
        check_indices("CRD", indices, samples)?;
        if negatives.samples != samples {
            return Err(CoreError::Shape {
                what: "samples that negatives were drawn from",
                found: negatives.samples.to_string(),
                expected: format!("{samples}, as in the banks"),
            });
        }
        let [rows, _] = negatives.dims();
        assert_same_batch(&student, &teacher);
        assert!(
            indices.len() == batch && rows == batch,
            "{} indices and {rows} rows of negatives for {batch} embeddings",
            indices.len()
        );
        let teacher = track_like(constant_like(teacher, &student), &student);
        let student = normalize(project(&self.embed_s, student), 1);
        let teacher = normalize(project(&self.embed_t, teacher), 1);

        let (bank_s, bank_t) = (
            self.bank_s.val().without_autodiff(),
            self.bank_t.val().without_autodiff(),
        );
        let numbers: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(numbers, [batch]), &bank_s.device());
        let (old_s, old_t) = (
            bank_s.clone().select(0, rows.clone()),
            bank_t.clone().select(0, rows.clone()),
        );
        let normalizers = self.normalizers.val().without_autodiff();
        let (plain_s, plain_t) = (
            constant_like(student.clone(), &old_s),
            constant_like(teacher.clone(), &old_t),
        );
        let side = |anchor: &Tensor<2>, bank, positive: &Tensor<2>, side| {
            let normalizer = normalizers.clone().narrow(0, side, 1);
            self.side(
                anchor.clone(),
                bank,
                positive.clone(),
                negatives,
                normalizer,
            )
        };
        let of_student = side(&plain_s, bank_t, &old_t, 0);
        let of_teacher = side(&plain_t, bank_s, &old_s, 1);

        let moved = |old: Tensor<2>, new: Tensor<2>| {
            normalize(
                old.mul_scalar(self.momentum) + new.mul_scalar(1.0 - self.momentum),
                1,
            )
        };
        Ok(CrdOutput {
            loss: with_gradient(of_student.value, student, of_student.gradient)
                + with_gradient(of_teacher.value, teacher, of_teacher.gradient),
            update: CrdUpdate {
                rows,
                student: moved(old_s, plain_s),
                teacher: moved(old_t, plain_t),
                normalizers: Tensor::cat(vec![of_student.normalizer, of_teacher.normalizer], 0),
            },
        })
    }

    /// Takes over what a step has found. Of an image that stands twice in a batch, the later row stays.
    #[must_use]
    pub fn remember(mut self, update: CrdUpdate) -> Self {
        let assign = |new: Tensor<2>| {
            let rows = update.rows.clone();
            |bank: Tensor<2>| {
                bank.without_autodiff()
                    .select_assign(0, rows, new, IndexingUpdateOp::Assign)
            }
        };
        self.bank_s = self.bank_s.map(assign(update.student));
        self.bank_t = self.bank_t.map(assign(update.teacher));
        self.normalizers = self.normalizers.map(|_| update.normalizers);
        self
    }

    fn side(
        &self,
        anchor: Tensor<2>,
        bank: Tensor<2>,
        positive: Tensor<2>,
        negatives: &Negatives,
        normalizer: Tensor<1>,
    ) -> Side {
        let [samples, _] = bank.dims();
        let [batch, count] = negatives.dims();
        let scale = 1.0 / self.temperature;
        let anchor = anchor.mul_scalar(scale);
        let of_positive = (anchor.clone() * positive.clone()).sum_dim(1);
        let candidates = rows(&bank, negatives.candidates());
        let scores = matmul(anchor, candidates.clone().transpose());
        let share = 1.0 / batch as f64;
        // The loss of each image, and its derivative with respect to the scores.
        let (values, to_positive, to_scores, normalizer) = match self.contrast {
            CrdContrast::Nce => {
                let noise = count as f64 / samples as f64;
                let normalizer = self.normalizer(&scores, &of_positive, negatives, normalizer);
                // With r = P / (K/n + eps): log(1 + 1/r) of the positive, log(1 + r) of the negatives.
                let shift = normalizer
                    .clone()
                    .mul_scalar(noise + EPSILON)
                    .log()
                    .neg()
                    .unsqueeze::<2>();
                let log_ratio = of_positive + shift.clone();
                let (sums, to_scores) = soft_plus(scores, negatives, shift);
                let least = count as f64 * ((noise + EPSILON) / noise).ln();
                let values = soft_plus_of(log_ratio.clone().neg()) + sums.add_scalar(least);
                let to_positive = log_ratio.exp().add_scalar(1.0).recip().neg();
                (values, to_positive, to_scores, normalizer)
            }
            CrdContrast::InfoNce => {
                let most = largest(&scores, negatives).max_pair(of_positive.clone());
                let (sums, to_scores) = exponential(scores, negatives, most.clone().neg());
                let positives = (of_positive.clone() - most.clone()).exp();
                let sum = positives.clone() + sums;
                let values = sum.clone().log() + most - of_positive;
                let unit = sum.recip();
                let to_positive = (positives * unit.clone()).sub_scalar(1.0);
                (values, to_positive, to_scores * unit, normalizer)
            }
        };
        let gradient =
            (matmul(to_scores, candidates) + positive * to_positive).mul_scalar(scale * share);
        Side {
            value: values.sum_dim(0).reshape([1]).mul_scalar(share),
            gradient,
            normalizer,
        }
    }

    /// `Z`: what it is already, or what this first batch makes it.
    fn normalizer(
        &self,
        scores: &Tensor<2>,
        of_positive: &Tensor<2>,
        negatives: &Negatives,
        known: Tensor<1>,
    ) -> Tensor<1> {
        let [batch, count] = negatives.dims();
        // On the CPU it is known without waiting whether there is one; elsewhere both are computed, and nothing waits.
        if Dense::of(scores).is_some() && known.clone().into_scalar::<f32>() != 0.0 {
            return known;
        }
        let none = Tensor::zeros([batch, 1], &scores.device());
        let (of_negatives, _) = exponential(scores.clone(), negatives, none);
        let first = (of_positive.clone().exp() + of_negatives)
            .sum()
            .mul_scalar(negatives.samples as f64 / (batch * (count + 1)) as f64);
        let unset = known.clone().equal_elem(0.0);
        known.mask_where(unset, first)
    }
}

/// A value that was computed without autodiff, with its gradient with respect to `x`, which was too.
fn with_gradient(value: Tensor<1>, x: Tensor<2>, gradient: Tensor<2>) -> Tensor<1> {
    let slope = (x * gradient).sum();
    slope.clone() - slope.detach() + value
}

/// The rows of a bank: `[ids, features]`.
fn rows(bank: &Tensor<2>, ids: &[usize]) -> Tensor<2> {
    kernel::rows(bank, ids).unwrap_or_else(|| {
        let numbers: Vec<i64> = ids.iter().map(|&id| id as i64).collect();
        let ids =
            Tensor::<1, Int>::from_data(TensorData::new(numbers, [ids.len()]), &bank.device());
        bank.clone().select(0, ids)
    })
}
