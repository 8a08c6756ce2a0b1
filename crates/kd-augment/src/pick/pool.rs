//! A pool of mixed candidates.

use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{PickCriterion, top_k};
use crate::error::{self, AugmentError};
use crate::key::DrawKey;
use crate::mix::Mixer;
use crate::plan::{Blend, MixPlan, PixelBox};
use crate::tensor;

/// How many mixes of a batch stand for choice, and which are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pool {
    /// Mixes of the batch in the pool, at least 1; 2 if not given.
    pub copies: usize,
    /// How many candidates are picked; as many as the batch holds if not given.
    pub pick: PickSize,
    /// What they are picked by.
    pub criterion: PickCriterion,
}

/// How many candidates are picked. In a recipe: `"batch"`, `"reference"`, or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PickSize {
    /// As many as the batch holds.
    #[default]
    Batch,
    /// 64, or the whole pool where that is smaller, as the reference implementation has it: its last batch of an epoch, when it is
    /// small, is not picked from at all.
    Reference,
    /// So many, at least 1; the pool of the smallest batch must hold them.
    #[serde(untagged)]
    Fixed(usize),
}

impl PickSize {
    /// How many of a pool are picked.
    fn of(self, batch: usize, pool: usize) -> usize {
        match self {
            Self::Batch => batch,
            Self::Reference => pool.min(64),
            Self::Fixed(pick) => pick,
        }
    }

    /// The number, if it does not depend on the batch.
    pub fn fixed(self) -> Option<usize> {
        match self {
            Self::Fixed(pick) => Some(pick),
            Self::Batch | Self::Reference => None,
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            copies: 2,
            pick: PickSize::Batch,
            criterion: PickCriterion::default(),
        }
    }
}

/// What was picked, row by row: the best candidate first.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Picked {
    /// The mixed images, `[picked, channels, height, width]`.
    pub images: Tensor<4>,
    /// The teacher's logits of these images, `[picked, classes]`, without a graph.
    pub teacher_logits: Tensor<2>,
    /// The student's logits of these images, if the criterion looked at them; without a graph, not to be trained on.
    pub student_logits: Option<Tensor<2>>,
    /// Position of each in the pool: copy · batch + position in the batch.
    pub indices: Vec<usize>,
    /// The score of each.
    pub scores: Vec<f32>,
    /// The mean score of those picked over the mean score of the pool. Under
    /// [`KlTeacherStudent`](PickCriterion::KlTeacherStudent) this is the KL ratio r of *Understanding the Success of Knowledge
    /// Distillation – A Data Augmentation Perspective*, Eq. 4: how much more there is to learn from the picked images than from random ones.
    pub score_ratio: f32,
    /// How each was made: position in the batch of the image itself.
    pub own: Vec<usize>,
    /// Position in the batch of the other image.
    pub partner: Vec<usize>,
    /// The share that is the image's own.
    pub lambda: Vec<f32>,
    /// The box that was pasted, if the mix pastes.
    pub boxes: Option<Vec<PixelBox>>,
}

impl Pool {
    /// Checks every field.
    ///
    /// # Errors
    /// [`AugmentError::OutOfRange`], naming field, value and range.
    pub fn check(&self) -> Result<(), AugmentError> {
        // A copy is numbered in 32 bits.
        error::count("pick.copies", self.copies, 1, 65_536, "between 1 and 65536")?;
        error::count(
            "pick.pick",
            self.pick.fixed().unwrap_or(1),
            1,
            usize::MAX,
            "at least 1",
        )?;
        self.criterion.check()
    }

    /// Mixes `base` `copies` times, scores all candidates and picks.
    ///
    /// `base` is the batch after its image operations, `[n, channels, height, width]`; only the mix is drawn anew for
    /// each copy: copy j from `key` with its copy raised by j. `teacher` gives logits `[rows, classes]`, in evaluation
    /// mode; it sees the whole pool at once if the criterion asks for it, and its logits of the picked rows are kept;
    /// otherwise it sees only what was picked. `student`, if the criterion asks for it, sees the whole pool; give one that
    /// leaves its batch-norm statistics alone.
    ///
    /// # Errors
    /// An empty batch; ids or logits that do not fit; more to pick than the pool holds; a score that is not a number.
    #[expect(clippy::too_many_arguments, reason = "CutMixPick is the short form")]
    pub fn draw(
        &self,
        mixer: &Mixer,
        base: Tensor<4>,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        mut teacher: impl FnMut(Tensor<4>) -> Tensor<2>,
        student: Option<&mut dyn FnMut(Tensor<4>) -> Tensor<2>>,
    ) -> Result<Picked, AugmentError> {
        self.check()?;
        let [n, _, h, w] = base.dims();
        error::count(
            "the number of images in a batch to pick from",
            n,
            1,
            usize::MAX,
            "at least 1",
        )?;
        if ids.len() != n {
            return Err(AugmentError::Length {
                what: "ids",
                expected: n,
                found: ids.len(),
            });
        }
        let candidates = self.copies * n;
        let pick = self.pick.of(n, candidates);
        if pick > candidates {
            return Err(AugmentError::PickExceedsPool {
                pick,
                pool: candidates,
            });
        }

        let plans: Vec<MixPlan> = (0..self.copies as u32)
            .map(|j| {
                mixer.sample(
                    &key.copy(key.copy.wrapping_add(j)),
                    ids,
                    batch_index,
                    [h, w],
                )
            })
            .collect::<Result<_, _>>()?;
        let copies = plans.iter().map(|plan| tensor::mix(plan, base.clone()));
        let pool = Tensor::cat(copies.collect::<Result<Vec<_>, _>>()?, 0);

        let whole = |needed: bool| needed.then(|| pool.clone());
        let teacher_pool = whole(self.criterion.needs_teacher()).map(|pool| teacher(pool).detach());
        let student_pool = match (whole(self.criterion.needs_student()), student) {
            (Some(pool), Some(student)) => Some(student(pool).detach()),
            _ => None,
        };
        let scores = self.criterion.scores(
            candidates,
            teacher_pool.as_ref(),
            student_pool.as_ref(),
            key,
            batch_index,
        )?;
        let indices = top_k(&scores, pick)?;

        let rows: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [pick]), &pool.device());
        let images = pool.select(0, rows.clone());
        let teacher_logits = match teacher_pool {
            Some(logits) => logits.select(0, rows.clone()),
            None => teacher(images.clone()).detach(),
        };
        Ok(Picked {
            images,
            teacher_logits,
            student_logits: student_pool.map(|logits| logits.select(0, rows)),
            score_ratio: mean_ratio(&scores, &indices),
            scores: indices.iter().map(|&index| scores[index]).collect(),
            own: indices.iter().map(|index| index % n).collect(),
            partner: chosen(&indices, n, |copy, i| plans[copy].partner[i]),
            lambda: chosen(&indices, n, |copy, i| plans[copy].lambda[i]),
            boxes: match plans[0].blend {
                Blend::Linear | Blend::Mask(_) => None,
                Blend::Paste(_) => {
                    let pasted = |copy: usize, i: usize| plans[copy].boxes().map(|boxes| boxes[i]);
                    Some(chosen(&indices, n, |copy, i| {
                        pasted(copy, i).unwrap_or_default()
                    }))
                }
            },
            indices,
        })
    }
}

impl Picked {
    /// The part of these candidates that another pick from the same pool chose as well, in [0, 1]; 0 if none was picked.
    ///
    /// Of two picks by chance it is the part of the pool that the other one chose. Compare a pick by one network with the
    /// one by another, or by the same one an epoch ago.
    pub fn overlap(&self, other: &[usize]) -> f32 {
        let both = self
            .indices
            .iter()
            .filter(|index| other.contains(index))
            .count();
        both as f32 / self.indices.len().max(1) as f32
    }
}

/// The mean of the scores at `picked` over the mean of all; 1 where all are 0.
fn mean_ratio(scores: &[f32], picked: &[usize]) -> f32 {
    let mean = |sum: f64, n: usize| sum / n.max(1) as f64;
    let all = mean(scores.iter().map(|s| f64::from(*s)).sum(), scores.len());
    let chosen = picked.iter().map(|&index| f64::from(scores[index])).sum();
    match all == 0.0 {
        true => 1.0,
        false => (mean(chosen, picked.len()) / all) as f32,
    }
}

/// What `of` says of the picked candidates, by copy and position in the batch.
fn chosen<T>(indices: &[usize], n: usize, of: impl Fn(usize, usize) -> T) -> Vec<T> {
    indices
        .iter()
        .map(|index| of(index / n, index % n))
        .collect()
}
