//! The pretrained teachers on CIFAR-10 against PyTorch: `tools/teachers_golden.py` wrote the fixture.
//!
//! Tolerances: logits 1e-3 (both sides f32, logits up to 30, 56 layers); accuracies 0.02 %, two images of 10,000 whose two
//! best logits rounding may swap; NLL and KL 1e-4; ECE 2e-4, since an image that changes its bin moves it by 1e-4.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../../kd-data/tests/common/real_data.rs"]
mod real_data;

use std::path::Path;
use std::process::ExitCode;

use burn::tensor::Device;
use kd_augment::{ParamSharing, Preset};
use kd_data::{ImageSet, Split, cifar10, cifar10h};
use kd_models::weights::{self, WeightFile};
use kd_models::{Architecture, Classifier, Classify, InputSpec, ModelConfig, Statistics};
use kd_train::{
    Progress, RankConfig, Scheme, evaluate, logits, rank_augmentations,
    rank_augmentations_with_student,
};
use serde_json::Value;

fn main() -> ExitCode {
    real_data::run(vec![
        real_data::trial("resnet20_logits", |data| logits_match(data, "resnet20")),
        real_data::trial("resnet32_logits", |data| logits_match(data, "resnet32")),
        real_data::trial("resnet56_logits", |data| logits_match(data, "resnet56")),
        real_data::trial("resnet20_measures", |data| measures_match(data, "resnet20")),
        real_data::trial("resnet32_measures", |data| measures_match(data, "resnet32")),
        real_data::trial("resnet56_measures", |data| measures_match(data, "resnet56")),
        real_data::trial("another_architecture", another_architecture),
        real_data::trial("a_student_has_its_say", a_student_has_its_say),
    ])
}

fn fixture(name: &str) -> Value {
    let text = include_str!("../../kd-models/tests/fixtures/teachers.json");
    let mut all: Value = serde_json::from_str(text).unwrap();
    all[name].take()
}

fn teacher(data: &Path, name: &str, set: &ImageSet) -> Classifier {
    let file = data
        .join("teachers")
        .join(fixture(name)["file"].as_str().unwrap());
    // The file says nothing of its statistics: it is recognised.
    let names = set.class_names().to_vec();
    let Statistics { mean, std } = Statistics::CIFAR10;
    let default = InputSpec::new(set.shape(), mean, std, names).unwrap();
    let architecture = name.parse::<Architecture>().unwrap();
    let device = Device::flex();
    let network = weights::restore(&file, Some(architecture), &default, None, &device).unwrap();
    assert_eq!(network.input_spec().mean, Statistics::IMAGENET.mean);
    network
}

fn logits_match(data: &Path, name: &str) {
    let set = cifar10::load(data, Split::Test).unwrap().take(256);
    let found = logits(&teacher(data, name, &set), &set, 64, &Progress::Silent).unwrap();
    let fixture = fixture(name);
    let expected = fixture["logits"].as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.len(), 2560);
    for (found, expected) in found.iter().zip(expected) {
        let expected = expected.as_f64().unwrap();
        assert!(
            (f64::from(*found) - expected).abs() < 1e-3,
            "{found}, expected {expected}"
        );
    }
}

fn measures_match(data: &Path, name: &str) {
    let human = cifar10h::load(&data.join("cifar-10h")).unwrap();
    let set = cifar10::load(data, Split::Test).unwrap();
    let set = set.with_soft_labels(human).unwrap();
    let report = evaluate(&teacher(data, name, &set), &set, 256, &Progress::Silent).unwrap();
    let fixture = fixture(name);
    for (key, found, tolerance) in [
        ("top1", report.top1, 2e-4),
        ("top5", report.top5, 2e-4),
        ("nll", report.nll, 1e-4),
        ("ece", report.ece, 2e-4),
        ("kl_human", report.kl_human.unwrap(), 1e-4),
    ] {
        let expected = fixture[key].as_f64().unwrap();
        assert!(
            (found - expected).abs() <= tolerance,
            "{key}: {found}, expected {expected}"
        );
    }
}

fn another_architecture(data: &Path) {
    let file = data
        .join("teachers")
        .join(fixture("resnet20")["file"].as_str().unwrap());
    let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    let file = WeightFile::open(&file).unwrap();
    let config = ModelConfig::new(spec).with_shortcut(file.shortcut());
    let network = Architecture::ResNet32
        .init(&config, &Device::flex())
        .unwrap();
    let error = weights::load(network, file)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the weights do not fit resnet32 with 10 classes"),
        "{error}"
    );
    assert!(error.contains("layer1.3.bn1.weight"), "{error}");
}

/// ResNet-20 as the student of ResNet-56: picking by its entropy gives other images than picking by the teacher's.
fn a_student_has_its_say(data: &Path) {
    let set = cifar10::load(data, Split::Train).unwrap().take(320);
    let (big, small) = (
        teacher(data, "resnet56", &set),
        teacher(data, "resnet20", &set),
    );
    let named = |name: &str| Scheme::named(name, Preset::Cifar10).unwrap();
    let mut config = RankConfig::for_data(Preset::Cifar10);
    config.schemes = vec![named("cutmix_pick_student"), named("cutmix_pick")];
    config.sharing = vec![ParamSharing::PerSample];
    config.means = 2;
    config.batch_size = 16;
    let quiet = &Progress::Silent;
    let with = rank_augmentations_with_student(&big, &small, &set, &config, quiet).unwrap();
    assert!(with.missing.is_empty());
    let value = |name: &str| {
        let row = with.rows.iter().find(|row| row.scheme == name).unwrap();
        row.result.value
    };
    assert!(value("cutmix_pick_student") > 0.0);
    assert_ne!(value("cutmix_pick_student"), value("cutmix_pick"));
    let without = rank_augmentations(&big, &set, &config, quiet).unwrap();
    assert_eq!(without.missing, ["cutmix_pick_student"]);
    assert_eq!(without.rows.len(), 1);
    // Whether a student is there changes nothing for the others.
    assert_eq!(without.rows[0].result.value, value("cutmix_pick"));
    assert!(
        without
            .to_string()
            .contains("cutmix_pick_student    not measured")
    );
}
