//! A scheme under one sharing.

use std::slice::from_ref;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use kd_augment::{Augmenter, DrawKey, ParamSharing};
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
use crate::mixing::{Forward, Mixed, Mixing};
use crate::network::Frozen;
use crate::pixels::{augmented, augmented_bytes, mixed_labels, one_hot, plain};

/// The teacher, what it was asked, and the student, if there is one.
pub(super) struct Asked<'a> {
    pub(super) teacher: &'a dyn Frozen,
    pub(super) student: Option<&'a dyn Frozen>,
    /// Whether the student is asked about all images, for the cross-entropies.
    pub(super) spread: bool,
    pub(super) images: u64,
    pub(super) seconds: f64,
}

impl Asked<'_> {
    fn logits(&mut self, images: Tensor<4>) -> Tensor<2> {
        let started = Instant::now();
        self.images += images.dims()[0] as u64;
        let logits = self.teacher.logits(images);
        // Devices that queue work would otherwise be timed by how fast they queue. A failure shows
        // when the answers are read.
        let _ = logits.device().sync();
        self.seconds += started.elapsed().as_secs_f64();
        logits
    }
}

/// The outputs of the networks for some images.
#[derive(Clone, Default)]
pub(super) struct Outputs {
    /// The teacher's probabilities.
    pub(super) probabilities: Vec<f32>,
    /// q of each image; empty unless the student is asked too.
    cross_entropies: Vec<f64>,
}

impl Outputs {
    /// Asks the teacher unless its `logits` are there already.
    fn of(
        asked: &mut Asked,
        images: Tensor<4>,
        logits: Option<Tensor<2>>,
    ) -> Result<Self, TrainError> {
        let logits = logits.unwrap_or_else(|| asked.logits(images.clone()));
        let probabilities = host(divergence::softmax(logits.clone(), 1.0))?;
        let cross_entropies = match asked.student.filter(|_| asked.spread) {
            Some(student) => {
                let [_, classes] = logits.dims();
                let student = host(student.logits(images))?;
                teacher_student_cross_entropy(&host(logits)?, &student, classes)?
            }
            None => Vec::new(),
        };
        Ok(Self {
            probabilities,
            cross_entropies,
        })
    }
}

/// The batch in the standard view, for whoever goes on from it.
pub(super) struct Base {
    /// Planar u8, for image operations.
    pixels: Vec<u8>,
    /// In `[0, 1]`, for mixes and for the teacher.
    images: Tensor<4>,
    /// Empty if nothing reads them.
    pub(super) outputs: Outputs,
}

impl Base {
    pub(super) fn of(
        standard: &Augmenter,
        key: &DrawKey,
        batch: &Batch,
        device: &Device,
        asked: &mut Asked,
        needed: bool,
    ) -> Result<Self, TrainError> {
        let pixels = augmented_bytes(standard, key, batch)?;
        let images = plain(&pixels, batch.shape, device)?;
        let outputs = match needed {
            true => Outputs::of(asked, images.clone(), None)?,
            false => Outputs::default(),
        };
        Ok(Self {
            pixels,
            images,
            outputs,
        })
    }
}

/// What a scheme does to the standard view.
pub(super) enum Show {
    /// Nothing: the standard view's answers serve.
    Standard,
    Operations(Augmenter),
    Mix(Mixing),
}

pub(super) struct Candidate {
    pub(super) scheme: Scheme,
    pub(super) sharing: ParamSharing,
    pub(super) show: Show,
    /// Whose draws it has.
    view: u32,
    classes: usize,
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
        let (outputs, mixed) = self.shown(base, key, batch, device, asked)?;
        self.so_far.answers.push(&outputs.probabilities)?;
        self.so_far.cross_entropies.extend(outputs.cross_entropies);
        if !mixed.shares.is_empty() {
            let labels = one_hot(&batch.labels, self.classes);
            let labels = mixed_labels(&mixed.shares, &labels, self.classes);
            let agreement = match &mut self.so_far.labels {
                Some(agreement) => agreement,
                none => none.insert(LabelAgreement::new(self.classes)?),
            };
            agreement.push(&labels, &outputs.probabilities)?;
        }
        if let Some(ratio) = mixed.score_ratio {
            *self.so_far.score_ratios.get_or_insert(0.0) += f64::from(ratio);
        }
        let standard = &base.outputs.probabilities;
        let Some(mean) = self.window.push_step(standard, &outputs.probabilities)? else {
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

    /// Applies the scheme to the standard view, and asks the networks.
    fn shown(
        &self,
        base: &Base,
        key: &DrawKey,
        batch: &Batch,
        device: &Device,
        asked: &mut Asked,
    ) -> Result<(Outputs, Mixed), TrainError> {
        let key = key.view(self.view);
        let mut mixed = match &self.show {
            Show::Standard => return Ok((base.outputs.clone(), Mixed::default())),
            Show::Operations(augmenter) => Mixed {
                images: vec![augmented(augmenter, &key, batch, &base.pixels, device)?],
                ..Mixed::default()
            },
            Show::Mix(mixing) => {
                let student = asked.student;
                let student =
                    student.map(|s| -> Forward<'_> { Box::new(|images| s.logits(images)) });
                let teacher: Forward<'_> = Box::new(|images| asked.logits(images));
                let asks = [Some(teacher), student];
                mixing.mixed(from_ref(&base.images), 1, &key, batch, asks)?
            }
        };
        let outputs = Outputs::of(asked, mixed.images[0].clone(), mixed.logits.take())?;
        Ok((outputs, mixed))
    }
}
