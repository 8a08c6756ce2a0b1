//! Makes the views of a batch.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use kd_augment::{Augmenter, DrawKey, Mixer, Pool, tensor};
use kd_data::{Batch, ImageSet};
use kd_models::Features;

use crate::TrainError;
use crate::log::ForwardCounts;
use crate::network::{Frozen, Network};
use crate::pixels::{augmented, labels, mixed_labels, mixed_rows, rows};
use crate::siblings::Siblings;
use crate::step::Needs;
use crate::term::{Depth, LabelKind, Labels, Seen};
use crate::view::{self, Draws, Source, View, ViewLabels, Views};

/// Makes the views that somebody reads, in their order.
pub(crate) struct Viewer {
    seed: u64,
    set: ImageSet,
    /// Only where a view shows other images of the same class.
    siblings: Option<Siblings>,
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
    /// The view that begins with images of the set, which this one is made of: itself, if it is
    /// made of no other.
    root: String,
}

impl Viewer {
    pub(crate) fn new(
        seed: u64,
        views: &Views,
        needs: &BTreeMap<String, Needs>,
        set: &ImageSet,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let order = view::order(views, needs.keys().map(String::as_str))?;
        let made = order.into_iter().map(|name| {
            let view = views[name].clone();
            if view.labels == ViewLabels::Human && set.soft_labels().is_none() {
                return Err(TrainError::Recipe {
                    place: format!("views.{name}.labels"),
                    reason: "is human, and the training set has no labels of people".into(),
                });
            }
            let root = view::line(views, name)?.pop().unwrap_or(name).to_string();
            Ok(Made {
                name: name.to_string(),
                augmenter: view.augmentation.build()?,
                mixer: view
                    .mix
                    .map(|mix| Mixer::new(mix, view.sharing))
                    .transpose()?,
                view,
                root,
            })
        });
        let made: Vec<Made> = made.collect::<Result<_, TrainError>>()?;
        let siblings = made.iter().any(|m| m.view.source == Source::SameClass);
        Ok(Self {
            seed,
            siblings: siblings.then(|| Siblings::of(set)),
            set: set.clone(),
            made,
            device: device.clone().inner(),
        })
    }

    /// The names of the views, in the order in which they are made.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.made.iter().map(|made| made.name.as_str())
    }

    fn place(&self, name: &str) -> usize {
        match self.names().position(|known| known == name) {
            Some(place) => place,
            None => unreachable!("views come with those that they are made of"),
        }
    }

    /// The views of a batch that are needed, with what the teacher makes of them; of the others
    /// nothing. The networks in training are only asked where a criterion wants to know their
    /// opinion: the first of them, without autodiff and with its statistics at rest.
    pub(crate) fn views(
        &self,
        batch: &Batch,
        teacher: Option<&dyn Frozen>,
        networks: &[Box<dyn Network>],
        needs: &BTreeMap<String, Needs>,
        counts: &mut ForwardCounts,
    ) -> Result<Vec<Seen>, TrainError> {
        let mut wanted = vec![false; self.made.len()];
        for (place, made) in self.made.iter().enumerate().rev() {
            wanted[place] |= needs.contains_key(&made.name);
            if let (true, Some(of)) = (wanted[place], &made.view.of) {
                wanted[self.place(of)] = true;
            }
        }
        let key = DrawKey::new(self.seed).epoch(batch.epoch);
        let mut seen: Vec<Seen> = Vec::new();
        for (made, wanted) in self.made.iter().zip(wanted) {
            if !wanted {
                seen.push(Seen::default());
                continue;
            }
            let needs = needs.get(&made.name).copied().unwrap_or_default();
            let base = match &made.view.of {
                None => self.drawn(made, &key, batch, networks.len())?,
                Some(of) => seen[self.place(of)].images.clone(),
            };
            let key = key.view(view::number(&made.name));
            let named = needs.labels > LabelKind::Nothing;
            let mut view = match (&made.mixer, &made.view.pool) {
                (None, _) => Seen {
                    labels: named.then(|| self.labels(made, batch)),
                    images: base,
                    ..Seen::default()
                },
                (Some(mixer), None) => {
                    let made = (made, named);
                    self.mixed(made, mixer, &key, batch, &base, networks.len())?
                }
                (Some(mixer), Some(pool)) => {
                    let pick = Pick {
                        mixer,
                        pool,
                        teacher: teacher.ok_or(TrainError::NoTeacher)?,
                        student: &*networks[0],
                    };
                    let base = base.into_iter().next();
                    let base = base.ok_or(TrainError::Unread { what: "images" })?;
                    self.picked((made, named), &pick, &key, batch, base, counts)?
                }
            };
            // A pool has asked for the logits of its images already.
            let asked = view.teacher.is_some() && needs.teacher < Depth::Features;
            let skip = needs.teacher == Depth::Nothing || asked;
            if let (Some(images), false) = (view.images.first(), skip) {
                let teacher = teacher.ok_or(TrainError::NoTeacher)?;
                counts.teacher_images += images.dims()[0] as u64;
                view.teacher = Some(match needs.teacher {
                    Depth::Logits => Features::new(teacher.logits(images.clone())),
                    _ => teacher.features(images.clone()),
                });
            }
            seen.push(view);
        }
        Ok(seen)
    }

    /// The images that a view begins with, after its augmentation: one for all networks, or one for
    /// each.
    fn drawn(
        &self,
        made: &Made,
        key: &DrawKey,
        batch: &Batch,
        networks: usize,
    ) -> Result<Vec<Tensor<4>>, TrainError> {
        let each = match made.view.draws {
            Draws::Shared => 1,
            Draws::PerNetwork => networks,
        };
        let partners = self.partners(made, batch);
        let pixels = partners.map(|ids| {
            let images = ids.iter().map(|id| self.set.image(*id as usize));
            images.collect::<Vec<_>>().concat()
        });
        let pixels = pixels.as_ref().unwrap_or(&batch.images);
        let draw = |network| {
            let key = key.view(view::number_of(&made.name, network));
            augmented(&made.augmenter, &key, batch, pixels, &self.device)
        };
        (0..each).map(draw).collect()
    }

    /// The images that a view shows in place of those of the batch.
    fn partners(&self, root: &Made, batch: &Batch) -> Option<Vec<u64>> {
        let siblings = match root.view.source {
            Source::Batch => return None,
            Source::SameClass => self.siblings.as_ref()?,
        };
        let view = view::number(&root.name);
        let draw = |id: &u64| siblings.draw(self.seed, batch.epoch, view, *id);
        Some(batch.ids.iter().map(draw).collect())
    }

    /// What people said of the images of a view, row by row; `None` where its labels are classes.
    fn human(&self, made: &Made, batch: &Batch) -> Option<Vec<f32>> {
        let root = &self.made[self.place(&made.root)];
        let soft = match root.view.labels {
            ViewLabels::Classes => return None,
            ViewLabels::Human => self.set.soft_labels()?,
        };
        let ids = self.partners(root, batch);
        let ids = ids.as_ref().unwrap_or(&batch.ids).iter();
        let classes = self.set.classes();
        let row = |id: &u64| &soft[*id as usize * classes..][..classes];
        Some(ids.map(row).collect::<Vec<_>>().concat())
    }

    fn labels(&self, made: &Made, batch: &Batch) -> Labels {
        match self.human(made, batch) {
            None => Labels::Hard(labels(&batch.labels, &self.device)),
            Some(human) => Labels::Mixed(rows(&human, self.set.classes(), &self.device)),
        }
    }

    fn mixed(
        &self,
        made: (&Made, bool),
        mixer: &Mixer,
        key: &DrawKey,
        batch: &Batch,
        base: &[Tensor<4>],
        networks: usize,
    ) -> Result<Seen, TrainError> {
        let Some(first) = base.first() else {
            return Ok(Seen::default());
        };
        let [_, _, height, width] = first.dims();
        let each = match mixer.is_per_network() || base.len() > 1 {
            true => networks,
            false => 1,
        };
        let size = [height, width];
        let plans = mixer.sample_each(each, key, &batch.ids, batch.index as u64, size)?;
        let mix = |(network, plan)| {
            let base = base.get(network).unwrap_or(first);
            tensor::mix(plan, base.clone())
        };
        let images = plans.iter().enumerate().map(mix);
        // All plans have the same partners and shares.
        let shares = plans.first().map(|plan| {
            let shares = plan.partner.iter().zip(&plan.lambda).enumerate();
            let shares = shares.map(|(own, (&partner, &lambda))| (own, partner, lambda));
            shares.collect::<Vec<_>>()
        });
        Ok(Seen {
            images: images.collect::<Result<_, _>>()?,
            labels: self.shares(made, &shares.unwrap_or_default(), batch),
            ..Seen::default()
        })
    }

    fn picked(
        &self,
        made: (&Made, bool),
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
            images: vec![picked.images],
            teacher: Some(Features::new(picked.teacher_logits)),
            score_ratio: Some(picked.score_ratio),
            ..Seen::default()
        })
    }

    /// The labels of mixed images, if they are read.
    fn shares(
        &self,
        (made, named): (&Made, bool),
        shares: &[(usize, usize, f32)],
        batch: &Batch,
    ) -> Option<Labels> {
        let classes = self.set.classes();
        named.then(|| {
            let mixed = match self.human(made, batch) {
                None => mixed_labels(shares, &batch.labels, classes),
                Some(human) => mixed_rows(shares, &human, classes),
            };
            Labels::Mixed(rows(&mixed, classes, &self.device))
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
