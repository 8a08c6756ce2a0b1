//! Fifty steps beside PyTorch: the same initial weights and the same batches, from the formulas in `tools/README.md`; the
//! losses that `tools/trajectory.py` found.
#![allow(dead_code)]

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_store::burn_pack::Reader;
use kd_models::{Architecture, Classifier, Classify, InputSpec, ModelConfig, Statistics};
use kd_train::{Labels, Method, Objective, OptimizerRecipe, Recipe, Seen, Setting, Terms, Values};
use serde_json::Value;

use crate::formula;

const BATCH: u64 = 16;

pub fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/trajectory.json")).unwrap()
}

pub fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap();
    values.iter().map(|v| v.as_f64().unwrap()).collect()
}

/// A run of the fixture, step by step.
pub struct Run {
    pub student: Classifier,
    pub optimizer: ModuleOptimizer,
    pub teacher: Classifier,
    objective: Objective,
    device: Device,
    mode: String,
    step: u64,
}

impl Run {
    /// `name` as in the fixture: `ce`, `kd_mixed_nesterov`, …
    pub fn new(name: &str, device: &Device) -> Self {
        let (mode, nesterov) = match name.strip_suffix("_nesterov") {
            Some(mode) => (mode, true),
            None => (name, false),
        };
        let network = |name: &str, architecture: Architecture, statistics, seen| {
            let spec = InputSpec::cifar(10, statistics).unwrap();
            let network = architecture.init(&ModelConfig::new(spec), device).unwrap();
            formula::fill(network, name, seen)
        };
        // The two normalise with statistics of their own and are shown the same pixels.
        let student = network("student", Architecture::ResNet8, Statistics::CIFAR10, false);
        let teacher = network(
            "teacher",
            Architecture::ResNet14,
            Statistics::IMAGENET,
            true,
        );
        let recipe = match mode {
            "kd_mixed" => "tlcutmix",
            mode => mode,
        };
        let recipe = Recipe::named(recipe).unwrap();
        let setting = Setting::new(10, &[], device);
        let mut optimizer = OptimizerRecipe::default();
        optimizer.method = Method::Sgd {
            momentum: 0.9,
            nesterov,
        };
        Self {
            student: student.train(),
            teacher: teacher.valid(),
            optimizer: optimizer.init(),
            objective: Objective::new(&recipe, &Terms::standard(), &setting).unwrap(),
            device: device.clone(),
            mode: mode.to_string(),
            step: 0,
        }
    }

    /// The views of the next step, as the teacher and the student see them.
    pub fn views(&self) -> Vec<(&'static str, Seen)> {
        let (images, labels) = formula::images(self.step * BATCH, BATCH, &self.device);
        let count = labels.len();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), &self.device);
        let seen = |images: Tensor<4>| {
            let teacher = self.teacher.forward_features(images.clone());
            let student = Tensor::from_inner(images.clone());
            Seen::new(images)
                .with_teacher(teacher)
                .with_peers(vec![self.student.forward_features(student)])
        };
        let original = seen(images.clone()).with_labels(Labels::Hard(labels));
        let mut views = vec![("original", original)];
        if self.mode == "kd_mixed" {
            views.push(("mixed", seen(paste(images))));
        }
        views
    }

    /// One step. Gives the terms on the host and the total as it is, in the device's precision.
    pub fn step(&mut self) -> (Values, f64) {
        let views = self.views();
        let views: Vec<_> = views.iter().map(|(name, seen)| (*name, seen)).collect();
        let loss = self.objective.loss([0, 0], &[], &views).unwrap();
        let exact = loss.total.clone().inner().into_data();
        let exact = exact.iter::<f64>().next().unwrap();
        let (values, mut gradients) = (loss.values.clone(), loss.total.backward());
        let own = GradientsParams::from_module(&mut gradients, &self.student);
        let rate = if self.step < 30 { 0.05 } else { 0.05 * 0.1 };
        self.student = self.optimizer.step(rate, self.student.clone(), own);
        self.objective
            .accept(loss, &mut gradients, &mut self.optimizer, rate);
        self.step += 1;
        (values, exact)
    }
}

/// Rows 8..24 and columns 4..20 from the partner, image 15 - b.
fn paste(images: Tensor<4>) -> Tensor<4> {
    let patch = images.clone().flip([0]).slice([0..16, 0..3, 8..24, 4..20]);
    images.slice_assign([0..16, 0..3, 8..24, 4..20], patch)
}

/// Every parameter and statistic by its PyTorch path, in PyTorch's layout, with its id.
pub fn tensors<M: Module>(module: &M) -> BTreeMap<String, (ParamId, Vec<f64>)> {
    struct Collect {
        path: Vec<String>,
        tensors: BTreeMap<String, (ParamId, Vec<f64>)>,
    }
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let path = formula::pytorch_path(&self.path);
            let tensor = param.val().inner();
            let tensor = if D == 2 { tensor.transpose() } else { tensor };
            let values = tensor.into_data().iter::<f64>().collect();
            self.tensors.insert(path, (param.id, values));
        }
    }
    let mut collect = Collect {
        path: Vec::new(),
        tensors: BTreeMap::new(),
    };
    module.visit(&mut collect);
    collect.tensors
}

/// The velocities, by the id of their parameter; a linear weight in Burn's layout.
pub fn velocities(optimizer: &ModuleOptimizer) -> BTreeMap<ParamId, Vec<f64>> {
    let reader = Reader::from_bytes(optimizer.into_bytes().unwrap()).unwrap();
    let tensors = reader.into_tensors().unwrap().into_iter();
    tensors
        .map(|tensor| {
            let (_, dtype, shape, id, bytes) = tensor.into_parts().unwrap();
            let data = TensorData::from_bytes(bytes, shape.clone(), dtype);
            let mut values: Vec<f64> = data.iter::<f64>().collect();
            if let [rows, columns] = shape.to_vec()[..] {
                let value = |i: usize| values[(i % rows) * columns + i / rows];
                values = (0..rows * columns).map(value).collect();
            }
            (ParamId::from(id.unwrap()), values)
        })
        .collect()
}
