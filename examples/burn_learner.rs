//! Distillation inside Burn's own training loop, for those who have one already.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Parser;
use kd::augment::{Affine, AugmentError, Images, cpu};
use kd::burn;
use kd::burn::data::dataloader::DataLoader;
use kd::burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use kd::burn::tensor::{ExecutionError, TensorData};
use kd::burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use kd::burn::train::metric::{Adaptor, LossInput, LossMetric, MetricDefinition, MetricId};
use kd::burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use kd::burn::train::{
    InferenceStep, ItemLazy, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use kd::data::Batch;
use kd::losses::{KdLoss, KlLoss};
use kd::metrics::burn_train::{EvaluationInput, EvaluationMetric, Score};
use kd::models::weights;
use kd::prelude::*;
use kd::train::OptimizerRecipe;
use kd_examples::{CommonOptions, NetworkOptions, at_least_one, note, print, start};
use serde_json::{Value, json};

/// Distillation inside Burn's own `Learner`: its loop, optimiser and schedule; kd's augmentation,
/// losses, data and measures
#[derive(Parser)]
#[command(after_help = "\
Example:
  quickstart && burn_learner --weights runs/quickstart/teacher.safetensors

What is whose:
  Burn   the loop, the optimiser, the schedule, the files of metrics in --out
  kd     batches (a data loader of Burn's), crop, flip and CutMixPick, the losses, the metrics on the test set

`distill` has a loop of its own instead, which can be resumed with the same bytes.

Left behind in --out (runs/burn-learner): student.safetensors, experiment.log, and a folder of
metrics for each split.")]
struct Options {
    #[command(flatten)]
    teacher: NetworkOptions,

    /// The network to train
    #[arg(long = "train", value_name = "NAME", default_value = "resnet8")]
    student: Architecture,

    /// Passes over the training set
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = at_least_one)]
    epochs: usize,

    /// Images in a step
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = at_least_one)]
    batch_size: usize,

    /// The learning rate of the first step; it falls to 0 along a cosine
    #[arg(long, default_value_t = 0.05, value_name = "RATE")]
    learning_rate: f64,

    #[command(flatten)]
    common: CommonOptions,
}

fn main() -> ExitCode {
    start(|options: &Options| options.common.json, run)
}

fn run(options: &Options) -> anyhow::Result<Value> {
    let device = default_device()?;
    let sets = options.common.sets()?;
    let seed = options.common.seed;
    let folder = options.common.folder("burn-learner");
    let teacher = options.teacher.restore(&sets, &device)?;
    let config = ModelConfig::new(sets.input_spec()?).with_seed(seed);
    let student = options.student.init(&config, &device)?;
    note(format_args!(
        "{} -> {} on {} images of {}",
        teacher.architecture(),
        student.architecture(),
        sets.train.len(),
        sets.name
    ));

    let train = LoaderConfig::new(options.batch_size).with_seed(seed);
    let train = train.init(sets.train.clone())?;
    let steps = options.epochs * train.batches();
    let test = LoaderConfig::new(256).with_shuffle(false);
    let test = test.init(sets.test.clone())?;
    let train: Arc<dyn DataLoader<Batch>> = Arc::new(train.into_data_loader(0));
    let test: Arc<dyn DataLoader<Batch>> = Arc::new(test.into_data_loader(0));

    let schedule = CosineAnnealingLrSchedulerConfig::new(options.learning_rate, steps).init();
    let schedule = schedule.map_err(anyhow::Error::msg)?;
    let distillation = Distillation {
        student: student.train(),
        teacher: teacher.valid(),
        seed,
        kd: KdLossConfig::new().init()?,
        kl: KlLossConfig::new().init()?,
    };
    let learner = Learner::new(distillation, OptimizerRecipe::default().init(), schedule);

    let mut training = SupervisedTraining::new(&folder, train, test)
        .num_epochs(options.epochs)
        // Without this, and with Burn's feature `tui`, there is a dashboard.
        .renderer(Box::new(Notes::default()))
        .metric_train_numeric(LossMetric::new());
    for score in [Score::Top1, Score::Nll, Score::Ece] {
        let config = EvaluationConfig::new();
        let metric = EvaluationMetric::new(score, sets.test.classes(), &config)?;
        training = training.metric_valid_numeric(metric);
    }
    let result = training.launch(learner);
    if let Some(error) = result.error {
        bail!("the training ended early: {error}");
    }

    let student = result.model.student;
    let report = evaluate(&student, &sets.test, 256, &Progress::Silent)?;
    let path: PathBuf = folder.join("student.safetensors");
    weights::save(&student, &path)?;
    if !options.common.json {
        print(&report)?;
    }
    note(path.display());
    Ok(json!({
        "example": "burn_learner",
        "data": sets.name,
        "teacher": teacher.architecture(),
        "student": student.architecture(),
        "epochs": options.epochs,
        "steps": steps,
        "samples": report.samples,
        "top1": report.top1,
        "nll": report.nll,
        "ece": report.ece,
        "weights": path.display().to_string(),
    }))
}

/// What the Learner trains. What is skipped is no part of its parameters, so the optimiser does not
/// touch the teacher.
#[derive(Module, Debug)]
struct Distillation {
    student: Classifier,
    #[module(skip)]
    teacher: Classifier,
    #[module(skip)]
    seed: u64,
    #[module(skip)]
    kd: KdLoss,
    #[module(skip)]
    kl: KlLoss,
}

impl Distillation {
    /// A step as in the recipe `tlcutmix_pick`: the original images with their labels, and mixed
    /// ones that the teacher labels, those picked of which it is least sure.
    fn loss(&self, batch: &Batch) -> Result<Tensor<1>, AugmentError> {
        let (key, index) = (
            DrawKey::new(self.seed).epoch(batch.epoch),
            batch.index as u64,
        );
        let augmentation = Augmentation::crop_flip(4);
        let images = Images::new(&batch.images, batch.shape)?;
        let plan = augmentation.sample(&key, &batch.ids, index, images.image_shape())?;
        let mut pixels = vec![0.0; batch.images.len()];
        cpu::apply(&plan, images, &mut pixels, &Affine::unit())?;

        // The teacher, and what it is shown, are outside of autodiff.
        let device = &self.teacher.devices()[0];
        let images = Tensor::from_data(TensorData::new(pixels, batch.shape), device);
        let mixed = CutMixPick::new().pick(images.clone(), &key, &batch.ids, index, |images| {
            self.teacher.forward(images)
        })?;
        let logits = self.student.forward(Tensor::from_inner(images.clone()));
        let labels = labels(batch, &logits.device());
        let original = self
            .kd
            .forward(logits, self.teacher.forward(images), labels);
        let logits = self.student.forward(Tensor::from_inner(mixed.images));
        Ok(original + self.kl.forward(logits, mixed.teacher_logits))
    }
}

impl TrainStep for Distillation {
    type Input = Batch;
    type Output = Trained;

    fn step(&self, batch: Batch) -> TrainOutput<Trained> {
        let loss = good(self.loss(&batch));
        let output = Trained(loss.clone());
        TrainOutput::new(self, loss.backward(), output)
    }
}

impl InferenceStep for Distillation {
    type Input = Batch;
    type Output = Measured;

    fn step(&self, batch: Batch) -> Measured {
        let device = &self.student.devices()[0];
        let pixels = batch.images.iter().map(|&level| f32::from(level) / 255.0);
        let data = TensorData::new(pixels.collect::<Vec<_>>(), batch.shape);
        Measured {
            logits: self.student.forward(Tensor::from_data(data, device)),
            labels: labels(&batch, device),
        }
    }
}

fn labels(batch: &Batch, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i32> = batch.labels.iter().map(|&label| label.into()).collect();
    let count = labels.len();
    Tensor::from_data(TensorData::new(labels, [count]), device)
}

/// A step of Burn's has no error to return.
fn good<T, E: Display>(outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| panic!("{error}"))
}

/// What a training step gives to metrics.
struct Trained(Tensor<1>);

impl ItemLazy for Trained {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(Self(self.0.without_autodiff()))
    }
}

impl Adaptor<LossInput> for Trained {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.0.clone())
    }
}

/// What a step over the test set gives to metrics.
struct Measured {
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
}

impl ItemLazy for Measured {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl Adaptor<EvaluationInput> for Measured {
    fn adapt(&self) -> EvaluationInput {
        EvaluationInput {
            logits: self.logits.clone(),
            labels: self.labels.clone(),
            human: None,
        }
    }
}

/// The metrics of each split of each epoch as a line on standard error.
#[derive(Default)]
struct Notes {
    names: HashMap<MetricId, String>,
    latest: BTreeMap<String, String>,
    split: String,
    epoch: usize,
}

impl Notes {
    fn keep(&mut self, state: MetricState) {
        let (MetricState::Generic(entry) | MetricState::Numeric(entry, _)) = state;
        if let Some(name) = self.names.get(&entry.metric_id) {
            let value = entry.serialized_entry.formatted;
            self.latest.insert(name.clone(), value);
        }
    }
}

impl MetricsRendererTraining for Notes {
    fn update_train(&mut self, state: MetricState) {
        self.keep(state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.keep(state);
    }
}

impl TrainingProgressLogger for Notes {
    fn start(&mut self, _: usize, first: usize, _: Option<usize>, _: Option<&str>) {
        self.epoch = first;
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch + 1;
    }

    fn start_split(&mut self, split: &str, _items: usize) {
        self.split = split.to_string();
        self.latest.clear();
    }

    fn update_split(&mut self, _items: usize) {}

    fn end_split(&mut self) {
        let values = self
            .latest
            .iter()
            .map(|(name, value)| format!("{name} {value}"));
        let values = values.collect::<Vec<_>>().join(", ");
        note(format_args!(
            "epoch {} {}: {values}",
            self.epoch, self.split
        ));
    }

    fn end(&mut self) {}

    fn log_event_training(&mut self, _event: String) {}
}

impl EvaluationProgressLogger for Notes {
    fn start_global_progress(&mut self, _tests: usize) {}

    fn start_test(&mut self, _name: &str, _items: usize) {}

    fn update_test_progress(&mut self, _items: usize) {}

    fn end_test(&mut self) {}

    fn end_global_progress(&mut self) {}

    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRendererEvaluation for Notes {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl MetricsRenderer for Notes {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        let name = definition.name.to_string();
        self.names.insert(definition.metric_id, name);
    }
}
