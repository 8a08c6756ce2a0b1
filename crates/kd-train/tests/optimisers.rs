//! Several batches for one step, averages and schedules in whole runs.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/small.rs"]
mod small;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use kd_data::{Shapes, Split};
use kd_models::{Architecture, Classify, InputSpec, Statistics};
use kd_train::{Distiller, Progress, Recipe, evaluate, fingerprint};
use small::{network, recipe, train_set};

/// A network without batch norm.
#[derive(Module, Debug)]
struct Flat {
    linear: Linear,
    #[module(skip)]
    spec: InputSpec,
}

impl Flat {
    fn new() -> Self {
        let linear = LinearConfig::new(3 * 32 * 32, 10).init(&Device::flex());
        Self {
            linear: kd_nn::initialize(linear, kd_nn::Scheme::UNIFORM_FAN_IN, 3),
            spec: small::spec(Statistics::CIFAR10),
        }
    }
}

impl Classify for Flat {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.linear
            .forward(self.spec.normalize(images).flatten(1, 3))
    }

    fn input_spec(&self) -> &InputSpec {
        &self.spec
    }
}

fn weights(overrides: &[&str]) -> Vec<f32> {
    // Sixty images: no batch is smaller than the others.
    let plain = [
        "views.original.augmentation=identity",
        "optimizer.learning_rate=0.01",
    ];
    let recipe = recipe("ce").with_overrides(plain).unwrap();
    let recipe = recipe.with_overrides(overrides).unwrap();
    let run = Distiller::new(recipe)
        .unwrap()
        .run(Flat::new(), &train_set());
    let data = run.unwrap().student.linear.weight.val().into_data();
    data.try_to_vec::<f32>().unwrap()
}

/// For a network without batch norm; statistics of batch norms are those of the small batches.
#[test]
fn small_batches_together_are_a_large_one() {
    let large = weights(&["batch_size=20"]);
    let small = weights(&["batch_size=5", "optimizer.accumulate=4"]);
    let alone = weights(&["batch_size=5"]);
    let distance = |a: &[f32], b: &[f32]| {
        let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>().sqrt()
    };
    // Sums in another order, in f32.
    assert!(
        distance(&large, &small) < 1e-5,
        "{}",
        distance(&large, &small)
    );
    assert!(distance(&large, &alone) > 1e-2);
}

#[test]
fn an_average_is_measured_and_given_back() {
    let test = Shapes::render(0, Split::Test, 30);
    let run = |keys: &str| {
        let distiller = Distiller::new(recipe(&format!("ce|{keys}"))).unwrap();
        let distiller = distiller.with_test_set(test.clone());
        distiller
            .run(network(Architecture::ResNet8, 1), &train_set())
            .unwrap()
    };
    let outcome = run("ema={ decay = 0.5 }");
    let average = outcome.average.as_ref().unwrap();
    assert_ne!(fingerprint(average), fingerprint(&outcome.student));
    let measured = evaluate(average, &test, 16, &Progress::Silent).unwrap();
    assert_eq!(measured.nll, outcome.average_evaluation.unwrap().nll);
    assert_eq!(measured.nll, outcome.history[1].ema.unwrap().nll);
    // It changes nothing for the student.
    let without = run("epochs=2");
    assert_eq!(fingerprint(&without.student), fingerprint(&outcome.student));
    assert!(without.average.is_none());
    // One that forgets at once is the student.
    let forgets = run("ema={ decay = 1e-9 }");
    let (average, student) = (forgets.average.unwrap(), forgets.student);
    let nll = |network| evaluate(network, &test, 16, &Progress::Silent).unwrap().nll;
    assert!((nll(&average) - nll(&student)).abs() < 1e-5);
}

#[test]
fn keys_of_one_method_are_refused_for_another() {
    let text = |text: &str, named: &str| {
        let error = Recipe::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(named), "{text}: {error}");
    };
    text(
        "optimizer = { kind = \"adamw\", nesterov = true }",
        "`adamw` has no key `nesterov`",
    );
    text(
        "optimizer = { kind = \"adamv\" }",
        "unknown variant `adamv`, expected one of `sgd`",
    );
    text(
        "optimizer = { kind = \"adam\", betas = [0.9, 1.0] }",
        "optimizer.betas: is 1, expected",
    );
    text(
        "optimizer = { accumulate = 0 }",
        "optimizer.accumulate: is 0, expected at least 1",
    );
    text(
        "optimizer = { clip = 0.0 }",
        "optimizer.clip: is 0, expected a positive number",
    );
    text(
        "schedule = { kind = \"cosine\", factor = 0.1 }",
        "has no key `factor`",
    );
    text(
        "schedule = { warmup = 1.0 }",
        "schedule.warmup: is 1, expected a share",
    );
    text(
        "schedule = { kind = \"one_cycle\", peak = 0.0 }",
        "schedule.peak: is 0",
    );
    text(
        "ema = { decay = 1.0 }",
        "ema.decay: is 1, expected a number in (0, 1)",
    );
    // A method that is set takes its own defaults, not the keys of the one before.
    let recipe = Recipe::default()
        .with_overrides(["optimizer.kind=adamw"])
        .unwrap();
    assert_eq!(recipe.optimizer.learning_rate, 1e-3);
    let recipe = recipe
        .with_overrides(["optimizer.kind=sgd", "schedule.kind=cosine"])
        .unwrap();
    assert_eq!(recipe.optimizer, Recipe::default().optimizer);
}
