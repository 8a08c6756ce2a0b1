//! T. stddev: which augmentation to distil with, before any student is trained.

mod report;
mod scheme;

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use kd_augment::{
    Augmentation, Augmenter, DrawKey, Images, Mixer, ParamSharing, Preset, cpu, tensor,
};
use kd_core::divergence;
use kd_data::{Batch, ImageSet, LoaderConfig};
use kd_metrics::{Bootstrap, ReferenceWindow, ReferenceWindowConfig, TStddev};
use kd_models::Classify;

use crate::TrainError;
use crate::evaluation::{device_of, fits, host};
use crate::presenter::{augmented, plain};
use crate::progress::Progress;
use crate::teacher::Teacher;

pub use report::{RankReport, RankRow};
pub use scheme::Scheme;

/// What a ranking measures.
///
/// The default is the recipe of the reference implementation: each mean is taken over five steps of 64 images, and over two
/// views of each step, the *standard view* (pad-and-crop by 4 and flip, drawn for each image) and the scheme on top of it.
/// Half of every mean is therefore the standard view, and `identity` is the standard view twice. The
/// [plain](RankConfig::plain) form averages the scheme alone, on the images as they are.
///
/// Source: *What Makes a Good Data Augmentation in Knowledge Distillation*, Wang et al., 2022, section 3.3, and its code.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RankConfig {
    /// What is compared.
    pub schemes: Vec<Scheme>,
    /// For whom parameters are drawn; each scheme is measured once for each. The published values are batch-shared.
    pub sharing: Vec<ParamSharing>,
    /// Means behind each value, at least 2. The reference takes ten epochs, which are 1,564 means.
    pub means: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// Steps behind a mean, and whether the standard view counts.
    pub window: ReferenceWindowConfig,
    /// What every scheme is put on top of.
    pub standard: Augmentation,
    /// Seed of the order of the images and of every draw.
    pub seed: u64,
    /// The interval of each value.
    pub bootstrap: Bootstrap,
}

impl Default for RankConfig {
    fn default() -> Self {
        Self {
            schemes: Scheme::published(Preset::Cifar10),
            sharing: vec![ParamSharing::Batch, ParamSharing::PerSample],
            means: 64,
            batch_size: 64,
            window: ReferenceWindowConfig::default(),
            standard: Augmentation::crop_flip(4),
            seed: 0,
            bootstrap: Bootstrap::default(),
        }
    }
}

impl RankConfig {
    /// The published nine schemes, put on top of pad-and-crop and flip, with the parameters of this data.
    pub fn for_data(preset: Preset) -> Self {
        Self {
            schemes: Scheme::published(preset),
            standard: Augmentation::crop_flip(preset.pad()),
            ..Self::default()
        }
    }

    /// The plain form: means over the scheme alone, on the images as they are.
    pub fn plain() -> Self {
        Self {
            window: ReferenceWindowConfig {
                include_standard: false,
                ..ReferenceWindowConfig::default()
            },
            standard: Augmentation::identity(),
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), TrainError> {
        let least = [
            ("means", self.means, 2),
            ("batch_size", self.batch_size, 1),
            ("schemes", self.schemes.len(), 1),
            ("sharing", self.sharing.len(), 1),
        ];
        for (place, found, least) in least {
            if found < least {
                return Err(TrainError::Recipe {
                    place: place.to_string(),
                    reason: format!("is {found}, expected at least {least}"),
                });
            }
        }
        Ok(())
    }
}

/// Measure how much a teacher's mean answer varies under each of some augmentations.
///
/// The lower, the better the augmentation is expected to be for distillation. The teacher's answers on the standard view
/// are computed once for all schemes. Schemes that pick by what a student says are missing, and the report says so.
///
/// # Errors
///
/// [`TrainError::Recipe`] when a field is out of its range, [`TrainError::Unfit`] when the set is not one for the
/// teacher, and what augmentation, device and measures report.
pub fn rank_augmentations<T: Classify + 'static>(
    teacher: &T,
    set: &ImageSet,
    config: &RankConfig,
    progress: &Progress,
) -> Result<RankReport, TrainError> {
    let device = device_of(teacher);
    rank(&Teacher::new(teacher), None, &device, set, config, progress)
}

/// [`rank_augmentations`], with a trained student for the schemes that pick by what it says.
///
/// # Errors
///
/// Those of [`rank_augmentations`], for both networks.
pub fn rank_augmentations_with_student<T: Classify + 'static, S: Classify + 'static>(
    teacher: &T,
    student: &S,
    set: &ImageSet,
    config: &RankConfig,
    progress: &Progress,
) -> Result<RankReport, TrainError> {
    let device = device_of(teacher);
    fits("student", student.input_spec(), "training", set)?;
    let student = Teacher::new(student);
    rank(
        &Teacher::new(teacher),
        Some(&student),
        &device,
        set,
        config,
        progress,
    )
}

fn rank(
    teacher: &Teacher,
    student: Option<&Teacher>,
    device: &Device,
    set: &ImageSet,
    config: &RankConfig,
    progress: &Progress,
) -> Result<RankReport, TrainError> {
    config.check()?;
    let started = Instant::now();
    fits("teacher", teacher.input_spec(), "training", set)?;
    let loader = LoaderConfig::new(config.batch_size)
        .with_seed(config.seed)
        .init(set.clone())?;
    let standard = config.standard.build()?;
    let mut candidates = candidates(config, set.classes(), student.is_some())?;
    if candidates.is_empty() {
        return Err(TrainError::Recipe {
            place: "schemes".into(),
            reason: "every one of them needs a student, and there is none".into(),
        });
    }
    let mut asked = Asked {
        teacher,
        student,
        images: 0,
        seconds: 0.0,
    };
    let standard_needed = config.window.include_standard
        || candidates.iter().any(|c| matches!(c.show, Show::Standard));

    let steps = config.means * config.window.steps;
    let task = progress.task("rank", (steps * candidates.len()) as u64, "steps");
    let batches = (0..).flat_map(|epoch| loader.epoch(epoch));
    let mut images = 0;
    for batch in batches.take(steps) {
        images += batch.len();
        let key = DrawKey::new(config.seed).epoch(batch.epoch);
        let base = Base::of(&standard, &key, &batch, device)?;
        let shared = match standard_needed {
            true => asked.probabilities(base.images.clone())?,
            false => Vec::new(),
        };
        for candidate in &mut candidates {
            let rows = match candidate.logits(&base, &key, &batch, device, &mut asked)? {
                Some(logits) => host(divergence::softmax(logits, 1.0))?,
                None => shared.clone(),
            };
            if let Some(mean) = candidate.window.push_step(&shared, &rows)? {
                candidate.measure.push(&mean)?;
            }
            task.message(candidate.scheme.name.clone());
            task.advance(1);
        }
    }
    task.finish();

    let mut rows = candidates
        .iter()
        .map(|candidate| {
            Ok(RankRow {
                scheme: candidate.scheme.name.clone(),
                sharing: candidate.sharing,
                result: candidate.measure.compute(config.bootstrap)?,
            })
        })
        .collect::<Result<Vec<_>, TrainError>>()?;
    // Sorted within each sharing; a stable sort keeps ties in the order of the schemes.
    let place = |row: &RankRow| config.sharing.iter().position(|s| *s == row.sharing);
    rows.sort_by(|a, b| {
        let value = |row: &RankRow| row.result.value;
        place(a).cmp(&place(b)).then(value(a).total_cmp(&value(b)))
    });
    let missing = config
        .schemes
        .iter()
        .filter(|scheme| student.is_none() && scheme.needs_student());
    Ok(RankReport {
        rows,
        missing: missing.map(|scheme| scheme.name.clone()).collect(),
        images_per_mean: images as f64 / config.means as f64,
        teacher_images: asked.images,
        teacher_seconds: asked.seconds,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// The teacher, what it was asked, and the student, if there is one.
struct Asked<'a> {
    teacher: &'a Teacher,
    student: Option<&'a Teacher>,
    images: u64,
    seconds: f64,
}

impl Asked<'_> {
    fn logits(&mut self, images: Tensor<4>) -> Tensor<2> {
        let started = Instant::now();
        self.images += images.dims()[0] as u64;
        let logits = self.teacher.forward(images);
        // Devices that queue work would otherwise be timed by how fast they queue. A failure shows when the answers are read.
        let _ = logits.device().sync();
        self.seconds += started.elapsed().as_secs_f64();
        logits
    }

    fn probabilities(&mut self, images: Tensor<4>) -> Result<Vec<f32>, TrainError> {
        host(divergence::softmax(self.logits(images), 1.0))
    }
}

/// The batch in the standard view, for whoever goes on from it.
struct Base {
    /// Planar u8, for image operations.
    pixels: Vec<u8>,
    /// In `[0, 1]`, for mixes and for the teacher.
    images: Tensor<4>,
}

impl Base {
    fn of(
        standard: &Augmenter,
        key: &DrawKey,
        batch: &Batch,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let images = Images::new(&batch.images, batch.shape)?;
        let plan = standard.sample(key, &batch.ids, batch.index as u64, images.image_shape())?;
        let mut pixels = vec![0; batch.images.len()];
        cpu::apply_u8(&plan, images, &mut pixels)?;
        let images = plain(&pixels, batch.shape, device)?;
        Ok(Self { pixels, images })
    }
}

/// A scheme under one sharing, and what was measured of it so far.
struct Candidate {
    scheme: Scheme,
    sharing: ParamSharing,
    /// Whose draws it has.
    view: u32,
    show: Show,
    window: ReferenceWindow,
    measure: TStddev,
}

/// What a scheme does to the standard view.
enum Show {
    /// Nothing: the standard view's answers serve.
    Standard,
    Operations(Augmenter),
    Mix(Mixer),
    Pick(kd_augment::CutMixPick),
}

fn candidates(
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
                window: config.window.init(classes)?,
                measure: TStddev::new(classes)?,
            });
        }
    }
    Ok(candidates)
}

impl Candidate {
    /// The teacher's logits under the scheme; `None` where those of the standard view serve.
    fn logits(
        &self,
        base: &Base,
        key: &DrawKey,
        batch: &Batch,
        device: &Device,
        asked: &mut Asked,
    ) -> Result<Option<Tensor<2>>, TrainError> {
        let key = key.view(self.view);
        let (ids, index) = (&batch.ids[..], batch.index as u64);
        Ok(match &self.show {
            Show::Standard => None,
            Show::Operations(augmenter) => {
                let images = augmented(augmenter, &key, batch, &base.pixels, device)?;
                Some(asked.logits(images))
            }
            Show::Mix(mixer) => {
                let [_, _, height, width] = base.images.dims();
                let plan = mixer.sample(&key, ids, index, [height, width])?;
                Some(asked.logits(tensor::mix(&plan, base.images.clone())?))
            }
            Show::Pick(pick) => {
                let student = asked.student;
                let teacher = |images| asked.logits(images);
                let images = base.images.clone();
                let picked = match student {
                    Some(student) => {
                        let student = |images| student.forward(images);
                        pick.pick_with_student(images, &key, ids, index, teacher, student)
                    }
                    None => pick.pick(images, &key, ids, index, teacher),
                }?;
                Some(picked.teacher_logits)
            }
        })
    }
}
