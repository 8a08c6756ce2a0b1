//! Which augmentation is good to distil with? Ask the teacher, before any student is trained.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use kd::prelude::*;
use kd::train::{RankConfig, Scheme};
use kd_examples::{CommonOptions, NetworkOptions, start, write_page};
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
  identity, flip, crop_flip, cutout, mixup, cutmix, cutmix_pick

Example:
  rank_augmentations --data DIR --arch resnet20 --weights resnet20.th --means 64")]
struct Options {
    #[command(flatten)]
    teacher: NetworkOptions,

    /// Means behind each value; 1564 is the ten epochs of the reference
    #[arg(long, default_value_t = 64, value_name = "N")]
    means: usize,

    /// Images in a step
    #[arg(long, default_value_t = 64, value_name = "N")]
    batch_size: usize,

    /// Only these schemes
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME…")]
    schemes: Vec<String>,

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
    let config = config(options)?;
    let sets = options.common.sets()?;
    let teacher = options.teacher.restore(&sets, &device)?;
    eprintln!(
        "{} on {} training images of {}: {} schemes, {} means each",
        teacher.architecture(),
        sets.train.len(),
        sets.name,
        config.schemes.len(),
        config.means
    );
    let report = rank_augmentations(&teacher, &sets.train, &config, &Progress::Auto)?;
    if !options.common.json {
        println!("{report}");
    }
    eprintln!(
        "{:.0} s, of which {:.0} s in the teacher",
        report.seconds, report.teacher_seconds
    );

    let folder = options
        .common
        .folder(&format!("rank-{}", teacher.architecture()));
    let title = format!(
        "Augmentations for {} on {}",
        teacher.architecture(),
        sets.name
    );
    let page = write_page(&folder, &report.page(&title)?)?;

    let mut value = serde_json::to_value(&report)?;
    value["example"] = json!("rank_augmentations");
    value["data"] = json!(sets.name);
    value["teacher"] = json!(teacher.architecture());
    value["form"] = json!(
        options
            .form
            .to_possible_value()
            .map(|v| v.get_name().to_string())
    );
    value["report"] = json!(page.display().to_string());
    Ok(value)
}

fn config(options: &Options) -> anyhow::Result<RankConfig> {
    let mut config = match options.form {
        Form::Reference => RankConfig::default(),
        Form::Plain => RankConfig::plain(),
    };
    config.means = options.means;
    config.batch_size = options.batch_size;
    config.seed = options.common.seed;
    config.sharing = match options.sharing {
        Sharing::Batch => vec![ParamSharing::Batch],
        Sharing::PerSample => vec![ParamSharing::PerSample],
        Sharing::Both => vec![ParamSharing::Batch, ParamSharing::PerSample],
    };
    if !options.schemes.is_empty() {
        let schemes = options.schemes.iter().map(|name| name.parse::<Scheme>());
        config.schemes = schemes.collect::<Result<_, _>>()?;
    }
    Ok(config)
}
