//! Twenty steps of a method beside PyTorch: the same initial weights, parts and images; the losses
//! and the digests that `tools/trajectory_methods.py` found.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use kd_models::{Classifier, Classify};
use kd_train::{Objective, OptimizerRecipe, Recipe, Seen, Setting, Shapes, Terms, Values};
use serde_json::Value;

use crate::parts::Parts;
use crate::trajectory::{numbers, tensors};
use crate::world::{CLASSES, SIZE, device};

const STEPS: usize = 20;
const RATE: f64 = 0.05;

/// What a step is given: epoch and index, the numbers of its images, and the views by name.
pub struct Shown {
    pub at: [usize; 2],
    pub ids: Vec<u64>,
    pub views: Vec<(&'static str, Seen)>,
}

impl Shown {
    /// A step of the first epoch with one view.
    pub fn one(step: usize, ids: Vec<u64>, name: &'static str, view: Seen) -> Self {
        Self {
            at: [0, step],
            ids,
            views: vec![(name, view)],
        }
    }
}

/// A method of the fixture, and the recipe that stands for it.
pub struct Method {
    name: &'static str,
    recipe: Recipe,
    parts: Option<(&'static str, Reach)>,
    labels: Vec<u16>,
    teacher: Option<Shapes>,
    seed: u64,
}

/// Applies a mapper to the parts of a term, whose type it knows.
type Reach = fn(&mut Objective, &str, &mut Parts);

fn reach<P: Module + 'static>(objective: &mut Objective, term: &str, mapper: &mut Parts) {
    mapper.enter_module(term, "Term");
    let found = objective.map_parts(term, |parts: P| {
        // Batch norm keeps its latest update aside until somebody asks for a synchronised copy.
        let _synchronised = parts.valid();
        parts.map(&mut *mapper)
    });
    assert!(found, "no term {term} has such parts");
    mapper.exit_module(term, "Term");
}

impl Method {
    pub fn new(name: &'static str, recipe: &str) -> Self {
        Self {
            name,
            recipe: Recipe::from_toml(recipe).unwrap(),
            parts: None,
            labels: Vec::new(),
            teacher: None,
            seed: 0,
        }
    }

    /// The term that has layers or a memory, and their type.
    pub fn with_parts<P: Module + 'static>(mut self, term: &'static str) -> Self {
        let reach: Reach = reach::<P>;
        self.parts = Some((term, reach));
        self
    }

    pub fn with_teacher(mut self, teacher: &Classifier) -> Self {
        self.teacher = Some(Shapes::of(&teacher.forward_features(image())));
        self
    }

    /// The labels of the training set, for terms that remember its images.
    pub fn with_labels(mut self, labels: Vec<u16>) -> Self {
        self.labels = labels;
        self
    }

    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub fn golden(&self) -> Value {
        let text = include_str!("../fixtures/methods.json");
        let mut fixture: Value = serde_json::from_str(text).unwrap();
        fixture["methods"][self.name].take()
    }

    /// Trains the networks, which are named as in the fixture, and compares every step.
    pub fn follow<M: Classify>(
        &self,
        networks: Vec<(&'static str, M)>,
        show: impl Fn(&[M], usize) -> Shown,
    ) {
        let (name, golden) = (self.name, self.golden());
        let (names, networks): (Vec<&str>, Vec<M>) = networks.into_iter().unzip();
        let setting = self.setting(&networks);
        let mut objective = Objective::new(&self.recipe, &Terms::standard(), &setting).unwrap();
        if let Some((term, reach)) = self.parts {
            reach(&mut objective, term, &mut Parts::fill());
        }
        let mut networks: Vec<M> = networks.into_iter().map(Module::train).collect();
        let mut optimizer = OptimizerRecipe::default().init();
        let expected = numbers(&golden["loss"]);
        assert_eq!(expected.len(), STEPS, "{name}");
        for (step, expected) in expected.into_iter().enumerate() {
            let shown = show(&networks, step);
            let views = shown.views.iter().map(|(name, seen)| (*name, seen));
            let views: Vec<(&str, &Seen)> = views.collect();
            let loss = objective.loss(shown.at, &shown.ids, &views).unwrap();
            if step == 0 {
                terms(name, &loss.values, &golden["terms"]);
            }
            let total = loss.total.clone().inner().into_data();
            let total = total.iter::<f64>().next().unwrap();
            assert!(
                (total - expected).abs() < 1e-6,
                "{name}, step {step}: {total}, expected {expected}"
            );
            let mut gradients = loss.total.backward();
            for network in &mut networks {
                let own = GradientsParams::from_module(&mut gradients, &*network);
                *network = optimizer.step(RATE, network.clone(), own);
            }
            objective.accept(loss, &mut gradients, &mut optimizer, RATE);
        }
        let mut found: BTreeMap<&str, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
        for (name, network) in names.into_iter().zip(&networks) {
            let tensors = tensors(&network.valid()).into_iter();
            let values = tensors.map(|(path, (_, values))| (path, values));
            found.insert(name, values.collect());
        }
        if let Some((term, reach)) = self.parts {
            let mut parts = Parts::read();
            reach(&mut objective, term, &mut parts);
            found.insert("terms", parts.tensors);
        }
        after(name, &found, &golden["after"]);
    }

    fn setting<M: Classify>(&self, networks: &[M]) -> Setting<'_> {
        let (mut peers, mut shared) = (Vec::new(), Vec::new());
        for network in networks {
            let passed = network.forward_heads(image());
            peers.extend(passed.heads.iter().map(Shapes::of));
            shared.push(passed.shared.map(|shared| shared.dims()[1]));
        }
        let setting = Setting::new(CLASSES, &self.labels, &device())
            .with_peers(peers)
            .with_shared(shared)
            .with_seed(self.seed);
        match &self.teacher {
            Some(teacher) => setting.with_teacher(teacher.clone()),
            None => setting,
        }
    }
}

/// One image, from which the shapes of features follow.
fn image() -> Tensor<4> {
    Tensor::zeros([1, 3, SIZE, SIZE], &device())
}

/// The terms of the first step. They come to the host as f32.
fn terms(name: &str, found: &Values, golden: &Value) {
    let golden = golden.as_object().unwrap();
    let names: BTreeSet<&String> = found.terms.keys().collect();
    let expected: BTreeSet<&String> = golden.keys().collect();
    assert_eq!(names, expected, "{name}: terms");
    for (term, expected) in golden {
        let (found, expected) = (f64::from(found.terms[term]), expected.as_f64().unwrap());
        let error = (found - expected).abs();
        assert!(
            error < 1e-6 * expected.abs().max(1.0),
            "{name}, {term}: {found}, expected {expected}"
        );
    }
}

/// Every parameter, statistic and memory after the last step.
fn after(name: &str, found: &BTreeMap<&str, BTreeMap<String, Vec<f64>>>, golden: &Value) {
    let golden = golden.as_object().unwrap();
    assert_eq!(found.len(), golden.len(), "{name}: {:?}", found.keys());
    for (module, golden) in golden {
        let (found, golden) = (&found[module.as_str()], golden.as_object().unwrap());
        let names: BTreeSet<&String> = found.keys().collect();
        let expected: BTreeSet<&String> = golden.keys().collect();
        assert_eq!(names, expected, "{name}: tensors of {module}");
        for (path, expected) in golden {
            let what = format!("{name}: {path} of {module}");
            digest(&what, &found[path], &numbers(expected));
        }
    }
}

/// `[sum, sum of magnitudes, first four]`, which the fixture has to nine digits. Elements are
/// compared by the largest one, sums by the sum of magnitudes; 2e-8 leaves room for the f32 of the
/// constants.
fn digest(what: &str, found: &[f64], expected: &[f64]) {
    let sum: f64 = found.iter().sum();
    let magnitude: f64 = found.iter().map(|v| v.abs()).sum();
    let largest = found.iter().fold(0f64, |most, v| most.max(v.abs()));
    let close = |found: f64, expected: f64, scale: f64| {
        let error = (found - expected).abs();
        assert!(
            error <= 2e-8 * scale,
            "{what}: {found}, expected {expected}"
        );
    };
    close(sum, expected[0], magnitude);
    close(magnitude, expected[1], magnitude);
    assert_eq!(found.len().min(4), expected.len() - 2, "{what}");
    for (found, expected) in found.iter().zip(&expected[2..]) {
        close(*found, *expected, largest);
    }
}
