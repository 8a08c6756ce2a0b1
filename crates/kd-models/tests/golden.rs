//! The CIFAR ResNets against PyTorch: `tools/resnet_golden.py` wrote the fixture, from the formulas in `tools/README.md`.
//!
//! Tolerance: 2e-5 of the largest element for values, since both sides compute in f32 with sums of up to 2304 terms, of
//! which rounding leaves about 1e-6 a layer; sums over a stage are compared by the share of the sum of magnitudes.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/formula.rs"]
mod formula;

use burn::tensor::{Device, Tensor};
use kd_models::{Architecture, Classifier, Classify, InputSpec, ModelConfig, Shortcut, Statistics};
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/resnet.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap();
    values.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn network(name: &str, option: &str, device: &Device) -> Classifier {
    let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    let shortcut = match option {
        "A" => Shortcut::Padding,
        _ => Shortcut::Projection,
    };
    let config = ModelConfig::new(spec).with_shortcut(shortcut);
    let network = name
        .parse::<Architecture>()
        .unwrap()
        .init(&config, device)
        .unwrap();
    formula::fill(network, name, true)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.inner().into_data().iter::<f64>().collect()
}

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f64, |m, v| m.max(v.abs()));
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(
            error <= 2e-5 * largest,
            "{what}: {found}, expected {expected}"
        );
    }
}

/// `[sum, sum of magnitudes, first four]`
fn assert_digest(found: &[f64], expected: &Value, what: &str) {
    let expected = numbers(expected);
    let magnitude = expected[1];
    let sum: f64 = found.iter().sum();
    let absolute: f64 = found.iter().map(|v| v.abs()).sum();
    assert!(
        (sum - expected[0]).abs() <= 1e-5 * magnitude,
        "{what}: sum {sum}"
    );
    assert!((absolute - magnitude).abs() <= 1e-5 * magnitude, "{what}");
    let largest = found.iter().fold(0f64, |m, v| m.max(v.abs()));
    for (found, expected) in found.iter().zip(&expected[2..]) {
        assert!(
            (found - expected).abs() <= 2e-5 * largest,
            "{what}: {found} {expected}"
        );
    }
}

#[test]
fn golden_resnets() {
    let fixture = fixture();
    let networks = fixture["networks"].as_object().unwrap();
    assert_eq!(networks.len(), 4);
    for (name, golden) in networks {
        let option = golden["option"].as_str().unwrap();
        let device = Device::flex();
        let (images, _) = formula::images(0, 2, &device);
        let features = network(name, option, &device).forward_features(images.clone());
        for (stage, key) in features
            .stages
            .iter()
            .zip(["stem", "layer1", "layer2", "layer3"])
        {
            let what = format!("{name} {key}");
            assert_digest(&host(stage.clone()), &golden["eval"][key], &what);
        }
        let embedding = host(features.embedding.unwrap());
        assert_digest(&embedding, &golden["eval"]["pooled"], name);
        assert_close(
            &host(features.logits),
            &numbers(&golden["eval"]["logits"]),
            name,
        );

        let device = device.autodiff();
        let train = network(name, option, &device).forward(Tensor::from_inner(images));
        let what = format!("{name}, training mode");
        assert_close(&host(train), &numbers(&golden["train"]["logits"]), &what);
    }
}
