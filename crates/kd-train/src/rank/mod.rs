//! T. stddev: which augmentation to distil with, before any student is trained.

mod candidate;
mod page;
mod record;
mod report;
mod scheme;

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use kd_augment::{Augmentation, DrawKey, ParamSharing, Preset};
use kd_data::{ImageSet, LoaderConfig};
use kd_metrics::augmentation::Answers;
use kd_metrics::{Bootstrap, ReferenceWindowConfig};
use kd_models::Classify;

use crate::TrainError;
use crate::evaluation::{device_of, fits};
use crate::network::{Frozen, frozen};
use crate::progress::Progress;
use candidate::{Asked, Base, Show, candidates};
use record::{Journal, Record, Source};

pub use report::{RankReport, RankRow, Stability};
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
    /// Whether the covariance of the teacher–student cross-entropy is measured too. It shows the student what the teacher is shown.
    pub cross_entropy: bool,
    /// File in which each mean is noted as soon as it is complete. A ranking that finds it goes on from there, and ends with the same
    /// numbers as one that was never stopped; with more means it is extended.
    pub journal: Option<PathBuf>,
    /// Whether a journal that exists is set aside, under a free name beside it, in place of going on
    /// from it. It is set aside once nothing can refuse the ranking any more. Default: false.
    pub restart: bool,
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
            cross_entropy: false,
            journal: None,
            restart: false,
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

    /// What the records of a journal depend on.
    fn source(&self, teacher: &dyn Frozen, student: Option<&dyn Frozen>, set: &ImageSet) -> Source {
        let Self {
            schemes,
            sharing,
            batch_size,
            window,
            standard,
            seed,
            cross_entropy,
            ..
        } = self;
        Source {
            version: 1,
            teacher: teacher.fingerprint(),
            student: student.map(|student| student.fingerprint()),
            data: set.fingerprint(),
            config: format!(
                "{schemes:?} {sharing:?} batch_size {batch_size} {window:?} {standard:?} seed {seed} cross_entropy {cross_entropy}"
            ),
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
        let twice = |place: &str, name: String| TrainError::Recipe {
            place: place.into(),
            reason: format!("`{name}` is there twice"),
        };
        for (index, scheme) in self.schemes.iter().enumerate() {
            if self.schemes[..index]
                .iter()
                .any(|other| other.name == scheme.name)
            {
                return Err(twice("schemes", scheme.name.clone()));
            }
        }
        for (index, sharing) in self.sharing.iter().enumerate() {
            if self.sharing[..index].contains(sharing) {
                return Err(twice("sharing", format!("{sharing:?}")));
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
    rank(&*frozen(teacher), None, &device, set, config, progress)
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
    let student = frozen(student);
    rank(
        &*frozen(teacher),
        Some(&*student),
        &device,
        set,
        config,
        progress,
    )
}

fn rank(
    teacher: &dyn Frozen,
    student: Option<&dyn Frozen>,
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
    let mut asked = Asked {
        teacher,
        student,
        spread: config.cross_entropy,
        images: 0,
        seconds: 0.0,
    };
    let standard_needed = config.window.include_standard
        || candidates.iter().any(|c| matches!(c.show, Show::Standard));

    let per_mean = candidates.len() + usize::from(standard_needed);
    let (mut journal, mut records) = match &config.journal {
        Some(path) => {
            let source = config.source(teacher, student, set);
            if config.restart && path.exists() {
                let aside = record::set_aside(path)?;
                progress.say(&format!("the means that were there: {}", aside.display()));
            }
            let (journal, records) = Journal::open(path, &source, per_mean)?;
            (Some(journal), records)
        }
        None => (None, Vec::new()),
    };
    let done = (records.len() / per_mean).min(config.means);
    records.truncate(done * per_mean);

    let steps = config.means * config.window.steps;
    let task = progress.task("rank", (steps * candidates.len()) as u64, "steps");
    task.resume_at((done * config.window.steps * candidates.len()) as u64);
    let mut answers = Answers::new(set.classes())?;
    let batches = (0..).flat_map(|epoch| loader.epoch(epoch)).take(steps);
    for batch in batches.skip(done * config.window.steps) {
        let key = DrawKey::new(config.seed).epoch(batch.epoch);
        let base = Base::of(&standard, &key, &batch, device, &mut asked, standard_needed)?;
        if standard_needed {
            answers.push(&base.outputs.probabilities)?;
        }
        let mut complete = Vec::new();
        for candidate in &mut candidates {
            complete.extend(candidate.step(&base, &key, &batch, device, &mut asked)?);
            task.message(candidate.scheme.name.clone());
            task.advance(1);
        }
        if complete.is_empty() {
            continue;
        }
        if standard_needed {
            let answers = std::mem::replace(&mut answers, Answers::new(set.classes())?);
            complete.insert(0, Record::of_standard_view(answers));
        }
        if let Some(journal) = &mut journal {
            journal.write(&complete)?;
        }
        records.append(&mut complete);
    }
    task.finish();
    let mut report = RankReport::of(&records, config, set.len())?;
    let missing = config
        .schemes
        .iter()
        .filter(|scheme| student.is_none() && scheme.needs_student());
    report.missing = missing.map(|scheme| scheme.name.clone()).collect();
    report.teacher_images = asked.images;
    report.teacher_seconds = asked.seconds;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}
