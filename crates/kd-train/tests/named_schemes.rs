//! A recipe that names its augmentation has the parameters of the data it is run on.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use kd_data::{ImageSet, Shapes, Split};
use kd_models::{Architecture, InputSpec, ModelConfig, Statistics};
use kd_train::{Distiller, Recipe};

/// Shapes, of which class c may be any of c, c + 10, c + 20, …
fn images(classes: usize) -> ImageSet {
    let shapes = Shapes::render(0, Split::Train, 40);
    let labels = shapes.labels().iter().enumerate();
    let spread = labels.map(|(index, label)| label + 10 * (index % (classes / 10)) as u16);
    let names = (0..classes).map(|class| class.to_string()).collect();
    let pixels = shapes.pixels().to_vec();
    ImageSet::new(pixels, shapes.shape(), spread.collect(), names).unwrap()
}

fn recipe(augmentation: &str) -> Recipe {
    let text = format!("views.original.augmentation = {augmentation}\nterms.ce = {{}}\n");
    let recipe = Recipe::from_toml(&text).unwrap();
    // As a command line does: the recipe is written and read again, and keeps the name.
    recipe
        .with_overrides(["epochs=1", "batch_size=20", "log.every_steps=1"])
        .unwrap()
}

/// What a run leaves: its recipe and its metrics.
fn run(folder: &Path, augmentation: &str, set: &ImageSet) -> [String; 2] {
    let names = set.class_names().to_vec();
    let Statistics { mean, std } = Statistics::CIFAR100;
    let spec = InputSpec::new(set.shape(), mean, std, names).unwrap();
    let student = Architecture::ResNet8
        .init(&ModelConfig::new(spec), &Device::flex())
        .unwrap();
    Distiller::new(recipe(augmentation))
        .unwrap()
        .with_folder(folder)
        .run(student, set)
        .unwrap();
    ["recipe.toml", "metrics.jsonl"].map(|name| fs::read_to_string(folder.join(name)).unwrap())
}

#[test]
fn a_named_cutout_cuts_eight_pixels_of_a_hundred_classes() {
    let folder = tempfile::tempdir().unwrap();
    for (classes, length) in [(100, 8), (10, 16)] {
        let set = images(classes);
        let path = |name: &str| folder.path().join(format!("{name}-{classes}"));
        let written = format!("{{ ops = [{{ op = 'cutout', length = {length} }}] }}");
        let named = run(&path("named"), "'cutout'", &set);
        assert_eq!(named, run(&path("written"), &written, &set));
        // What was run is what stands in the folder.
        assert!(
            named[0].contains(&format!("length = {length}")),
            "{}",
            named[0]
        );
    }
}
