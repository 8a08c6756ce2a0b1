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
use kd_models::{Architecture, BranchedClassifier, ModelError};
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
    let passed = network.forward(images);
    let mut logits: Vec<Tensor<2>> = passed.branches.into_iter().map(|b| b.logits).collect();
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
