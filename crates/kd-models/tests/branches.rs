//! Networks with branches against PyTorch: `tools/models_golden.py` wrote the fixture, in f64.
//!
//! Tolerance 1e-4 of the norm, of f32 against f64.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/formula.rs"]
mod formula;
#[path = "common/zoo.rs"]
mod zoo;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use formula::Fan;
use kd_models::{Architecture, BranchedClassifier, Classify, ModelError};
use serde_json::Value;
use zoo::{error, fixture, host, images, sizes};

fn device() -> Device {
    Device::flex()
}

fn network(golden: &Value, device: &Device) -> BranchedClassifier {
    let name = golden["network"].as_str().unwrap();
    let (_, architecture) = name.split_once('/').unwrap();
    let config = zoo::config(golden, sizes(&golden["image"]), 10);
    let branches = golden["branches"].as_u64().unwrap() as usize;
    let architecture: Architecture = architecture.parse().unwrap();
    let network = BranchedClassifier::new(architecture, &config, branches, device).unwrap();
    formula::fill_by(Fan::In, network, name, true)
}

/// Logits as `[batch, classes, branches]`; OKDDip's last branch is the leader.
fn check(golden: &Value, network: &BranchedClassifier, images: Tensor<4>, expected: &Value) {
    let passed = network.forward_heads(images);
    let mut logits: Vec<Tensor<2>> = passed.heads.into_iter().map(|b| b.logits).collect();
    let outputs = expected["outputs"].as_array().unwrap();
    let digest = |name: &str| outputs.iter().find(|output| output[0] == name);
    let name = &golden["network"];
    if let Some(leader) = digest("leader") {
        let found = host(logits.pop().unwrap());
        let error = error(&found, &leader[2], 0.0);
        assert!(error < 1e-4, "{name}: leader {error:e}");
    }
    let error = error(
        &host(Tensor::stack::<3>(logits, 2)),
        &digest("branches").unwrap()[2],
        0.0,
    );
    assert!(error < 1e-4, "{name}: branches {error:e}");
}

#[test]
fn golden_branches() {
    let fixture = fixture("branches.json");
    let networks = fixture["networks"].as_array().unwrap();
    assert_eq!(networks.len(), 9);
    for golden in networks {
        let (two, _) = images(golden, 2);
        check(golden, &network(golden, &device()), two, &golden["eval"]);
        let (eight, _) = images(golden, golden["train"]["images"].as_u64().unwrap());
        let device = device().autodiff();
        let network = network(golden, &device).train();
        check(
            golden,
            &network,
            Tensor::from_inner(eight),
            &golden["train"],
        );
    }
}

#[test]
fn not_every_network_has_branches() {
    let config = zoo::config(&Value::Null, [3, 32, 32], 10);
    let make = |architecture, branches| {
        BranchedClassifier::new(architecture, &config, branches, &device()).map(|_| ())
    };
    for (architecture, branches) in [(Architecture::Vgg8, 3), (Architecture::ResNet8, 0)] {
        let error = make(architecture, branches).unwrap_err();
        assert!(matches!(error, ModelError::NoBranches { .. }), "{error}");
    }
    assert!(make(Architecture::ResNet8, 1).is_ok());
}

fn three_branches() -> BranchedClassifier {
    let config = zoo::config(&Value::Null, [3, 32, 32], 10);
    BranchedClassifier::new(Architecture::ResNet8, &config, 3, &device()).unwrap()
}

fn two_images() -> Tensor<4> {
    let seed = burn::tensor::Distribution::Uniform(0.0, 1.0);
    Tensor::random([2, 3, 32, 32], seed, &device())
}

fn difference(a: Tensor<2>, b: Tensor<2>) -> f32 {
    (a - b).abs().max().into_scalar::<f32>()
}

#[test]
fn a_head_is_a_network_of_its_own() {
    let (network, images) = (three_branches(), two_images());
    let heads = network.forward_heads(images.clone()).heads;
    for (number, expected) in heads.iter().enumerate() {
        let head = network.head(number);
        let found = head.forward_features(images.clone());
        assert_eq!(difference(found.logits, expected.logits.clone()), 0.0);
        assert_eq!(found.stages.len(), expected.stages.len());
    }
    assert_ne!(
        difference(heads[0].logits.clone(), heads[1].logits.clone()),
        0.0
    );
    // What is saved has the names of the architecture.
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("head.safetensors");
    kd_models::weights::save(&network.head(1), &path).unwrap();
    let spec = network.input_spec().clone();
    let loaded = kd_models::weights::restore(&path, None, &spec, None, &device()).unwrap();
    let found = loaded.forward(images);
    assert_eq!(difference(found, heads[1].logits.clone()), 0.0);
}

#[test]
fn what_is_deployed_is_the_last_head_the_mean_or_the_gated_sum() {
    let (network, images) = (three_branches(), two_images());
    let passed = network.forward_heads(images.clone());
    let heads: Vec<_> = passed.heads.into_iter().map(|head| head.logits).collect();
    assert_eq!(
        difference(network.forward(images.clone()), heads[2].clone()),
        0.0
    );
    let sum = heads[0].clone() + heads[1].clone() + heads[2].clone();
    let mean = network.clone().with_mean().forward(images.clone());
    assert!(difference(mean, sum.clone().div_scalar(3.0)) < 1e-5);
    let gate = |features, heads| {
        let linear = burn::nn::LinearConfig::new(features, heads);
        let linear = linear.with_initializer(burn::nn::Initializer::Zeros);
        let norm = kd_nn::BatchNormConfig::new(heads).init(&device());
        kd_models::Gate::new(linear.init(&device()), norm)
    };
    // A gate that knows nothing weighs the heads evenly.
    let gated = network.clone().with_gate(gate(32, 3)).unwrap();
    assert!(difference(gated.forward(images), sum.div_scalar(3.0)) < 1e-5);
    let error = network.with_gate(gate(32, 2)).unwrap_err().to_string();
    assert!(
        error.contains("32 features and 2 heads, expected one of 32 features and 3"),
        "{error}"
    );
}

#[test]
fn a_stage_before_its_relu_is_given_if_it_is_asked_for() {
    let config = zoo::config(&Value::Null, [3, 32, 32], 10);
    for architecture in [
        Architecture::ResNet8,
        Architecture::Vgg8,
        Architecture::ResNet18,
    ] {
        let network = architecture.init(&config, &device()).unwrap();
        let plain = network.forward_features(two_images());
        assert!(plain.before_relu.is_empty());
        let images = two_images();
        let plain = network.forward(images.clone());
        let given = network.with_before_relu().forward_features(images);
        assert!(difference(given.logits, plain) < 1e-4, "{architecture}");
        assert_eq!(
            given.before_relu.len(),
            given.stages.len(),
            "{architecture}"
        );
        for (before, stage) in given.before_relu.into_iter().zip(given.stages) {
            let after = burn::tensor::activation::relu(before.clone());
            let error = (after - stage).abs().max().into_scalar::<f32>();
            assert!(error < 1e-4, "{architecture}: {error}");
            assert!(before.min().into_scalar::<f32>() < 0.0, "{architecture}");
        }
    }
}
