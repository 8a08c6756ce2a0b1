//! Mixed images of a batch: mixes are drawn and applied, and picked from where there is a pool.

use burn::tensor::{Int, Tensor, TensorData};
use kd_augment::{DrawKey, Mix, Mixer, ParamSharing, Picked, Pool, tensor};
use kd_data::Batch;

use crate::TrainError;

/// An image of a mix: its own position in the batch, that of its partner, and its own share.
pub(crate) type Share = (usize, usize, f32);

/// A forward pass of a network: images in, logits out.
pub(crate) type Forward<'a> = Box<dyn FnMut(Tensor<4>) -> Tensor<2> + 'a>;

/// How a batch is mixed, and which of the mixed images are taken.
pub(crate) struct Mixing {
    mixer: Mixer,
    /// `None` takes all images of one mix.
    pool: Option<Pool>,
}

/// Mixed images.
#[derive(Default)]
pub(crate) struct Mixed {
    /// One for all networks, or one for each.
    pub(crate) images: Vec<Tensor<4>>,
    /// One for each image; empty if the images are not mixed.
    pub(crate) shares: Vec<Share>,
    /// The teacher's logits, if the images were picked.
    pub(crate) logits: Option<Tensor<2>>,
    /// The mean score of the images over the mean score of their pool, if they were picked.
    pub(crate) score_ratio: Option<f32>,
}

impl Mixing {
    pub(crate) fn new(
        mix: Mix,
        sharing: ParamSharing,
        pool: Option<Pool>,
    ) -> Result<Self, TrainError> {
        let mixer = Mixer::new(mix, sharing)?;
        Ok(Self { mixer, pool })
    }

    pub(crate) fn has_pool(&self) -> bool {
        self.pool.is_some()
    }

    pub(crate) fn needs_student(&self) -> bool {
        self.pool.is_some_and(|pool| pool.criterion.needs_student())
    }

    /// Mixes the images of a batch. `base` holds one tensor for all networks, or one for each. Only
    /// a pool asks the networks: the teacher always, the student if the criterion needs it.
    pub(crate) fn mixed(
        &self,
        base: &[Tensor<4>],
        networks: usize,
        key: &DrawKey,
        batch: &Batch,
        [teacher, mut student]: [Option<Forward<'_>>; 2],
    ) -> Result<Mixed, TrainError> {
        let first = base.first().ok_or(TrainError::Unread { what: "images" })?;
        let (ids, index) = (&batch.ids, batch.index as u64);
        let Some(pool) = &self.pool else {
            let [_, _, height, width] = first.dims();
            let each = match self.mixer.is_per_network() || base.len() > 1 {
                true => networks,
                false => 1,
            };
            let size = [height, width];
            let plans = self.mixer.sample_each(each, key, ids, index, size)?;
            let own = |network| base.get(network).unwrap_or(first).clone();
            let mix = |(network, plan)| tensor::mix(plan, own(network));
            let images: Result<_, _> = plans.iter().enumerate().map(mix).collect();
            // All plans have the same partners and shares.
            let plan = plans.into_iter().next().unwrap_or_default();
            return Ok(Mixed {
                images: images?,
                shares: shares(0.., plan.partner, plan.lambda),
                ..Mixed::default()
            });
        };
        let teacher = teacher.ok_or(TrainError::NoTeacher)?;
        let student = student.as_mut().map(|ask| ask as &mut dyn FnMut(_) -> _);
        let base = first.clone();
        let picked = pool.draw(&self.mixer, base, key, ids, index, teacher, student)?;
        Ok(Mixed::from(picked))
    }

    /// All candidates of the pool, copy after copy; what a teacher that is recorded is asked about.
    pub(crate) fn candidates(
        &self,
        base: &[Tensor<4>],
        key: &DrawKey,
        batch: &Batch,
    ) -> Result<Tensor<4>, TrainError> {
        let first = base.first().ok_or(TrainError::Unread { what: "images" })?;
        let [_, _, height, width] = first.dims();
        let (ids, index) = (&batch.ids, batch.index as u64);
        let copies = self.pool.map_or(1, |pool| pool.copies) as u32;
        let copy = |number: u32| -> Result<_, TrainError> {
            let key = key.copy(key.copy.wrapping_add(number));
            let plan = self.mixer.sample(&key, ids, index, [height, width])?;
            Ok(tensor::mix(&plan, first.clone())?)
        };
        let copies: Result<Vec<_>, _> = (0..copies).map(copy).collect();
        Ok(Tensor::cat(copies?, 0))
    }

    /// Picks from a pool for whose candidates the teacher has answered already.
    pub(crate) fn picked(
        &self,
        base: &[Tensor<4>],
        key: &DrawKey,
        batch: &Batch,
        logits: &Tensor<2>,
        mut student: Option<Forward<'_>>,
    ) -> Result<Mixed, TrainError> {
        let first = base.first().ok_or(TrainError::Unread { what: "images" })?;
        let pool = self.pool.unwrap_or_default();
        let student = student.as_mut().map(|ask| ask as &mut dyn FnMut(_) -> _);
        let (ids, index) = (&batch.ids, batch.index as u64);
        let teacher = |_| logits.clone();
        let base = first.clone();
        let mut picked = pool.draw(&self.mixer, base, key, ids, index, teacher, student)?;
        if !pool.criterion.needs_teacher() {
            // It asked for what was picked, and was given the answers for all candidates.
            let rows: Vec<i32> = picked.indices.iter().map(|row| *row as i32).collect();
            let rows = TensorData::new(rows, [picked.indices.len()]);
            let rows = Tensor::<1, Int>::from_data(rows, &logits.device());
            picked.teacher_logits = logits.clone().select(0, rows);
        }
        Ok(Mixed::from(picked))
    }
}

impl From<Picked> for Mixed {
    fn from(picked: Picked) -> Self {
        Self {
            images: vec![picked.images],
            shares: shares(picked.own, picked.partner, picked.lambda),
            logits: Some(picked.teacher_logits),
            score_ratio: Some(picked.score_ratio),
        }
    }
}

fn shares(
    own: impl IntoIterator<Item = usize>,
    partner: Vec<usize>,
    lambda: Vec<f32>,
) -> Vec<Share> {
    let pairs = own.into_iter().zip(partner).zip(lambda);
    pairs
        .map(|((own, partner), lambda)| (own, partner, lambda))
        .collect()
}
