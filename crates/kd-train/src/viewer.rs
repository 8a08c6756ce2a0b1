//! Makes the views of a batch.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use kd_augment::{Augmenter, DrawKey};
use kd_data::{Batch, ImageSet};
use kd_models::Features;

use crate::TrainError;
use crate::log::ForwardCounts;
use crate::mixing::{Forward, Mixing, Share};
use crate::network::{Frozen, Network};
use crate::pixels::{augmented, labels, mixed_labels, one_hot, rows};
use crate::recording::Question;
use crate::siblings::Siblings;
use crate::step::Needs;
use crate::teachers::Voice;
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
    mixing: Option<Mixing>,
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
                mixing: view
                    .mix
                    .map(|mix| Mixing::new(mix, view.sharing, view.pool))
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
        teacher: Voice<'_>,
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
            let number = view::number(&made.name);
            let key = key.view(number);
            let question = Question {
                epoch: batch.epoch,
                step: batch.index as u64,
                view: number,
                copies: made.view.pool.map_or(1, |pool| pool.copies as u32),
                ids: &batch.ids,
            };
            let named = needs.labels > LabelKind::Nothing;
            let mut view = match &made.mixing {
                None => Seen {
                    labels: named.then(|| self.labels(made, batch)),
                    images: base,
                    ..Seen::default()
                },
                Some(mixing) => {
                    let student = mixing.needs_student().then(|| networks[0].frozen());
                    let scored = &mut counts.student_scored_images;
                    let student = student.as_deref().map(|student| counted(student, scored));
                    let asked = &mut counts.teacher_images;
                    let mixed = if teacher.recording.is_some() && mixing.has_pool() {
                        let pool = || mixing.candidates(&base, &key, batch);
                        let logits = teacher.logits(&question, pool, &self.device, asked)?;
                        mixing.picked(&base, &key, batch, &logits, student)?
                    } else {
                        let asks = [teacher.network.map(|t| counted(t, asked)), student];
                        mixing.mixed(&base, networks.len(), &key, batch, asks)?
                    };
                    Seen {
                        labels: named.then(|| self.mixed_labels(made, &mixed.shares, batch)),
                        images: mixed.images,
                        teacher: mixed.logits.map(Features::new),
                        score_ratio: mixed.score_ratio,
                        ..Seen::default()
                    }
                }
            };
            // A pool has asked for the logits of its images already.
            let asked = view.teacher.is_some() && needs.teacher < Depth::Features;
            let skip = needs.teacher == Depth::Nothing || asked;
            if let (Some(images), false) = (view.images.first(), skip) {
                let asked = &mut counts.teacher_images;
                view.teacher = Some(match (needs.teacher, view.teacher) {
                    (Depth::Logits, _) => {
                        let images = || Ok(images.clone());
                        let logits = teacher.logits(&question, images, &self.device, asked)?;
                        Features::new(logits)
                    }
                    (_, None) => {
                        teacher.features(&question, images.clone(), &self.device, asked)?
                    }
                    // Of what was picked; the pool's logits were recorded.
                    (_, Some(picked)) => {
                        let mut features = teacher.unrecorded(images.clone(), asked)?;
                        if teacher.recording.is_some() {
                            features.logits = picked.logits;
                        }
                        features
                    }
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

    fn mixed_labels(&self, made: &Made, shares: &[Share], batch: &Batch) -> Labels {
        let classes = self.set.classes();
        let human = self.human(made, batch);
        let labels = human.unwrap_or_else(|| one_hot(&batch.labels, classes));
        let mixed = mixed_labels(shares, &labels, classes);
        Labels::Mixed(rows(&mixed, classes, &self.device))
    }
}

/// Asks a network, and counts the images that it is shown.
fn counted<'a>(network: &'a dyn Frozen, count: &'a mut u64) -> Forward<'a> {
    Box::new(|images| {
        *count += images.dims()[0] as u64;
        network.logits(images)
    })
}
