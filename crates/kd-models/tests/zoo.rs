//! Every architecture against PyTorch: `tools/models_golden.py` wrote the fixtures, from the formulas in `tools/README.md`, in f64.
//!
//! Evaluation in f32 is within 1e-4 of the norm of each feature. In training one ReLU that rounding puts on the other side of 0 changes
//! a gradient by as much as a hundredth in the deepest networks, whoever computes it: the loss is held to 1e-3, the gradients to what
//! such a change leaves. Gradients are exact in `zoo_f64`, and the kernels' against those in kd-nn.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/formula.rs"]
mod formula;
#[path = "common/zoo.rs"]
mod zoo;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use kd_models::{Architecture, Classifier, Classify, Summary};
use serde_json::Value;
use zoo::{Bounds, architecture, check, config, fixture, images, keys, network, sizes};

fn device() -> Device {
    Device::flex()
}

const BOUNDS: Bounds = Bounds {
    evaluation: 1e-4,
    loss: 1e-3,
    gradients: 0.15,
    running: 1e-4,
};

#[test]
fn golden_residual_networks() {
    check(&BOUNDS, |name| name.starts_with("resnet"));
}

#[test]
fn golden_wide_and_dense_networks() {
    check(&BOUNDS, |name| {
        name.starts_with("wrn") || name.starts_with("densenet")
    });
}

#[test]
fn golden_vgg_lenet_alexnet() {
    check(&BOUNDS, |name| {
        ["vgg", "lenet", "alexnet"]
            .iter()
            .any(|start| name.starts_with(start))
    });
}

#[test]
fn golden_mobile_networks() {
    check(&BOUNDS, |name| {
        name.starts_with("mobilenet") || name.starts_with("shufflenet")
    });
}

#[test]
fn golden_imagenet_networks() {
    check(&BOUNDS, |name| name.starts_with("imagenet"));
}

#[test]
fn every_architecture_has_golden_values() {
    let fixture = fixture("models.json");
    let networks = fixture["networks"].as_array().unwrap();
    for one in Architecture::ALL {
        assert!(
            networks.iter().any(|golden| architecture(golden) == *one),
            "{one}"
        );
    }
}

fn summary(golden: &Value, image: [usize; 3], classes: usize) -> Summary {
    let config = config(golden, image, classes);
    architecture(golden).summary(&config).unwrap()
}

/// Tables 6 to 8 of Wang et al., *What Makes a "Good" Data Augmentation in Knowledge Distillation*, with the operations of grouped convolutions
/// counted once, and the same for what is not in them: the generator asserts the tables.
#[test]
fn golden_counts() {
    let fixture = fixture("models.json");
    for golden in fixture["networks"].as_array().unwrap() {
        // The second image of a network has no counts of its own.
        for counts in golden["counts"].as_array().into_iter().flatten() {
            let count = |what: &str| counts[what].as_u64().unwrap();
            let mut full = golden.clone();
            full.as_object_mut().unwrap().remove("hidden");
            let found = summary(&full, sizes(&counts["image"]), count("classes") as usize);
            let name = &golden["network"];
            assert_eq!(found.params as u64, count("params"), "{name}");
            assert_eq!(found.params_all as u64, count("params_all"), "{name}");
            assert_eq!(found.flops, count("flops"), "{name}");
        }
    }
}

/// Name and shape of every layer.
#[test]
fn golden_keys() {
    for golden in fixture("models.json")["networks"].as_array().unwrap() {
        let line = |(path, dims, bias): (String, Vec<usize>, bool)| {
            let dims: Vec<_> = dims.iter().map(ToString::to_string).collect();
            format!(
                "{path} {}{}",
                dims.join(","),
                if bias { " +bias" } else { "" }
            )
        };
        let mut expected: Vec<String> = keys(golden).into_iter().map(line).collect();
        // The second image of a network has no keys of its own.
        if expected.is_empty() {
            continue;
        }
        let mut found = layers(&network(golden, &device()));
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{}", golden["network"]);
    }
}

/// `path shape`, or `path shape +bias` for a convolution with one.
fn layers(network: &Classifier) -> Vec<String> {
    #[derive(Default)]
    struct Layers {
        path: Vec<String>,
        found: Vec<String>,
    }
    impl ModuleVisitor for Layers {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let path = formula::pytorch_path(&self.path);
            let (layer, name) = path.rsplit_once('.').unwrap();
            let mut shape = param.lazy_shape().to_vec();
            if D == 2 {
                shape.reverse();
            }
            let shape: Vec<_> = shape.iter().map(ToString::to_string).collect();
            match name {
                "weight" => self.found.push(format!("{layer} {}", shape.join(","))),
                // The last layer's, if that is a convolution.
                "bias" if self.found.last().unwrap().matches(',').count() == 3 => {
                    self.found.last_mut().unwrap().push_str(" +bias");
                }
                _ => {}
            }
        }
    }
    let mut layers = Layers::default();
    network.visit(&mut layers);
    layers.found
}

/// What a summary says of the features is what a pass gives.
#[test]
fn summaries_tell_the_shapes() {
    for golden in fixture("models.json")["networks"].as_array().unwrap() {
        let image = sizes(&golden["image"]);
        let summary = summary(golden, image, 10);
        let (images, _) = images(golden, 1);
        let features = network(golden, &device()).forward_features(images);
        let stages = features.stages.iter().map(|stage| {
            let [_, channels, height, width] = stage.dims();
            [channels, height, width]
        });
        let expected: Vec<_> = summary.stages.iter().map(|(_, shape)| *shape).collect();
        assert_eq!(stages.collect::<Vec<_>>(), expected);
        assert_eq!(features.embedding.unwrap().dims(), [1, summary.embedding]);
        assert_eq!(features.logits.dims(), [1, 10]);
    }
}
