//! Which augmentation is good to distil with? Ask the teacher, before any student is trained.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use kd::augment::Preset;
use kd::prelude::*;
use kd::train::{RankConfig, Scheme, rank_augmentations_with_student};
use kd_examples::{CommonOptions, NetworkOptions, Sets, note, print, start, write_page};
use serde_json::{Value, json};

/// Which augmentation is good to distil with? T. stddev of each, from the teacher alone: the lower, the better
#[derive(Parser)]
#[command(after_help = "\
How it works:
  A mean is the teacher's average probability of each class over five steps of 64 images. T. stddev is how much these
  means vary, averaged over the classes. An augmentation whose means vary little shows the teacher a fairer picture of
  what it knows, and makes a better student.

  In the reference recipe every step counts twice: once in the standard view (pad-and-crop, flip), once with the scheme on
  top of it; `identity` is the standard view twice. --form plain takes the scheme alone, on the images as they are.

Schemes:
  identity, flip, crop_flip, cutout, auto_augment, mixup, cutmix, cutmix_pick_student, cutmix_pick
      the nine of the published comparison, which are the default; parameters follow the size and the classes of the images
  rand_augment, trivial_augment_wide, fmix, cutmix_pick_kl, cutmix_pick_random
      further ones; --schemes all takes every one

  cutmix_pick picks by the teacher's entropy. cutmix_pick_student and cutmix_pick_kl look at a trained student as well:
  give --student-weights, or their rows say why they are missing.

Example:
  rank_augmentations --data DIR --arch resnet56 --weights resnet56.th --student-weights resnet20.th --means 64")]
struct Options {
    #[command(flatten)]
    teacher: NetworkOptions,

    /// Means behind each value; 1564 is the ten epochs of the reference
    #[arg(long, default_value_t = 64, value_name = "N")]
    means: usize,

    /// Images in a step
    #[arg(long, default_value_t = 64, value_name = "N")]
    batch_size: usize,

    /// Weights of a trained student, for the schemes that pick by what it says
    #[arg(long, value_name = "FILE")]
    student_weights: Option<PathBuf>,

    /// Architecture of the student; not needed for files that name theirs
    #[arg(long, value_name = "NAME", requires = "student_weights")]
    student_arch: Option<Architecture>,

    /// Only these schemes, or `all`
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME…")]
    schemes: Vec<String>,

    /// Go on from the means in `means.jsonl` in the folder, where each is noted as soon as it is complete
    #[arg(long)]
    resume: bool,

    /// For whom the parameters of an augmentation are drawn
    #[arg(long, value_enum, default_value_t = Sharing::Both)]
    sharing: Sharing,

    /// What a mean is taken over
    #[arg(long, value_enum, default_value_t = Form::Reference)]
    form: Form,

    #[command(flatten)]
    common: CommonOptions,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sharing {
    /// Once for all images of a batch, as in the published values.
    Batch,
    /// For each image, as in training.
    PerSample,
    /// Both, one after the other.
    Both,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// The standard view and the scheme on top of it.
    Reference,
    /// The scheme alone.
    Plain,
}

fn main() -> ExitCode {
    start(|options: &Options| options.common.json, run)
}

fn run(options: &Options) -> anyhow::Result<Value> {
    let device = default_device()?;
    let sets = options.common.sets()?;
    let mut config = config(options, &sets)?;
    let teacher = options.teacher.restore(&sets, &device)?;
    let student = student(options, &sets, &device)?;
    note(format_args!(
        "{} on {} training images of {}: {} schemes, {} means each",
        teacher.architecture(),
        sets.train.len(),
        sets.name,
        config.schemes.len(),
        config.means
    ));
    let folder = options
        .common
        .folder(&format!("rank-{}", teacher.architecture()));
    let journal = folder.join("means.jsonl");
    config.journal = Some(journal);
    config.restart = !options.resume;
    let (train, progress) = (&sets.train, &Progress::Auto);
    let report = match &student {
        Some(student) => {
            rank_augmentations_with_student(&teacher, student, train, &config, progress)
        }
        None => rank_augmentations(&teacher, train, &config, progress),
    }?;
    note(format_args!(
        "{:.0} s, of which {:.0} s in the teacher",
        report.seconds, report.teacher_seconds
    ));

    let title = format!(
        "Augmentations for {} on {}",
        teacher.architecture(),
        sets.name
    );
    let page = write_page(&folder, &report.page(&title)?)?;
    if !options.common.json {
        print(&report)?;
    }

    let mut value = serde_json::to_value(&report)?;
    value["example"] = json!("rank_augmentations");
    value["data"] = json!(sets.name);
    value["teacher"] = json!(teacher.architecture());
    value["student"] = json!(student.map(|student| student.architecture().to_string()));
    value["form"] = json!(
        options
            .form
            .to_possible_value()
            .map(|v| v.get_name().to_string())
    );
    value["report"] = json!(page.display().to_string());
    Ok(value)
}

fn student(options: &Options, sets: &Sets, device: &Device) -> anyhow::Result<Option<Classifier>> {
    let student = options
        .student_weights
        .clone()
        .map(|weights| NetworkOptions {
            arch: options.student_arch,
            weights,
            statistics: None,
        });
    student
        .map(|student| student.restore(sets, device))
        .transpose()
}

fn config(options: &Options, sets: &Sets) -> anyhow::Result<RankConfig> {
    let [_, height, width] = sets.train.shape();
    let preset = Preset::of(height.min(width), sets.train.classes());
    let mut config = match options.form {
        Form::Reference => RankConfig::for_data(preset),
        Form::Plain => RankConfig::plain(),
    };
    config.schemes = Scheme::published(preset);
    config.means = options.means;
    config.batch_size = options.batch_size;
    config.seed = options.common.seed;
    config.sharing = match options.sharing {
        Sharing::Batch => vec![ParamSharing::Batch],
        Sharing::PerSample => vec![ParamSharing::PerSample],
        Sharing::Both => vec![ParamSharing::Batch, ParamSharing::PerSample],
    };
    if options.schemes == ["all"] {
        config.schemes = Scheme::all(preset);
    } else if !options.schemes.is_empty() {
        let schemes = options
            .schemes
            .iter()
            .map(|name| Scheme::named(name, preset));
        config.schemes = schemes.collect::<Result<_, _>>()?;
    }
    Ok(config)
}
