//! Makes the views of a batch.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use kd_augment::{Augmenter, DrawKey, Mixer, Pool, tensor};
use kd_data::Batch;

use crate::TrainError;
use crate::log::ForwardCounts;
use crate::network::{Frozen, Network};
use crate::pixels::{augmented, labels, mixed_labels, rows};
use crate::term::{Depth, Labels, Seen};
use crate::view::{self, View, Views};

/// Makes the views that somebody reads, in their order.
pub(crate) struct Viewer {
    seed: u64,
    classes: usize,
    made: Vec<Made>,
    /// Without autodiff.
    device: Device,
}

/// A view, ready to be drawn.
struct Made {
    name: String,
    view: View,
    augmenter: Augmenter,
    mixer: Option<Mixer>,
    /// What is read of it.
    labels: bool,
    teacher: Depth,
}

/// What is read of a view, by all terms together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) networks: bool,
    pub(crate) teacher: Depth,
    pub(crate) labels: bool,
}

impl Viewer {
    pub(crate) fn new(
        seed: u64,
        views: &Views,
        needs: &BTreeMap<String, Needs>,
        classes: usize,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let order = view::order(views, needs.keys().map(String::as_str))?;
        let made = order.into_iter().map(|name| {
            let view = views[name].clone();
            let needs = needs.get(name).copied().unwrap_or_default();
            Ok(Made {
                name: name.to_string(),
                augmenter: view.augmentation.build()?,
                mixer: view
                    .mix
                    .map(|mix| Mixer::new(mix, view.sharing))
                    .transpose()?,
                view,
                labels: needs.labels,
                teacher: needs.teacher,
            })
        });
        Ok(Self {
            seed,
            classes,
            made: made.collect::<Result<_, TrainError>>()?,
            device: device.clone().inner(),
        })
    }

    /// The names of the views, in the order in which they are made.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.made.iter().map(|made| made.name.as_str())
    }

    /// The views of a batch with what the teacher makes of them. The networks in training are only
    /// asked where a criterion wants to know their opinion: the first of them, without autodiff and
    /// with its statistics at rest.
    pub(crate) fn views(
        &self,
        batch: &Batch,
        teacher: Option<&dyn Frozen>,
        student: &dyn Network,
        counts: &mut ForwardCounts,
    ) -> Result<Vec<Seen>, TrainError> {
        let key = DrawKey::new(self.seed).epoch(batch.epoch);
        let mut seen: Vec<Seen> = Vec::new();
        for made in &self.made {
            let key = key.view(view::number(&made.name));
            let base = match &made.view.of {
                None => augmented(&made.augmenter, &key, batch, &batch.images, &self.device)?,
                Some(of) => {
                    let place = self.names().position(|name| name == of);
                    match place.and_then(|place| seen[place].images.clone()) {
                        Some(images) => images,
                        None => unreachable!("views come after those that they are made of"),
                    }
                }
            };
            let mut view = match (&made.mixer, &made.view.pool) {
                (None, _) => Seen {
                    labels: made
                        .labels
                        .then(|| Labels::Hard(labels(&batch.labels, &self.device))),
                    images: Some(base),
                    ..Seen::default()
                },
                (Some(mixer), None) => self.mixed(made, mixer, &key, batch, base)?,
                (Some(mixer), Some(pool)) => {
                    let teacher = teacher.ok_or(TrainError::NoTeacher)?;
                    let pick = Pick {
                        mixer,
                        pool,
                        teacher,
                        student,
                    };
                    self.picked(made, &pick, &key, batch, base, counts)?
                }
            };
            // A pool has asked for the logits of its images already.
            let asked = view.teacher.is_some() && made.teacher < Depth::Features;
            if let (Some(images), false) = (&view.images, made.teacher == Depth::Nothing || asked) {
                let teacher = teacher.ok_or(TrainError::NoTeacher)?;
                counts.teacher_images += images.dims()[0] as u64;
                view.teacher = Some(teacher.features(images.clone()));
            }
            seen.push(view);
        }
        Ok(seen)
    }

    fn mixed(
        &self,
        made: &Made,
        mixer: &Mixer,
        key: &DrawKey,
        batch: &Batch,
        base: Tensor<4>,
    ) -> Result<Seen, TrainError> {
        let [_, _, height, width] = base.dims();
        let plan = mixer.sample(key, &batch.ids, batch.index as u64, [height, width])?;
        let shares = plan.partner.iter().zip(&plan.lambda).enumerate();
        let shares = shares.map(|(own, (&partner, &lambda))| (own, partner, lambda));
        Ok(Seen {
            labels: self.shares(made, &shares.collect::<Vec<_>>(), batch),
            images: Some(tensor::mix(&plan, base)?),
            ..Seen::default()
        })
    }

    fn picked(
        &self,
        made: &Made,
        pick: &Pick<'_>,
        key: &DrawKey,
        batch: &Batch,
        base: Tensor<4>,
        counts: &mut ForwardCounts,
    ) -> Result<Seen, TrainError> {
        let frozen = pick
            .pool
            .criterion
            .needs_student()
            .then(|| pick.student.frozen());
        let (mut asked, mut scored) = (0, 0);
        let mut score = frozen.as_ref().map(|frozen| {
            |images: Tensor<4>| {
                scored += images.dims()[0] as u64;
                frozen.logits(images)
            }
        });
        let picked = pick.pool.draw(
            pick.mixer,
            base,
            key,
            &batch.ids,
            batch.index as u64,
            |images| {
                asked += images.dims()[0] as u64;
                pick.teacher.logits(images)
            },
            score.as_mut().map(|score| score as &mut dyn FnMut(_) -> _),
        )?;
        counts.teacher_images += asked;
        counts.student_scored_images += scored;
        let shares = picked.own.iter().zip(&picked.partner).zip(&picked.lambda);
        let shares = shares.map(|((&own, &partner), &lambda)| (own, partner, lambda));
        Ok(Seen {
            labels: self.shares(made, &shares.collect::<Vec<_>>(), batch),
            images: Some(picked.images),
            teacher: Some(kd_models::Features {
                logits: picked.teacher_logits,
                stages: Vec::new(),
                embedding: None,
            }),
            score_ratio: Some(picked.score_ratio),
            ..Seen::default()
        })
    }

    fn shares(&self, made: &Made, shares: &[(usize, usize, f32)], batch: &Batch) -> Option<Labels> {
        made.labels.then(|| {
            let labels = mixed_labels(shares, &batch.labels, self.classes);
            Labels::Mixed(rows(&labels, self.classes, &self.device))
        })
    }
}

/// What is picked from, and by whom.
struct Pick<'a> {
    mixer: &'a Mixer,
    pool: &'a Pool,
    teacher: &'a dyn Frozen,
    student: &'a dyn Network,
}
