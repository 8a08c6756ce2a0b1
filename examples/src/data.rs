//! The data behind an example.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum, value_parser};
use kd::data::{
    ChannelStatistics, Cifar100Labels, Nuisance, ShapesConfig, cifar10, cifar10h, cifar100,
};
use kd::prelude::*;

use crate::result::note;

/// The options that every example has.
#[derive(Args, Clone, Debug)]
pub struct CommonOptions {
    /// Folder with the data: CIFAR-10 or CIFAR-100 in the official binary layout, as a folder or as the official .tar.gz.
    /// Without it, the embedded set Shapes is rendered
    #[arg(long, value_name = "DIR", env = "KD_DATA")]
    pub data: Option<PathBuf>,

    /// Which set; by default the one that is found
    #[arg(long, value_enum, default_value_t = Dataset::Auto)]
    pub dataset: Dataset,

    /// Seed of initial weights, order of the data and augmentation: the same seed gives the same numbers
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: u64,

    /// Use no more than the first N images
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// Folder for what the example leaves behind
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// File with options: `key = value`, where key is the name of an option; what is typed wins
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,

    /// Print the result as one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    pub json: bool,
}

/// A set by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dataset {
    /// The set that is found in the data folder; without a folder, Shapes.
    Auto,
    /// CIFAR-10, with CIFAR-10H's human labels where they are found.
    Cifar10,
    /// CIFAR-100, fine labels.
    Cifar100,
    /// Rendered from a seed; needs no data.
    Shapes,
}

/// Statistics that a network normalises its input with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics(pub kd::models::Statistics);

impl FromStr for Statistics {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        kd::models::Statistics::by_name(name)
            .map(Self)
            .ok_or_else(|| format!("`{name}` is none of imagenet, cifar10, cifar100"))
    }
}

/// How many images Shapes has.
const SHAPES: (usize, usize) = (4000, 1000);
/// Shapes is data: its seed is not that of the run.
const SHAPES_SEED: u64 = 0;

/// A training set and a test set.
pub struct Sets {
    /// As a person would call the data.
    pub name: &'static str,
    /// The training set.
    pub train: ImageSet,
    /// The test set; with human labels where they were found.
    pub test: ImageSet,
    /// Statistics of the whole training set, whatever `--limit` leaves of it.
    statistics: ChannelStatistics,
}

impl CommonOptions {
    /// Load both sets, each no longer than `--limit`.
    ///
    /// # Errors
    ///
    /// When there is no data where it should be, or it is damaged.
    pub fn sets(&self) -> anyhow::Result<Sets> {
        let mut sets = self.whole_sets()?;
        if let Some(limit) = self.limit {
            if limit == 0 {
                bail!("--limit is 0, expected at least 1");
            }
            sets.train = sets.train.take(limit);
            sets.test = sets.test.take(limit);
        }
        Ok(sets)
    }

    fn whole_sets(&self) -> anyhow::Result<Sets> {
        let folder = match (&self.data, self.dataset) {
            (_, Dataset::Shapes) | (None, Dataset::Auto) => {
                let train = Shapes::render(SHAPES_SEED, Split::Train, SHAPES.0);
                let test = Shapes::render(SHAPES_SEED, Split::Test, SHAPES.1);
                return Ok(Sets::new("Shapes", train, test));
            }
            (None, _) => bail!("this set is read from a folder: give --data DIR or set KD_DATA"),
            (Some(folder), _) => folder,
        };
        match self.dataset {
            Dataset::Cifar100 => cifar100_sets(folder),
            Dataset::Cifar10 => cifar10_sets(folder),
            _ if is_cifar100(folder) => cifar100_sets(folder),
            _ => cifar10_sets(folder),
        }
    }

    /// The folder for what is left behind: `--out`, or one below `runs`.
    pub fn folder(&self, name: &str) -> PathBuf {
        match &self.out {
            Some(folder) => folder.clone(),
            None => Path::new("runs").join(name),
        }
    }
}

impl Sets {
    fn new(name: &'static str, train: ImageSet, test: ImageSet) -> Self {
        let statistics = train.statistics();
        Self {
            name,
            train,
            test,
            statistics,
        }
    }

    /// What a network for this data is shown, with the statistics of the training set.
    ///
    /// # Errors
    ///
    /// When a channel does not vary.
    pub fn input_spec(&self) -> anyhow::Result<InputSpec> {
        let statistics = &self.statistics;
        let names = self.train.class_names().to_vec();
        let spec = InputSpec::new(
            self.train.shape(),
            statistics.mean.clone(),
            statistics.std.clone(),
            names,
        );
        spec.with_context(|| format!("the statistics of {}", self.name))
    }
}

/// A training set of Shapes that nothing hides, so that what an operation does is seen.
///
/// # Errors
///
/// None: the settings are valid.
pub fn clear_shapes(len: usize) -> anyhow::Result<ImageSet> {
    let nuisance = Nuisance {
        shift: 2.0,
        background: [0.2, 0.6],
        foreground: [0.55, 0.95],
        contrast: 0.6,
        strokes: 1,
        occlusion: 0.0,
        noise: 0.0,
        ..Nuisance::default()
    };
    let shapes = ShapesConfig::new(SHAPES_SEED)
        .with_nuisance(nuisance)
        .init()?;
    Ok(shapes.images(Split::Train, len))
}

/// Whether a path is, or holds, CIFAR-100 and not CIFAR-10.
fn is_cifar100(path: &Path) -> bool {
    let holds = |names: &[&str]| names.iter().any(|name| path.join(name).exists());
    let cifar10 = holds(&[
        "cifar-10-batches-bin",
        "cifar-10-binary.tar.gz",
        "test_batch.bin",
    ]);
    let cifar100 = holds(&["cifar-100-binary", "cifar-100-binary.tar.gz", "train.bin"]);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("cifar-100-binary") || cifar100 && !cifar10
}

fn cifar100_sets(path: &Path) -> anyhow::Result<Sets> {
    let load = |split| cifar100::load(path, split, Cifar100Labels::Fine);
    let (train, test) = (load(Split::Train)?, load(Split::Test)?);
    Ok(Sets::new("CIFAR-100", train, test))
}

fn cifar10_sets(path: &Path) -> anyhow::Result<Sets> {
    let train = cifar10::load(path, Split::Train)?;
    let mut test = cifar10::load(path, Split::Test)?;
    // The human labels lie beside the images, or not at all.
    let folders = [Some(path), path.parent()].into_iter().flatten();
    let human = folders
        .map(|folder| folder.join("cifar-10h"))
        .find(|folder| folder.is_dir());
    if let Some(folder) = human {
        let labels = cifar10h::load(&folder).with_context(|| anyhow!("human labels"))?;
        // CIFAR-10H follows the order of the Python version; the official binary version has another.
        if agreement(&labels, &test) > 0.9 {
            test = test.with_soft_labels(labels)?;
        } else {
            note(format_args!(
                "{}: not used, since these labels are not in the order of the test images",
                folder.display()
            ));
        }
    }
    Ok(Sets::new("CIFAR-10", train, test))
}

/// On how many test images the most frequent human answer is the label.
fn agreement(human: &[f32], test: &ImageSet) -> f64 {
    let rows = human.chunks_exact(test.classes()).zip(test.labels());
    let agree = |row: &[f32], label: u16| {
        let best = (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
        best == Some(usize::from(label))
    };
    let count = rows.filter(|(row, label)| agree(row, **label)).count();
    count as f64 / test.len().max(1) as f64
}
