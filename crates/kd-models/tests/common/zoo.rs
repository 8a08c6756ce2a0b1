//! Networks with the formulas' weights, and how far what they compute is from the fixtures.
#![allow(dead_code)]

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use kd_models::{Architecture, Classifier, Classify, InputSpec, ModelConfig, Statistics};
use serde_json::Value;

use crate::formula::{self, Fan, bits, fnv1a};

pub fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap();
    values.iter().map(|v| v.as_f64().unwrap()).collect()
}

pub fn sizes<const N: usize>(value: &Value) -> [usize; N] {
    let sizes: Vec<_> = numbers(value).into_iter().map(|n| n as usize).collect();
    sizes.try_into().unwrap()
}

pub fn config(golden: &Value, image: [usize; 3], classes: usize) -> ModelConfig {
    let Statistics { mean, std } = Statistics::CIFAR10;
    let channels = image[0];
    let names = (0..classes).map(|class| class.to_string()).collect();
    let spec = InputSpec::new(image, &mean[..channels], &std[..channels], names).unwrap();
    let config = ModelConfig::new(spec);
    match golden["hidden"].as_u64() {
        Some(hidden) => config.with_hidden(hidden as usize),
        None => config,
    }
}

pub fn architecture(golden: &Value) -> Architecture {
    golden["network"].as_str().unwrap().parse().unwrap()
}

/// With the formulas' weights.
pub fn network(golden: &Value, device: &Device) -> Classifier {
    let config = config(golden, sizes(&golden["image"]), 10);
    let network = architecture(golden).init(&config, device).unwrap();
    formula::fill_by(Fan::In, network, golden["network"].as_str().unwrap(), true)
}

pub fn images(golden: &Value, count: u64) -> (Tensor<4>, Vec<i32>) {
    let [channels, size, _] = sizes(&golden["image"]);
    let (images, labels) = formula::sized_images(0, count, size as u64, &crate::device());
    (images.narrow(1, 0, channels), labels)
}

/// `[d_0, d_1, norm]`
fn digest(values: &[f64]) -> [f64; 3] {
    let sum = |key: &str| {
        let key = fnv1a(key);
        let u = |i: usize| ((bits(key, i as u64) >> 40) as f64 - 8_388_608.0) / 8_388_608.0;
        values.iter().enumerate().map(|(i, x)| x * u(i)).sum()
    };
    let squares: f64 = values.iter().map(|x| x * x).sum();
    [sum("digest0"), sum("digest1"), squares.sqrt()]
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The largest difference, in norms; what is smaller than `floor` counts as that.
pub fn error(found: &[f64], expected: &Value, floor: f64) -> f64 {
    let expected = numbers(expected);
    let found = digest(found);
    let norm = expected.last().unwrap().max(floor);
    let found = match expected.len() {
        2 => vec![found[0], found[2]],
        _ => found.to_vec(),
    };
    let errors = found.iter().zip(&expected).map(|(f, e)| (f - e).abs());
    errors.fold(0.0, |most, error| match error.is_nan() {
        true => f64::INFINITY,
        false => most.max(error / norm),
    })
}

/// How far what is computed may be from the fixture, in norms.
pub struct Bounds {
    pub evaluation: f64,
    pub loss: f64,
    pub gradients: f64,
    pub running: f64,
}

struct Checked {
    what: String,
    error: f64,
    bound: f64,
}

fn evaluated(golden: &Value, bounds: &Bounds, checked: &mut Vec<Checked>) {
    let (images, _) = images(golden, 2);
    let features = network(golden, &crate::device()).forward_features(images);
    let expected = &golden["eval"];
    let taps = expected["taps"].as_array().unwrap();
    let maps: Vec<_> = taps.iter().filter(|tap| sizes_of(tap).len() == 4).collect();
    assert_eq!(maps.len(), features.stages.len(), "{}", golden["network"]);
    for (tap, stage) in maps.iter().zip(&features.stages) {
        assert_eq!(sizes_of(tap), stage.dims(), "{tap}");
        checked.push(Checked {
            what: format!("eval {}", tap[0]),
            error: error(&host(stage.clone()), &tap[2], 0.0),
            bound: bounds.evaluation,
        });
    }
    checked.push(Checked {
        what: "eval embedding".into(),
        error: error(
            &host(features.embedding.unwrap()),
            &taps.last().unwrap()[2],
            0.0,
        ),
        bound: bounds.evaluation,
    });
    let (found, logits) = (host(features.logits), numbers(&expected["logits"]));
    let largest = logits.iter().fold(0.0f64, |most, z| most.max(z.abs()));
    let most = found.iter().zip(&logits).map(|(f, e)| (f - e).abs());
    checked.push(Checked {
        what: "eval logits".into(),
        error: most.fold(0.0, f64::max) / largest,
        bound: bounds.evaluation,
    });
}

fn sizes_of(tap: &Value) -> Vec<usize> {
    numbers(&tap[1]).into_iter().map(|n| n as usize).collect()
}

/// By path: the gradients of what learns, or without gradients the running statistics.
struct Collect<'a> {
    gradients: Option<&'a burn::tensor::Gradients>,
    path: Vec<String>,
    found: HashMap<String, Vec<f64>>,
}

impl<'a> Collect<'a> {
    fn from(
        network: &Classifier,
        gradients: Option<&'a burn::tensor::Gradients>,
    ) -> HashMap<String, Vec<f64>> {
        let mut collect = Collect {
            gradients,
            path: Vec::new(),
            found: HashMap::new(),
        };
        network.visit(&mut collect);
        collect.found
    }
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = formula::pytorch_path(&self.path);
        let values = match (self.gradients, path.contains("running")) {
            (None, true) => param.val(),
            (Some(gradients), false) => param.val().grad(gradients).unwrap(),
            _ => return,
        };
        // A linear layer's weight is the other way round in PyTorch.
        let values = if D == 2 { values.transpose() } else { values };
        self.found.insert(path, host(values));
    }
}

fn trained(golden: &Value, bounds: &Bounds, checked: &mut Vec<Checked>) {
    let expected = &golden["train"];
    if expected.is_null() {
        return;
    }
    let (images, labels) = images(golden, expected["images"].as_u64().unwrap());
    let device = crate::device().autodiff();
    let network = network(golden, &device).train();
    let logits = network.forward(Tensor::from_inner(images));
    let labels = Tensor::<1, Int>::from_data(TensorData::from(&labels[..]), &device);
    let loss = burn::nn::loss::CrossEntropyLossConfig::new()
        .init(&device)
        .forward(logits, labels);
    let value = host(loss.clone().inner())[0];
    let gradients = loss.backward();
    let loss = expected["loss"].as_f64().unwrap();
    checked.push(Checked {
        what: "train loss".into(),
        error: (value - loss).abs() / loss,
        bound: bounds.loss,
    });
    let found = Collect::from(&network, Some(&gradients));
    let digests = expected["gradients"].as_array().unwrap();
    let names = parameters(golden);
    assert_eq!((found.len(), names.len()), (digests.len(), digests.len()));
    // A gradient that is 0 but for rounding is compared with the others.
    let norm = |digest: &Value| digest[2].as_f64().unwrap();
    let largest = digests.iter().map(norm).fold(0.0, f64::max);
    for (path, digest) in names.iter().zip(digests) {
        checked.push(Checked {
            what: format!("train gradient of {path}"),
            error: error(&found[path], digest, 1e-3 * largest),
            bound: bounds.gradients,
        });
    }
    let found = Collect::from(&network.valid(), None);
    let digests = expected["running"].as_array().unwrap();
    let names = statistics(golden);
    assert_eq!((found.len(), names.len()), (digests.len(), digests.len()));
    for (path, digest) in names.iter().zip(digests) {
        checked.push(Checked {
            what: format!("after training {path}"),
            error: error(&found[path], digest, 0.0),
            bound: bounds.running,
        });
    }
}

/// Path and dimensions of the layers, in PyTorch's order, and whether a convolution has a bias.
pub fn keys(golden: &Value) -> Vec<(String, Vec<usize>, bool)> {
    let name = golden["network"].as_str().unwrap();
    let [channels, size, _] = sizes(&golden["image"]);
    let keys = fixture("models_keys.json");
    let lines = keys[format!("{name}@{channels}x{size}")]
        .as_array()
        .cloned();
    let parse = |line: &Value| {
        let (line, bias) = match line.as_str().unwrap() {
            line if line.ends_with(" +bias") => (&line[..line.len() - 6], true),
            line => (line, false),
        };
        let (path, dims) = line.split_once(' ').unwrap();
        let dims = dims.split(',').map(|size| size.parse().unwrap());
        (path.to_string(), dims.collect(), bias)
    };
    lines.iter().flatten().map(parse).collect()
}

fn parameters(golden: &Value) -> Vec<String> {
    let of = |(path, dims, bias): (String, Vec<usize>, bool)| {
        let names: &[&str] = match dims.len() {
            4 if !bias => &["weight"],
            _ => &["weight", "bias"],
        };
        names
            .iter()
            .map(|name| format!("{path}.{name}"))
            .collect::<Vec<_>>()
    };
    keys(golden).into_iter().flat_map(of).collect()
}

fn statistics(golden: &Value) -> Vec<String> {
    let norms = keys(golden)
        .into_iter()
        .filter(|(_, dims, _)| dims.len() == 1);
    norms
        .flat_map(|(path, ..)| ["mean", "var"].map(|name| format!("{path}.running_{name}")))
        .collect()
}

pub fn check(bounds: &Bounds, which: impl Fn(&str) -> bool) {
    let fixture = fixture("models.json");
    let mut failures = Vec::new();
    for golden in fixture["networks"].as_array().unwrap() {
        let name = golden["network"].as_str().unwrap();
        if !which(name) {
            continue;
        }
        let mut checked = Vec::new();
        evaluated(golden, bounds, &mut checked);
        trained(golden, bounds, &mut checked);
        let worst = |kind: &str| {
            let errors = checked.iter().filter(|c| c.what.starts_with(kind));
            errors.map(|c| c.error).fold(0.0, f64::max)
        };
        println!(
            "{name:30} {} eval {:.1e}, train {:.1e}, running {:.1e}",
            golden["image"],
            worst("eval"),
            worst("train"),
            worst("after")
        );
        let bad = checked.iter().filter(|c| c.error > c.bound);
        failures.extend(bad.map(|c| format!("{name}: {}: {:.1e}", c.what, c.error)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
