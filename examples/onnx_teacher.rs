//! Distil a student from a network in an ONNX file, which another engine runs.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use kd::models::weights;
use kd::prelude::*;
use kd::train::{AnyTeacher, logits};
use kd_examples::{CommonOptions, Sets, Statistics, at_least_one, interrupt, note, print, start};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tract_onnx::prelude::{
    Arc, DatumExt, Framework, InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable,
    Tensor as OnnxTensor, TypedRunnableModel, onnx, tvec,
};

/// Distil a student from a network in an ONNX file, which tract runs: an engine that knows nothing
/// of Burn
#[derive(Parser)]
#[command(after_help = "\
Built with the feature `onnx`:
  cargo run --release --features onnx --example onnx_teacher -- --onnx FILE --data DIR

Examples:
  onnx_teacher --onnx cifar100_resnet20.onnx --data DIR --only-evaluate
  onnx_teacher --onnx cifar100_resnet20.onnx --data DIR --limit 2000 --epochs 1 --out runs/onnx
  onnx_teacher --onnx a.onnx --data DIR --only-evaluate --compare a.safetensors --arch resnet20

The graph has one input, [batch, channels, height, width] of f32, which is normalised here, and its
first output is [batch, classes], logits. It gives logits alone, so recipes with losses of features
refuse it. The run takes the file's name and SHA-256 for the teacher's weights.

Left behind in --out: what `distill` leaves, student.safetensors among it.")]
struct Options {
    /// The network to learn from
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,

    /// Statistics that its input is normalised with: imagenet, cifar10 or cifar100. By default those
    /// of the training set
    #[arg(long, value_name = "NAME")]
    statistics: Option<Statistics>,

    /// Measure it, and stop
    #[arg(long)]
    only_evaluate: bool,

    /// Weights of the same network: say how far its logits on the test set are from those of the
    /// ONNX file
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,

    /// Architecture of the weights to compare with; not needed for files that name theirs
    #[arg(long, value_name = "NAME", requires = "compare")]
    arch: Option<Architecture>,

    /// The network to train
    #[arg(long, value_name = "NAME", default_value = "resnet8")]
    student: Architecture,

    /// What is asked of the student: the name of a recipe, or a file
    #[arg(long, value_name = "NAME|FILE.toml", default_value = "kd")]
    recipe: String,

    /// Change a key of the recipe, e.g. --set optimizer.learning_rate=0.1; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Passes over the training set; short for --set epochs=N
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,

    /// Images in a forward pass of an evaluation; changes memory and speed alone
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = at_least_one)]
    batch_size: usize,

    #[command(flatten)]
    common: CommonOptions,
}

fn main() -> ExitCode {
    start(|options: &Options| options.common.json, run)
}

fn run(options: &Options) -> anyhow::Result<Value> {
    let device = default_device()?;
    let sets = options.common.sets()?;
    let recipe = recipe(options)?;
    let teacher = teacher(options, &sets)?;

    let started = Instant::now();
    let report = teacher.evaluate(&sets.test, options.batch_size, &device, &Progress::Auto)?;
    let seconds = started.elapsed().as_secs_f64();
    if !options.common.json {
        print(&report)?;
    }
    let difference = match &options.compare {
        None => None,
        Some(path) => Some(difference(options, path, &teacher, &sets, &device)?),
    };
    if let (Some(difference), false) = (difference, options.common.json) {
        print(format_args!(
            "largest difference of a logit: {difference:.1e}"
        ))?;
    }
    let student = match options.only_evaluate {
        true => Value::Null,
        false => distil(options, recipe, &teacher, &sets, &device)?,
    };
    Ok(json!({
        "example": "onnx_teacher",
        "data": sets.name,
        "onnx": options.onnx.display().to_string(),
        "samples": report.samples,
        "top1": report.top1,
        "top5": report.top5,
        "nll": report.nll,
        "ece": report.ece,
        "kl_human": report.kl_human,
        "seconds": seconds,
        "largest_difference": difference,
        "student": student,
    }))
}

fn recipe(options: &Options) -> anyhow::Result<Recipe> {
    let recipe = match options.recipe.ends_with(".toml") {
        true => Recipe::load(options.recipe.as_ref())?,
        false => Recipe::named(&options.recipe)?,
    };
    let seed = format!("seed={}", options.common.seed);
    let epochs = options.epochs.map(|epochs| format!("epochs={epochs}"));
    let typed = options.set.iter().cloned();
    Ok(recipe.with_overrides([seed].into_iter().chain(epochs).chain(typed))?)
}

/// Everything that kd has to know of another engine: a name, a size, names of classes, and a
/// function from planar pixels to logits.
fn teacher(options: &Options, sets: &Sets) -> anyhow::Result<AnyTeacher> {
    let path = options.onnx.display();
    let bytes = fs::read(&options.onnx).with_context(|| path.to_string())?;
    let digest: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let file = options.onnx.file_name().unwrap_or_default();
    let name = format!("{} {digest}", file.to_string_lossy());

    let spec = spec(options, sets)?;
    let (size, names) = (spec.size, spec.class_names.clone());
    let mut engine = Engine::new(&bytes, spec).with_context(|| path.to_string())?;
    let answer = move |pixels: &[f32], shape: [usize; 4]| {
        let logits = engine.answer(pixels, shape);
        logits.map_err(|error| format!("{error:#}"))
    };
    Ok(AnyTeacher::from_pixels(name, size, names, answer)?)
}

/// What the network is shown, and the statistics that its input is normalised with.
fn spec(options: &Options, sets: &Sets) -> anyhow::Result<InputSpec> {
    let spec = sets.input_spec()?;
    let Some(Statistics(kd::models::Statistics { mean, std })) = options.statistics else {
        return Ok(spec);
    };
    Ok(InputSpec::new(spec.size, mean, std, spec.class_names)?)
}

/// tract with a network.
struct Engine {
    graph: InferenceModel,
    /// The network, compiled for batches of a size.
    plans: HashMap<usize, Arc<TypedRunnableModel>>,
    spec: InputSpec,
}

impl Engine {
    fn new(file: &[u8], spec: InputSpec) -> anyhow::Result<Self> {
        let mut engine = Self {
            graph: onnx().model_for_read(&mut &file[..])?,
            plans: HashMap::new(),
            spec,
        };
        // Seen now, not after a minute.
        let [channels, height, width] = engine.spec.size;
        let black = vec![0.0; channels * height * width];
        engine.answer(&black, [1, channels, height, width])?;
        Ok(engine)
    }

    fn answer(&mut self, pixels: &[f32], shape: [usize; 4]) -> anyhow::Result<Vec<f32>> {
        let [batch, channels, height, width] = shape;
        let statistics = self.spec.mean.iter().zip(&self.spec.std).cycle();
        let planes = pixels.chunks_exact(height * width).zip(statistics);
        let normalised = planes
            .flat_map(|(plane, (mean, std))| plane.iter().map(move |pixel| (pixel - mean) / std));
        let normalised: Vec<f32> = normalised.collect();

        let plan = match self.plans.get(&batch) {
            Some(plan) => plan,
            None => {
                let fact = InferenceFact::from(f32::fact([batch, channels, height, width]));
                let graph = self.graph.clone().with_input_fact(0, fact)?;
                let plan = graph.into_optimized()?.into_runnable()?;
                self.plans.entry(batch).or_insert(plan)
            }
        };
        let images = OnnxTensor::from_shape(&shape, &normalised)?;
        let answers = plan.run(tvec!(images.into()))?;
        let logits = answers.first().context("the network has no output")?;
        let expected = [batch, self.spec.classes()];
        ensure!(
            logits.shape() == expected,
            "the network answers with {:?}, expected {expected:?}",
            logits.shape()
        );
        Ok(logits
            .to_plain_array_view::<f32>()?
            .iter()
            .copied()
            .collect())
    }
}

/// How far two engines are from each other on the test set.
fn difference(
    options: &Options,
    path: &Path,
    teacher: &AnyTeacher,
    sets: &Sets,
    device: &Device,
) -> anyhow::Result<f32> {
    let spec = spec(options, sets)?;
    let network = weights::restore(path, options.arch, &spec, None, device)?;
    let (size, progress) = (options.batch_size, Progress::Silent);
    let ours = logits(&network, &sets.test, size, &progress)?;
    let theirs = teacher.logits(&sets.test, size, device, &progress)?;
    let differences = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
    Ok(differences.fold(0.0, f32::max))
}

fn distil(
    options: &Options,
    recipe: Recipe,
    teacher: &AnyTeacher,
    sets: &Sets,
    device: &Device,
) -> anyhow::Result<Value> {
    let name = options.student.name();
    let folder = options
        .common
        .folder(&format!("onnx-{name}-{}", options.common.seed));
    let config = ModelConfig::new(sets.input_spec()?).with_seed(options.common.seed);
    let student = options.student.init(&config, device)?;
    let outcome = Distiller::new(recipe)?
        .with_any_teacher(teacher)
        .with_name(name)
        .with_test_set(sets.test.clone())
        .with_folder(&folder)
        .with_interrupt(interrupt()?)
        .with_progress(Progress::Auto)
        .run(student, &sets.train)?;
    let weights = folder.join("student.safetensors");
    weights::save(&outcome.student, &weights)?;
    let test = outcome.evaluation.as_ref();
    if let (Some(test), false) = (test, options.common.json) {
        print(test)?;
    }
    for file in outcome.report.iter().chain([&weights]) {
        note(file.display());
    }
    Ok(json!({
        "architecture": name,
        "train_samples": sets.train.len(),
        "epochs": outcome.history.len(),
        "top1": test.map(|t| t.top1),
        "nll": test.map(|t| t.nll),
        "ece": test.map(|t| t.ece),
        "seconds": outcome.seconds,
        "weights": weights.display().to_string(),
        "report": outcome.report.map(|path| path.display().to_string()),
    }))
}
