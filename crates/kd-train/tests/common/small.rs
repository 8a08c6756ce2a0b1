//! Small runs that take a second: a few Shapes, two small networks.
#![allow(dead_code)]

use std::path::Path;

use burn::tensor::Device;
use kd_data::{ImageSet, Shapes, Split};
use kd_models::{Architecture, Classifier, InputSpec, ModelConfig, Statistics};
use kd_train::{Distiller, Outcome, Recipe, TrainError};

pub fn spec(statistics: Statistics) -> InputSpec {
    let set = train_set();
    let names = set.class_names().to_vec();
    InputSpec::new(set.shape(), statistics.mean, statistics.std, names).unwrap()
}

pub fn network(architecture: Architecture, seed: u64) -> Classifier {
    let config = ModelConfig::new(spec(Statistics::CIFAR10)).with_seed(seed);
    architecture.init(&config, &Device::flex()).unwrap()
}

pub fn teacher() -> Classifier {
    network(Architecture::ResNet8, 100)
}

pub fn train_set() -> ImageSet {
    Shapes::render(0, Split::Train, 60)
}

/// Five steps an epoch, the last of four images, two epochs.
pub fn recipe(name: &str) -> Recipe {
    let overrides = [
        "epochs=2",
        "batch_size=14",
        "seed=7",
        "log.every_steps=1",
        "log.checkpoint_steps=2",
    ];
    Recipe::named(name)
        .unwrap()
        .with_overrides(overrides)
        .unwrap()
}

pub fn distiller(recipe: Recipe) -> Distiller {
    Distiller::new(recipe)
        .unwrap()
        .with_teacher(&teacher())
        .with_test_set(Shapes::render(0, Split::Test, 30))
}

/// The run that the tests interrupt and repeat.
pub fn run(folder: &Path, resume: bool) -> Result<Outcome<Classifier>, TrainError> {
    run_with("tlcutmix_pick", folder, resume)
}

/// A run of another recipe. Sixty images have few negatives.
pub fn run_with(
    name: &str,
    folder: &Path,
    resume: bool,
) -> Result<Outcome<Classifier>, TrainError> {
    let recipe = recipe(name);
    let recipe = match recipe.terms.contains_key("crd") {
        true => recipe.with_overrides(["terms.crd.negatives=40"])?,
        false => recipe,
    };
    distiller(recipe)
        .with_folder(folder)
        .with_resume(resume)
        .run(network(Architecture::ResNet8, 1), &train_set())
}
