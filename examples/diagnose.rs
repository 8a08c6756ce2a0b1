//! What does a teacher know, and how does it pass it on?
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::bail;
use clap::Parser;
use kd::augment::Preset;
use kd::metrics::plot;
use kd::prelude::*;
use kd::train::{
    Diagnosis, DiagnosisConfig, LossRelation, MixDiagnosisConfig, RankConfig, RankReport, Scheme,
    diagnose_mixes, diagnose_network, rank_augmentations_with_student,
};
use kd_examples::{
    CommonOptions, NetworkOptions, Sets, note, print, start, write_page, write_whole,
};
use serde_json::{Value, json};

/// What does a teacher know, and how does it pass it on? Every measure of it, alone or beside others, on one page
#[derive(Parser)]
#[command(after_help = "\
Examples:
  diagnose --data DIR --network resnet20=resnet20.th
      one network: accuracy, calibration, agreement with people, how its classes lie, T. stddev
  diagnose --data DIR --network resnet56=resnet56.th --network resnet32=resnet32.th --network resnet20=resnet20.th --means 0
      three side by side
  diagnose --data DIR --network resnet56=resnet56.th --student resnet20=resnet20.th
      a teacher and a student: also which mixed images would be picked, and the covariance of their cross-entropy
  diagnose --data DIR --network resnet56=resnet56.th --losses identity=0.41,crop_flip=0.33,cutmix=0.29
      how T. stddev goes together with the test losses of students that were distilled with these schemes

The first network is the teacher: it is the one that is shown augmented images. docs/metrics.md has a formula and a source
for every number.")]
struct Options {
    /// A network: its architecture and its weights (safetensors, burnpack or PyTorch); files that name their architecture need
    /// none. May be given more than once
    #[arg(long, value_name = "[ARCH=]FILE", required = true)]
    network: Vec<NetworkFile>,

    /// A trained student, which picks among mixed images and is compared with the others
    #[arg(long, value_name = "[ARCH=]FILE")]
    student: Option<NetworkFile>,

    /// Means behind each T. stddev; 0 leaves augmentations out
    #[arg(long, default_value_t = 16, value_name = "N")]
    means: usize,

    /// Only these schemes; by default the nine of the published comparison
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME…")]
    schemes: Vec<String>,

    /// Test losses of students, by the scheme that they were distilled with
    #[arg(long, value_delimiter = ',', value_name = "NAME=LOSS,…")]
    losses: Vec<SchemeLoss>,

    /// Images of each class in the pictures of embeddings; 0 for no pictures
    #[arg(long, default_value_t = 150, value_name = "N")]
    points: usize,

    /// Write every picture as .svg and .png too, into `figures` in the folder
    #[arg(long)]
    figures: bool,

    #[command(flatten)]
    common: CommonOptions,
}

/// `ARCH=FILE`, or a file that names its architecture.
#[derive(Clone, Debug)]
struct NetworkFile {
    arch: Option<Architecture>,
    weights: PathBuf,
}

impl FromStr for NetworkFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('=') {
            // A path may have a `=` in it.
            Some((arch, weights)) if !PathBuf::from(text).exists() => Self {
                arch: Some(arch.parse::<Architecture>().map_err(|e| e.to_string())?),
                weights: weights.into(),
            },
            _ => Self {
                arch: None,
                weights: text.into(),
            },
        })
    }
}

impl NetworkFile {
    fn restore(&self, sets: &Sets, device: &Device) -> anyhow::Result<Classifier> {
        let options = NetworkOptions {
            arch: self.arch,
            weights: self.weights.clone(),
            statistics: None,
        };
        options.restore(sets, device)
    }
}

/// `scheme=loss`.
#[derive(Clone, Debug)]
struct SchemeLoss(String, f64);

impl FromStr for SchemeLoss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('=').and_then(|(scheme, loss)| {
            let loss = loss.parse::<f64>().ok().filter(|loss| loss.is_finite())?;
            Some(Self(scheme.to_string(), loss))
        });
        parsed.ok_or_else(|| "expected a scheme and a number, as in cutmix=0.29".to_string())
    }
}

fn main() -> ExitCode {
    start(|options: &Options| options.common.json, run)
}

fn run(options: &Options) -> anyhow::Result<Value> {
    let device = default_device()?;
    let sets = options.common.sets()?;
    // What can be refused is refused before anything is measured.
    let ranking = rank_config(options, &sets)?;
    let student = options.student.as_ref();
    let student = student
        .map(|file| file.restore(&sets, &device))
        .transpose()?;
    let networks = options
        .network
        .iter()
        .map(|file| file.restore(&sets, &device));
    let networks = networks.collect::<anyhow::Result<Vec<Classifier>>>()?;
    let names = names(networks.iter().chain(&student));
    note(format_args!(
        "{} on {} test images of {}",
        names.join(", "),
        sets.test.len(),
        sets.name
    ));

    let progress = &Progress::Auto;
    let mut config = DiagnosisConfig::default();
    config.points_per_class = options.points;
    let each = names.iter().zip(networks.iter().chain(&student));
    let found =
        each.map(|(name, network)| diagnose_network(name, network, &sets.test, &config, progress));
    let found = found.collect::<Result<Vec<_>, _>>()?;

    let teacher = &networks[0];
    let ranking = ranking
        .map(|config| rank(config, &sets, teacher, student.as_ref()))
        .transpose()?;
    let mut config = MixDiagnosisConfig::for_data(preset(&sets));
    config.seed = options.common.seed;
    let mixes = match options.means {
        0 => None,
        _ => Some(diagnose_mixes(
            teacher,
            student.as_ref(),
            &sets.train,
            &config,
            progress,
        )?),
    };
    let losses: Vec<_> = options
        .losses
        .iter()
        .map(|SchemeLoss(name, loss)| (name.clone(), *loss))
        .collect();
    let relation = match &ranking {
        Some(ranking) if !losses.is_empty() => Some(LossRelation::of(ranking, &losses)?),
        _ => None,
    };
    let diagnosis = Diagnosis {
        data: sets.name.to_string(),
        classes: sets.test.class_names().to_vec(),
        networks: found,
        ranking,
        mixes,
        relation,
    };

    let folder = options.common.folder(&format!("diagnose-{}", names[0]));
    let title = match &names[..] {
        [only] => format!("{only} on {}", sets.name),
        [first, others @ ..] => format!("{first} beside {} on {}", others.join(", "), sets.name),
        [] => String::new(),
    };
    let page = write_page(&folder, &diagnosis.page(&title)?)?;
    if options.figures {
        for figure in diagnosis.figures()? {
            let path = folder.join("figures").join(&figure.name);
            write_whole(&path.with_extension("svg"), figure.svg.as_bytes())?;
            write_whole(&path.with_extension("png"), &plot::png(&figure.svg, 2.0)?)?;
        }
    }
    if !options.common.json {
        for network in &diagnosis.networks {
            print(format_args!("{}\n{}\n", network.name, network.evaluation))?;
        }
        if let Some(ranking) = &diagnosis.ranking {
            print(ranking)?;
        }
    }
    let mut value = serde_json::to_value(&diagnosis)?;
    value["example"] = json!("diagnose");
    value["report"] = json!(page.display().to_string());
    Ok(value)
}

/// The architectures, numbered where one comes twice.
fn names<'a>(networks: impl Iterator<Item = &'a Classifier>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for network in networks {
        let name = network.architecture().to_string();
        let same = names
            .iter()
            .filter(|n| n.split(" #").next() == Some(name.as_str()))
            .count();
        names.push(match same {
            0 => name,
            same => format!("{name} #{}", same + 1),
        });
    }
    names
}

/// The data that the parameters of augmentations are for.
fn preset(sets: &Sets) -> Preset {
    let [_, height, width] = sets.train.shape();
    Preset::of(height.min(width), sets.train.classes())
}

/// How augmentations are ranked, if they are.
fn rank_config(options: &Options, sets: &Sets) -> anyhow::Result<Option<RankConfig>> {
    if options.means == 0 {
        if !options.losses.is_empty() {
            bail!("--losses are compared with T. stddev, which --means 0 leaves out");
        }
        return Ok(None);
    }
    let preset = preset(sets);
    let mut config = RankConfig::for_data(preset);
    config.means = options.means;
    config.seed = options.common.seed;
    config.cross_entropy = options.student.is_some();
    if !options.schemes.is_empty() {
        let schemes = options
            .schemes
            .iter()
            .map(|name| Scheme::named(name, preset));
        config.schemes = schemes.collect::<Result<_, _>>()?;
    }
    if !options.losses.is_empty() && options.losses.len() < 3 {
        bail!(
            "--losses: {} given, expected at least 3",
            options.losses.len()
        );
    }
    for SchemeLoss(name, _) in &options.losses {
        if !config.schemes.iter().any(|scheme| scheme.name == *name) {
            bail!("--losses: `{name}` is not among the schemes");
        }
    }
    Ok(Some(config))
}

fn rank(
    config: RankConfig,
    sets: &Sets,
    teacher: &Classifier,
    student: Option<&Classifier>,
) -> anyhow::Result<RankReport> {
    let (train, progress) = (&sets.train, &Progress::Auto);
    Ok(match student {
        Some(student) => {
            rank_augmentations_with_student(teacher, student, train, &config, progress)?
        }
        None => rank_augmentations(teacher, train, &config, progress)?,
    })
}
