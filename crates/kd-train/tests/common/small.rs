//! Small runs that take a second: a few Shapes, two small networks.
#![allow(dead_code)]

use std::path::Path;

use burn::tensor::Device;
use kd_data::{ImageSet, Shapes, Split};
use kd_models::{Architecture, BranchedClassifier, Classifier, InputSpec, ModelConfig, Statistics};
use kd_train::{Distiller, Outcome, Recipe, RecordAs, TrainError, fingerprint};

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

/// Five steps an epoch, the last of four images, two epochs. Keys may follow the name, as in
/// `kd|optimizer.kind=adamw`.
pub fn recipe(name: &str) -> Recipe {
    let (name, keys) = name.split_once('|').unwrap_or((name, ""));
    let overrides = [
        "epochs=2",
        "batch_size=14",
        "seed=7",
        "log.every_steps=1",
        "log.checkpoint_steps=2",
    ];
    let keys = keys.split('|').filter(|key| !key.is_empty());
    Recipe::named(name)
        .unwrap()
        .with_overrides(overrides.into_iter().chain(keys))
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
    distiller(recipe("tlcutmix_pick"))
        .with_folder(folder)
        .with_resume(resume)
        .run(network(Architecture::ResNet8, 1), &train_set())
}

/// A run of another recipe, with the networks that it is for: the fingerprint of each afterwards.
pub fn run_with(name: &str, folder: &Path, resume: bool) -> Result<Vec<String>, TrainError> {
    run_recording(name, folder, resume, None)
}

/// The same, while the teacher may be recorded.
pub fn run_recording(
    name: &str,
    folder: &Path,
    resume: bool,
    record: Option<&Path>,
) -> Result<Vec<String>, TrainError> {
    let recipe = recipe(name);
    // Sixty images have few negatives.
    let recipe = match recipe.terms.contains_key("crd") {
        true => recipe.with_overrides(["terms.crd.negatives=40"])?,
        false => recipe,
    };
    let (peers, branches) = (recipe.peers, recipe.branches);
    let before_relu = recipe.terms.contains_key("ab");
    let own = |network: Classifier| match before_relu {
        true => network.with_before_relu(),
        false => network,
    };
    let mut distiller = Distiller::new(recipe)?
        .with_teacher(&own(teacher()))
        .with_test_set(Shapes::render(0, Split::Test, 30))
        .with_folder(folder)
        .with_resume(resume);
    if let Some(path) = record {
        distiller = distiller.with_recording(path, RecordAs::F32);
    }
    for peer in 1..peers {
        distiller = distiller.with_peer(&network(Architecture::ResNet8, 1 + peer as u64));
    }
    if branches > 1 {
        let outcome = distiller.run(branched(branches), &train_set())?;
        return Ok(vec![fingerprint(&outcome.student)]);
    }
    let student = own(network(Architecture::ResNet8, 1));
    let outcome = distiller.run(student, &train_set())?;
    let peers = (0..peers - 1).map(|peer| outcome.peer::<Classifier>(peer).unwrap());
    let networks = [&outcome.student].into_iter().chain(peers);
    Ok(networks.map(fingerprint).collect())
}

pub fn branched(branches: usize) -> BranchedClassifier {
    let config = ModelConfig::new(spec(Statistics::CIFAR10)).with_seed(1);
    let device = Device::flex();
    BranchedClassifier::new(Architecture::ResNet8, &config, branches, &device).unwrap()
}
