//! A scheme under one sharing.

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use kd_augment::{Augmenter, DrawKey, Mixer, ParamSharing, tensor};
use kd_core::divergence;
use kd_data::Batch;
use kd_metrics::ReferenceWindow;
use kd_metrics::augmentation::{
    Answers, CrossEntropySpread, LabelAgreement, teacher_student_cross_entropy,
};

use super::record::Record;
use super::{RankConfig, Scheme};
use crate::TrainError;
use crate::evaluation::host;
use crate::network::Frozen;
use crate::pixels::{augmented, augmented_bytes, mixed_labels, plain};

/// The teacher, what it was asked, and the student, if there is one.
pub(super) struct Asked<'a> {
    pub(super) teacher: &'a dyn Frozen,
    pub(super) student: Option<&'a dyn Frozen>,
    pub(super) images: u64,
    pub(super) seconds: f64,
}

impl Asked<'_> {
    fn logits(&mut self, images: Tensor<4>) -> Tensor<2> {
        let started = Instant::now();
        self.images += images.dims()[0] as u64;
        let logits = self.teacher.logits(images);
        // Devices that queue work would otherwise be timed by how fast they queue. A failure shows when the answers are read.
        let _ = logits.device().sync();
        self.seconds += started.elapsed().as_secs_f64();
        logits
    }
}

/// The batch in the standard view, for whoever goes on from it, and what the networks say of it.
pub(super) struct Base {
    /// Planar u8, for image operations.
    pixels: Vec<u8>,
    /// In `[0, 1]`, for mixes and for the teacher.
    images: Tensor<4>,
    /// The teacher's probabilities, where somebody needs them.
    pub(super) answers: Vec<f32>,
    cross_entropies: Option<Vec<f64>>,
}

impl Base {
    pub(super) fn of(
        standard: &Augmenter,
        key: &DrawKey,
        batch: &Batch,
        device: &Device,
        asked: &mut Asked,
        [needed, spread]: [bool; 2],
    ) -> Result<Self, TrainError> {
        let pixels = augmented_bytes(standard, key, batch)?;
        let images = plain(&pixels, batch.shape, device)?;
        let (mut answers, mut cross_entropies) = (Vec::new(), None);
        if needed {
            let logits = asked.logits(images.clone());
            answers = host(divergence::softmax(logits.clone(), 1.0))?;
            if spread {
                cross_entropies = cross_entropy(asked, logits, images.clone())?;
            }
        }
        Ok(Self {
            pixels,
            images,
            answers,
            cross_entropies,
        })
    }
}

/// q of each image, if there is a student to ask.
fn cross_entropy(
    asked: &Asked,
    teacher: Tensor<2>,
    images: Tensor<4>,
) -> Result<Option<Vec<f64>>, TrainError> {
    let Some(student) = asked.student else {
        return Ok(None);
    };
    let [_, classes] = teacher.dims();
    let student = host(student.logits(images))?;
    let values = teacher_student_cross_entropy(&host(teacher)?, &student, classes)?;
    Ok(Some(values))
}

/// What a scheme does to the standard view.
pub(super) enum Show {
    /// Nothing: the standard view's answers serve.
    Standard,
    Operations(Augmenter),
    Mix(Mixer),
    Pick(kd_augment::CutMixPick),
}

/// What the networks were shown.
struct Shown {
    images: Tensor<4>,
    logits: Tensor<2>,
    /// Of mixes, for each: position in the batch of the image itself and of the other, and the share of the first.
    mixed: Option<Vec<(usize, usize, f32)>>,
    score_ratio: Option<f32>,
}

pub(super) struct Candidate {
    pub(super) scheme: Scheme,
    pub(super) sharing: ParamSharing,
    pub(super) show: Show,
    /// Whose draws it has.
    view: u32,
    classes: usize,
    spread: bool,
    window: ReferenceWindow,
    so_far: SoFar,
}

/// Of the mean under way.
struct SoFar {
    answers: Answers,
    labels: Option<LabelAgreement>,
    cross_entropies: Vec<f64>,
    score_ratios: Option<f64>,
}

impl SoFar {
    fn new(classes: usize) -> Result<Self, TrainError> {
        Ok(Self {
            answers: Answers::new(classes)?,
            labels: None,
            cross_entropies: Vec::new(),
            score_ratios: None,
        })
    }
}

pub(super) fn candidates(
    config: &RankConfig,
    classes: usize,
    student: bool,
) -> Result<Vec<Candidate>, TrainError> {
    let mut candidates = Vec::new();
    for scheme in &config.schemes {
        if scheme.needs_student() && !student {
            continue;
        }
        for sharing in &config.sharing {
            candidates.push(Candidate {
                show: scheme.show(*sharing)?,
                scheme: scheme.clone(),
                sharing: *sharing,
                view: scheme.view(),
                classes,
                spread: config.cross_entropy && student,
                window: config.window.init(classes)?,
                so_far: SoFar::new(classes)?,
            });
        }
    }
    if candidates.is_empty() {
        return Err(TrainError::Recipe {
            place: "schemes".into(),
            reason: "every one of them needs a student, and there is none".into(),
        });
    }
    Ok(candidates)
}

impl Candidate {
    /// Shows the batch under the scheme; gives the record of a mean that it completes.
    pub(super) fn step(
        &mut self,
        base: &Base,
        key: &DrawKey,
        batch: &Batch,
        device: &Device,
        asked: &mut Asked,
    ) -> Result<Option<Record>, TrainError> {
        let shown = self.shown(base, key, batch, device, asked)?;
        let rows = match &shown {
            Some(shown) => host(divergence::softmax(shown.logits.clone(), 1.0))?,
            None => base.answers.clone(),
        };
        self.so_far.answers.push(&rows)?;
        if self.spread {
            let values = match &shown {
                Some(shown) => cross_entropy(asked, shown.logits.clone(), shown.images.clone())?,
                None => base.cross_entropies.clone(),
            };
            self.so_far
                .cross_entropies
                .extend(values.unwrap_or_default());
        }
        if let Some(Shown {
            mixed, score_ratio, ..
        }) = shown
        {
            if let Some(mixed) = mixed {
                let labels = mixed_labels(&mixed, &batch.labels, self.classes);
                let agreement = match &mut self.so_far.labels {
                    Some(agreement) => agreement,
                    none => none.insert(LabelAgreement::new(self.classes)?),
                };
                agreement.push(&labels, &rows)?;
            }
            if let Some(ratio) = score_ratio {
                *self.so_far.score_ratios.get_or_insert(0.0) += f64::from(ratio);
            }
        }
        let Some(mean) = self.window.push_step(&base.answers, &rows)? else {
            return Ok(None);
        };
        let so_far = std::mem::replace(&mut self.so_far, SoFar::new(self.classes)?);
        let cross_entropy = match so_far.cross_entropies.is_empty() {
            true => None,
            false => {
                let mut spread = CrossEntropySpread::default();
                spread.push(&so_far.cross_entropies)?;
                Some(spread)
            }
        };
        Ok(Some(Record {
            scheme: self.scheme.name.clone(),
            sharing: Some(self.sharing),
            mean,
            answers: so_far.answers,
            labels: so_far.labels,
            cross_entropy,
            score_ratios: so_far.score_ratios,
        }))
    }

    /// `None` where the answers on the standard view serve.
    fn shown(
        &self,
        base: &Base,
        key: &DrawKey,
        batch: &Batch,
        device: &Device,
        asked: &mut Asked,
    ) -> Result<Option<Shown>, TrainError> {
        let key = key.view(self.view);
        let (ids, index) = (&batch.ids[..], batch.index as u64);
        let images = match &self.show {
            Show::Standard => return Ok(None),
            Show::Operations(augmenter) => {
                let images = augmented(augmenter, &key, batch, &base.pixels, device)?;
                (images, None)
            }
            Show::Mix(mixer) => {
                let [_, _, height, width] = base.images.dims();
                let plan = mixer.sample(&key, ids, index, [height, width])?;
                let mixed = plan.partner.iter().zip(&plan.lambda).enumerate();
                let mixed = mixed.map(|(own, (&partner, &lambda))| (own, partner, lambda));
                (
                    tensor::mix(&plan, base.images.clone())?,
                    Some(mixed.collect()),
                )
            }
            Show::Pick(pick) => {
                let student = asked.student;
                let teacher = |images| asked.logits(images);
                let images = base.images.clone();
                let picked = match student {
                    Some(student) => {
                        let student = |images| student.logits(images);
                        pick.pick_with_student(images, &key, ids, index, teacher, student)
                    }
                    None => pick.pick(images, &key, ids, index, teacher),
                }?;
                let mixed = picked.own.iter().zip(&picked.partner).zip(&picked.lambda);
                let mixed = mixed.map(|((&own, &partner), &lambda)| (own, partner, lambda));
                return Ok(Some(Shown {
                    mixed: Some(mixed.collect()),
                    score_ratio: Some(picked.score_ratio),
                    images: picked.images,
                    logits: picked.teacher_logits,
                }));
            }
        };
        let (images, mixed) = images;
        Ok(Some(Shown {
            logits: asked.logits(images.clone()),
            images,
            mixed,
            score_ratio: None,
        }))
    }
}
