//! Distil a student from a teacher.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use kd::models::{BranchedClassifier, weights};
use kd::prelude::*;
use kd::train::{RecordAs, Terms, TrainError};
use kd_examples::{
    CommonOptions, MultiplyAdds, Sets, Statistics, Student, costs, costs_json, interrupt, note,
    print, start,
};
use serde_json::{Value, json};

/// Distil a student from a teacher: curves, checkpoints, the student's weights and a report in one folder
#[derive(Parser)]
#[command(after_help = "\
Recipes:
  A name (`--list-recipes` prints them, and what each does), or FILE.toml: a recipe of your own. `--print-recipe` shows
  every key with its value, to begin from.

Examples:
  distill --recipe ce --student resnet20 --epochs 6 --out runs/teacher                 (a teacher, on Shapes)
  distill --teacher-weights runs/teacher/student.safetensors --epochs 6                (its student)
  distill --data DIR --teacher resnet56 --teacher-weights resnet56.th --student resnet8 --limit 20000 --epochs 12
  distill --recipe dml --student resnet8 --peer resnet20 --epochs 6                    (two networks, no teacher)
  distill --recipe crd_tlcutmix_pick --teacher-weights FILE --dry-run                  (what it would cost)
  distill --teacher-weights FILE --record teacher.logits                               (ask the teacher once, ...)
  distill --replay teacher.logits --student resnet14 --weights-seed 1                  (... and replay its answers)
  distill --resume --out runs/distill-resnet8-0 ...                                    (the same options: go on)

Left behind in --out:
  student.safetensors  weights with PyTorch's tensor names; of a student with branches, its last head
  ema.safetensors      their moving average, if the recipe has one
  peer1.safetensors, … those of each network that was trained with it
  report.html          curves, calibration, pictures of what the networks were shown
  metrics.jsonl        every loss term; equal for equal runs, interrupted or not; epochs.csv has the epochs as a table
  recipe.toml, run.json, timing.jsonl, checkpoint/")]
struct Options {
    /// The network to learn from; not needed for files that name theirs, nor for the recipe `ce`
    #[arg(long, value_name = "NAME")]
    teacher: Option<Architecture>,

    /// Weights of the teacher: safetensors, burnpack, or a PyTorch checkpoint, whatever its name
    #[arg(long, value_name = "FILE")]
    teacher_weights: Option<PathBuf>,

    /// Input statistics of the teacher: imagenet, cifar10 or cifar100. By default those in the file, those that a
    /// published checkpoint is known by, or those of the training set
    #[arg(long, value_name = "NAME")]
    teacher_statistics: Option<Statistics>,

    /// The network to train: by default the one in --weights, else resnet8
    #[arg(long, visible_alias = "arch", value_name = "NAME")]
    student: Option<Architecture>,

    /// Weights that the student starts from, in place of fresh ones
    #[arg(long, visible_alias = "student-weights", value_name = "FILE")]
    weights: Option<PathBuf>,

    /// What is asked of the student: the name of a recipe, or a file
    #[arg(long, value_name = "NAME|FILE.toml", default_value = "tlcutmix_pick")]
    recipe: String,

    /// Change a key of the recipe, e.g. --set optimizer.learning_rate=0.1; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Passes over the training set; short for --set epochs=N
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,

    /// A network that is trained together with the student, for recipes with `peers`; may be repeated. By default each is
    /// one of the student's architecture, with a seed of its own
    #[arg(long = "peer", value_name = "NAME")]
    peers: Vec<Architecture>,

    /// Record the logits that the teacher gives in this file, for --replay in later runs; goes on with the file if it is
    /// there
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    record: Option<PathBuf>,

    /// How they are recorded: f32 (equal to the bit), f16, or top-K, e.g. top-10 (the K largest, the rest shared evenly)
    #[arg(long, value_name = "f32|f16|top-K", default_value_t = RecordAs::F32, requires = "record")]
    record_as: RecordAs,

    /// Learn from this recording in place of a teacher: of the same data, recipe seed, batch size and views. Student,
    /// losses, temperatures and --weights-seed are free. With --teacher-weights the recording must be that teacher's
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,

    /// Seed of the initial weights; by default --seed, which is also that of the order and of every draw
    #[arg(long, value_name = "N")]
    weights_seed: Option<u64>,

    /// Print what each step passes and costs, and what the run would take on this machine, and stop
    #[arg(long)]
    dry_run: bool,

    /// Print the names of the recipes, one a line, with what each does, and stop
    #[arg(long)]
    list_recipes: bool,

    /// Print the recipe, every key with its value, and stop
    #[arg(long)]
    print_recipe: bool,

    /// Go on with the run in --out, if there is one; the outcome is as if it had never been interrupted
    #[arg(long)]
    resume: bool,

    /// Threads that assemble batches ahead; they change nothing but the speed
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: usize,

    #[command(flatten)]
    common: CommonOptions,
}

impl Options {
    fn weights_seed(&self) -> u64 {
        self.weights_seed.unwrap_or(self.common.seed)
    }
}

fn main() -> ExitCode {
    start(|options: &Options| options.common.json, run)
}

fn run(options: &Options) -> anyhow::Result<Value> {
    if options.list_recipes {
        return list_recipes(options);
    }
    let recipe = recipe(options)?;
    if options.print_recipe {
        if !options.common.json {
            print(recipe.to_toml().trim_end())?;
        }
        return Ok(serde_json::to_value(&recipe)?);
    }
    let device = default_device()?;
    let sets = options.common.sets()?;
    let before_relu = recipe.needs_before_relu(&Terms::standard())?;
    let teacher = teacher(options, &recipe, &sets, &device)?;
    let teacher = teacher.map(|teacher| match before_relu {
        true => teacher.with_before_relu(),
        false => teacher,
    });
    let peers = peers(options, &recipe, &sets, &device)?;
    match recipe.branches {
        1 => {
            let student = student(options, &sets, &device)?;
            let student = match before_relu {
                true => student.with_before_relu(),
                false => student,
            };
            train(options, recipe, &sets, teacher.as_ref(), student, &peers)
        }
        branches => {
            let student = branched(options, branches, &sets, &device)?;
            train(options, recipe, &sets, teacher.as_ref(), student, &peers)
        }
    }
}

fn train<S: Student>(
    options: &Options,
    recipe: Recipe,
    sets: &Sets,
    teacher: Option<&Classifier>,
    student: S,
    peers: &[Classifier],
) -> anyhow::Result<Value> {
    let summary = student.summary();
    let architecture = summary.architecture;
    let name = format!("distill-{architecture}-{}", options.weights_seed());
    let folder = options.common.folder(&name);
    let networks: Vec<_> = [architecture]
        .into_iter()
        .chain(peers.iter().map(Classifier::architecture))
        .map(|network| match recipe.branches {
            1 => network.name().to_string(),
            branches => format!("{network} with {branches} branches"),
        })
        .collect();
    note(format_args!(
        "{} -> {} on {} images of {}, {} epochs; test on {}",
        match (&options.replay, teacher) {
            (Some(_), _) => "a recording",
            (None, Some(teacher)) => teacher.architecture().name(),
            (None, None) => "labels",
        },
        networks.join(" and "),
        sets.train.len(),
        sets.name,
        recipe.epochs,
        sets.test.len()
    ));
    let multiply_adds = MultiplyAdds {
        networks: [summary.flops]
            .into_iter()
            .chain(peers.iter().map(|peer| peer.summary().flops))
            .map(|flops| flops / 2)
            .collect(),
        teacher: teacher.map_or(0, |teacher| teacher.summary().flops / 2),
    };
    let mut distiller = Distiller::new(recipe)?
        .with_name(architecture.name())
        .with_test_set(sets.test.clone())
        .with_resume(options.resume)
        .with_workers(options.workers);
    if let Some(teacher) = teacher {
        distiller = distiller.with_teacher(teacher);
    }
    for peer in peers {
        distiller = distiller.with_peer(peer);
    }
    if let Some(path) = &options.record {
        let bytes = distiller.recording_bytes(&sets.train, options.record_as)?;
        note(format_args!(
            "{}: the recording will have {bytes} bytes ({:.1} MB) as {}",
            path.display(),
            bytes as f64 / 1e6,
            options.record_as
        ));
        distiller = distiller.with_recording(path, options.record_as);
    }
    if let Some(path) = &options.replay {
        distiller = distiller.with_replay(path);
    }
    if options.dry_run {
        let run = distiller.dry_run(student, &sets.train)?;
        if !options.common.json {
            print(costs(&run, &multiply_adds))?;
        }
        return costs_json(&run, &multiply_adds);
    }
    let distiller = distiller
        .with_folder(&folder)
        .with_interrupt(interrupt()?)
        .with_progress(Progress::Auto);
    let outcome = distiller.run(student, &sets.train);
    if let Err(TrainError::Interrupted { .. } | TrainError::RecordingWrite { .. }) = &outcome {
        let resume = if options.resume { "" } else { " --resume" };
        note(format_args!("to go on: {}{resume}", typed()));
    }
    let outcome = outcome?;

    let weights = folder.join("student.safetensors");
    weights::save(&outcome.student.deployed(), &weights)?;
    let mut files = vec![weights.clone()];
    for number in 0..peers.len() {
        if let Some(peer) = outcome.peer::<Classifier>(number) {
            let path = folder.join(format!("peer{}.safetensors", number + 1));
            weights::save(peer, &path)?;
            files.push(path);
        }
    }
    if let Some(average) = &outcome.average {
        let path = folder.join("ema.safetensors");
        weights::save(&average.deployed(), &path)?;
        files.push(path);
    }
    let test = outcome.evaluation.as_ref();
    let each = &outcome.peer_evaluations;
    if let (Some(test), false) = (test, options.common.json) {
        print(test)?;
        if let Some(ema) = &outcome.average_evaluation {
            let [top1, nll, ece] = [100.0 * ema.top1, ema.nll, ema.ece];
            print(format_args!(
                "average: top-1 {top1:.2} %, NLL {nll:.3}, ECE {ece:.3}"
            ))?;
        }
        for (number, peer) in each.iter().enumerate() {
            let [top1, nll, ece] = [100.0 * peer.top1, peer.nll, peer.ece];
            print(format_args!(
                "peer {number}: top-1 {top1:.2} %, NLL {nll:.3}, ECE {ece:.3}"
            ))?;
        }
    }
    for file in outcome.report.iter().chain(&files) {
        note(file.display());
    }
    Ok(json!({
        "example": "distill",
        "data": sets.name,
        "train_samples": sets.train.len(),
        "teacher": teacher.map(Classifier::architecture),
        "student": architecture,
        "epochs": outcome.history.len(),
        "seed": options.common.seed,
        "weights_seed": options.weights_seed(),
        "record": options.record,
        "replay": options.replay,
        "samples": test.map(|t| t.samples),
        "top1": test.map(|t| t.top1),
        "top5": test.map(|t| t.top5),
        "nll": test.map(|t| t.nll),
        "ece": test.map(|t| t.ece),
        "kl_human": test.and_then(|t| t.kl_human),
        "peers": each
            .iter()
            .map(|t| json!({ "top1": t.top1, "nll": t.nll, "ece": t.ece }))
            .collect::<Vec<_>>(),
        "seconds": outcome.seconds,
        "weights": weights.display().to_string(),
        "report": outcome.report.map(|path| path.display().to_string()),
    }))
}

fn list_recipes(options: &Options) -> anyhow::Result<Value> {
    let names: Vec<_> = Recipe::names().collect();
    if !options.common.json {
        let width = names.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let lines = names
            .iter()
            .map(|(name, about)| format!("{name:width$}  {about}"));
        print(lines.collect::<Vec<_>>().join("\n"))?;
    }
    let rows = names
        .iter()
        .map(|(name, about)| json!({ "name": name, "about": about }));
    Ok(rows.collect())
}

/// The command as it was typed, for a shell.
fn typed() -> String {
    let quoted = |word: String| match word
        .chars()
        .all(|c| c.is_alphanumeric() || "-_./=,".contains(c))
    {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    std::env::args().map(quoted).collect::<Vec<_>>().join(" ")
}

/// The recipe by name or from a file, with the seed and what was typed on top.
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

fn teacher(
    options: &Options,
    recipe: &Recipe,
    sets: &Sets,
    device: &Device,
) -> anyhow::Result<Option<Classifier>> {
    if !recipe.needs_teacher(&Terms::standard())? && options.record.is_none() {
        return Ok(None);
    }
    if options.replay.is_some() && options.teacher_weights.is_none() {
        return Ok(None);
    }
    let Some(path) = &options.teacher_weights else {
        anyhow::bail!(
            "recipe `{}` needs a teacher: give --teacher-weights FILE, or train one with --recipe ce",
            options.recipe
        );
    };
    let statistics = options.teacher_statistics.map(|statistics| statistics.0);
    let spec = sets.input_spec()?;
    Ok(Some(weights::restore(
        path,
        options.teacher,
        &spec,
        statistics,
        device,
    )?))
}

fn student(options: &Options, sets: &Sets, device: &Device) -> anyhow::Result<Classifier> {
    let spec = sets.input_spec()?;
    Ok(match &options.weights {
        Some(path) => weights::restore(path, options.student, &spec, None, device)?,
        None => {
            let config = ModelConfig::new(spec).with_seed(options.weights_seed());
            let student = options.student.unwrap_or(Architecture::ResNet8);
            student.init(&config, device)?
        }
    })
}

/// A student whose last stage and head stand several times on one trunk.
fn branched(
    options: &Options,
    branches: usize,
    sets: &Sets,
    device: &Device,
) -> anyhow::Result<BranchedClassifier> {
    if options.weights.is_some() {
        anyhow::bail!(
            "--weights: a student with branches starts from fresh weights; `{}` has {branches}",
            options.recipe
        );
    }
    let config = ModelConfig::new(sets.input_spec()?).with_seed(options.weights_seed());
    let student = options.student.unwrap_or(Architecture::ResNet8);
    Ok(BranchedClassifier::new(student, &config, branches, device)?)
}

/// The networks that are trained together with the student.
fn peers(
    options: &Options,
    recipe: &Recipe,
    sets: &Sets,
    device: &Device,
) -> anyhow::Result<Vec<Classifier>> {
    let count = recipe.peers - 1;
    if options.peers.len() > count {
        anyhow::bail!(
            "--peer: {} given, and `{}` trains {} networks together, the student among them; \
             --set peers=N changes that",
            options.peers.len(),
            options.recipe,
            recipe.peers
        );
    }
    let student = options.student.unwrap_or(Architecture::ResNet8);
    let named = options.peers.iter().copied();
    let architectures = named.chain(std::iter::repeat(student)).take(count);
    let peer = |(number, architecture): (u64, Architecture)| {
        // Far from the seeds that are typed.
        let seed = options.weights_seed().wrapping_add(number << 32);
        let config = ModelConfig::new(sets.input_spec()?).with_seed(seed);
        Ok(architecture.init(&config, device)?)
    };
    (1..).zip(architectures).map(peer).collect()
}
