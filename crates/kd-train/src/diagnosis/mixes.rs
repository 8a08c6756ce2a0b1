//! Mixed images: what the teacher says of them, and which would be picked.

use std::slice::from_ref;

use burn::tensor::Tensor;
use kd_augment::pick::top_k;
use kd_augment::{Augmentation, DrawKey, Mix, ParamSharing, PickCriterion, Preset};
use kd_core::divergence;
use kd_data::{ImageSet, LoaderConfig};
use kd_metrics::augmentation::{LabelAgreement, LabelAgreementReport};
use kd_models::Classify;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::evaluation::{device_of, fits, host};
use crate::mixing::Mixing;
use crate::network::frozen;
use crate::pixels::{augmented_bytes, mixed_labels, one_hot, plain};
use crate::progress::Progress;

/// Which mixed images are looked at.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MixDiagnosisConfig {
    /// How images are mixed.
    pub mix: Mix,
    /// What they are mixed from.
    pub standard: Augmentation,
    /// Mixes of each batch: the pool to pick from.
    pub copies: usize,
    /// Images in a batch.
    pub batch_size: usize,
    /// Batches.
    pub batches: usize,
    /// Temperature of the divergence that is picked by.
    pub temperature: f32,
    /// Images that are shown, of those whose label the teacher contradicts.
    pub shown: usize,
    /// Seed of the order of the images and of every draw.
    pub seed: u64,
}

impl Default for MixDiagnosisConfig {
    /// CutMix as it is published, twice for each of eight batches of 64.
    fn default() -> Self {
        Self {
            mix: Mix::CutMix(kd_augment::CutMix::default()),
            standard: Augmentation::crop_flip(4),
            copies: 2,
            batch_size: 64,
            batches: 8,
            temperature: 4.0,
            shown: 8,
            seed: 0,
        }
    }
}

impl MixDiagnosisConfig {
    /// The default, with the crop of this data.
    pub fn for_data(preset: Preset) -> Self {
        Self {
            standard: Augmentation::crop_flip(preset.pad()),
            ..Self::default()
        }
    }
}

/// What was found of mixed images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixDiagnosis {
    /// How often the teacher sees another class than the mixed label says.
    pub labels: LabelAgreementReport,
    /// Which mixes would be picked, where there is a student.
    pub picks: Option<PickOverlap>,
    /// Shape of the images that are shown: channels, height, width.
    #[serde(skip)]
    pub shape: [usize; 3],
    /// Those whose label the teacher contradicts most firmly.
    #[serde(skip)]
    pub disagreements: Vec<Disagreement>,
}

/// An image whose mixed label the teacher contradicts.
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    /// The image itself, the other one, and their mix, as planar bytes.
    pub images: [Vec<u8>; 3],
    /// Classes and shares of the mixed label.
    pub label: Vec<(usize, f32)>,
    /// The teacher's three most likely classes and their probabilities.
    pub answer: Vec<(usize, f32)>,
}

/// Of as many mixes as the batch holds, picked from a pool by each of several criteria, the part that two of them have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PickOverlap {
    /// The criteria: divergence of the student from the teacher, entropy of the teacher's answer, of the student's, chance.
    pub criteria: Vec<String>,
    /// `[a][b]`: the share of what a picks that b picks too.
    pub overlap: Vec<Vec<f64>>,
    /// What two picks by chance have in common: the share of the pool that is picked.
    pub by_chance: f64,
    /// r, the mean divergence of those picked by it over the mean of all: 1 where there is nothing to pick.
    pub kl_ratio: f64,
    /// Candidates that were looked at.
    pub candidates: usize,
}

/// Look at mixed images of a training set through a teacher and, for picking, a student.
///
/// # Errors
///
/// [`TrainError::Recipe`] for a count of 0, [`TrainError::Unfit`] when the set is not one for a network, and what augmentation, device and
/// measures report.
pub fn diagnose_mixes<T: Classify + 'static, S: Classify + 'static>(
    teacher: &T,
    student: Option<&S>,
    set: &ImageSet,
    config: &MixDiagnosisConfig,
    progress: &Progress,
) -> Result<MixDiagnosis, TrainError> {
    for (place, found) in [
        ("copies", config.copies),
        ("batch_size", config.batch_size),
        ("batches", config.batches),
    ] {
        if found == 0 {
            return Err(TrainError::Recipe {
                place: place.into(),
                reason: "is 0, expected at least 1".into(),
            });
        }
    }
    let device = device_of(teacher);
    let (teacher, student) = (frozen(teacher), student.map(frozen));
    fits("teacher", teacher.input_spec(), "training", set)?;
    if let Some(student) = &student {
        fits("student", student.input_spec(), "training", set)?;
    }
    let loader = LoaderConfig::new(config.batch_size)
        .with_seed(config.seed)
        .init(set.clone())?;
    let standard = config.standard.build()?;
    let mixing = Mixing::new(config.mix, ParamSharing::PerSample, None)?;
    let classes = set.classes();
    let mut labels = LabelAgreement::new(classes)?;
    let mut overlap = Overlap::new(config.temperature);
    let mut found: Vec<Found> = Vec::new();

    let task = progress.task("mixes", config.batches as u64, "batches");
    let batches = (0..)
        .flat_map(|epoch| loader.epoch(epoch))
        .take(config.batches);
    for batch in batches {
        let key = DrawKey::new(config.seed).epoch(batch.epoch);
        let index = batch.index as u64;
        let pixels = augmented_bytes(&standard, &key, &batch)?;
        let base = plain(&pixels, batch.shape, &device)?;
        let count = batch.ids.len();
        let size = pixels.len() / count;

        let (mut copies, mut shares) = (Vec::new(), Vec::new());
        for copy in 0..config.copies as u32 {
            let key = key.view(1).copy(copy);
            let mixed = mixing.mixed(from_ref(&base), 1, &key, &batch, [None, None])?;
            copies.extend(mixed.images);
            shares.extend(mixed.shares);
        }
        let pool = Tensor::cat(copies, 0);
        let logits = teacher.logits(pool.clone());
        let answers = host(divergence::softmax(logits.clone(), 1.0))?;
        let targets = mixed_labels(&shares, &one_hot(&batch.labels, classes), classes);
        let disagree = labels.push(&targets, &answers)?;
        let bytes = host(pool.clone())?;
        for row in (0..shares.len()).filter(|&row| disagree[row]) {
            let (own, partner, _) = shares[row];
            let image = |index: usize| pixels[index * size..][..size].to_vec();
            let shown = bytes[row * size..][..size].iter();
            found.push(Found {
                confidence: largest(&answers[row * classes..][..classes]),
                disagreement: Disagreement {
                    images: [
                        image(own),
                        image(partner),
                        shown.map(|p| (p * 255.0).round() as u8).collect(),
                    ],
                    label: highest(&targets[row * classes..][..classes], 2),
                    answer: highest(&answers[row * classes..][..classes], 3),
                },
            });
        }
        // The firmest, and of those that are equal the first.
        found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        found.truncate(config.shown);
        if let Some(student) = &student {
            overlap.push(&logits, &student.logits(pool), &key, index, count)?;
        }
        task.advance(1);
    }
    task.finish();
    Ok(MixDiagnosis {
        labels: labels.compute()?,
        picks: student.map(|_| overlap.compute(config.copies)),
        shape: set.shape(),
        disagreements: found.into_iter().map(|found| found.disagreement).collect(),
    })
}

struct Found {
    confidence: f32,
    disagreement: Disagreement,
}

fn largest(row: &[f32]) -> f32 {
    row.iter().copied().fold(0.0, f32::max)
}

/// The classes with the largest values, without those of 0.
fn highest(row: &[f32], count: usize) -> Vec<(usize, f32)> {
    let mut classes: Vec<(usize, f32)> = row.iter().copied().enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    classes.truncate(count);
    classes.retain(|class| class.1 > 0.0);
    classes
}

/// Sums behind a [`PickOverlap`].
struct Overlap {
    criteria: [PickCriterion; 4],
    common: [[usize; 4]; 4],
    picked: usize,
    candidates: usize,
    ratios: f64,
    batches: usize,
}

impl Overlap {
    fn new(temperature: f32) -> Self {
        Self {
            criteria: [
                PickCriterion::KlTeacherStudent { temperature },
                PickCriterion::TeacherEntropy,
                PickCriterion::StudentEntropy,
                PickCriterion::Random,
            ],
            common: [[0; 4]; 4],
            picked: 0,
            candidates: 0,
            ratios: 0.0,
            batches: 0,
        }
    }

    fn push(
        &mut self,
        teacher: &Tensor<2>,
        student: &Tensor<2>,
        key: &DrawKey,
        index: u64,
        pick: usize,
    ) -> Result<(), TrainError> {
        let [candidates, _] = teacher.dims();
        let mut picks = Vec::new();
        for (place, criterion) in self.criteria.iter().enumerate() {
            let scores = criterion.scores(candidates, Some(teacher), Some(student), key, index)?;
            let picked = top_k(&scores, pick)?;
            if place == 0 {
                let all: f64 = scores.iter().map(|score| f64::from(*score)).sum();
                let chosen: f64 = picked.iter().map(|&row| f64::from(scores[row])).sum();
                let ratio = (chosen / pick as f64) / (all / candidates as f64);
                self.ratios += if all > 0.0 { ratio } else { 1.0 };
            }
            picks.push(picked);
        }
        for (a, own) in picks.iter().enumerate() {
            for (b, other) in picks.iter().enumerate() {
                self.common[a][b] += own.iter().filter(|row| other.contains(row)).count();
            }
        }
        self.picked += pick;
        self.candidates += candidates;
        self.batches += 1;
        Ok(())
    }

    fn compute(&self, copies: usize) -> PickOverlap {
        let share = |common: &usize| *common as f64 / self.picked.max(1) as f64;
        let names = ["KL", "T. entropy", "S. entropy", "random"];
        PickOverlap {
            criteria: names.map(String::from).to_vec(),
            overlap: self
                .common
                .iter()
                .map(|row| row.iter().map(share).collect())
                .collect(),
            by_chance: 1.0 / copies as f64,
            kl_ratio: self.ratios / self.batches.max(1) as f64,
            candidates: self.candidates,
        }
    }
}
