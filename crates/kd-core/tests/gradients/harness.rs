//! Gradients and difference quotients of inputs and of parameters.

use std::sync::Once;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, FloatDType, Gradients, Int, IntDType, Tensor, TensorData};

pub(crate) const BATCH: usize = 3;
pub(crate) const CLASSES: usize = 5;
const STEP: f64 = 1e-5;
const BOUND: f64 = 1e-8;

/// The CPU with numbers of 64 bits, with autodiff: parameters, too, are of that type.
pub(crate) fn device() -> Device {
    static ONCE: Once = Once::new();
    let mut device = Device::flex();
    ONCE.call_once(|| {
        let numbers = (FloatDType::F64, IntDType::I64);
        device.configure(numbers).expect("before the first tensor");
    });
    device.autodiff()
}

/// A constant, between `-scale` and `scale`.
pub(crate) fn input<const D: usize>(shape: [usize; D], scale: f64, phase: f64) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| i as f64);
    let values = values.map(|i| scale * (1.7 * i + phase + 0.013 * i * i).sin());
    from(values.collect(), shape)
}

pub(crate) fn from<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    let device = device().without_autodiff();
    Tensor::from_data(TensorData::new(values, shape), (&device, DType::F64))
}

pub(crate) fn labels() -> Tensor<1, Int> {
    Tensor::from_data([4, 0, 2], &device())
}

pub(crate) fn host<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

fn value(loss: Tensor<1>) -> f64 {
    loss.without_autodiff().into_scalar::<f64>()
}

/// Compares the gradient of a loss at `x`.
pub(crate) fn check<const D: usize>(
    name: &str,
    x: Tensor<D>,
    loss: impl Fn(Tensor<D>) -> Tensor<1>,
) {
    check_held(name, x, &loss, &loss);
}

/// Compares the gradient of a loss with the difference quotients of the same loss with its target held.
pub(crate) fn check_held<const D: usize>(
    name: &str,
    x: Tensor<D>,
    loss: impl Fn(Tensor<D>) -> Tensor<1>,
    held: impl Fn(Tensor<D>) -> Tensor<1>,
) {
    let leaf = Tensor::from_inner(x.clone()).require_grad();
    let gradient = leaf.grad(&loss(leaf.clone()).backward()).expect(name);
    let at = |i: usize, step: f64| {
        let mut values = host(x.clone());
        values[i] += step;
        value(held(Tensor::from_inner(from(values, x.dims()))))
    };
    compare(name, &host(gradient), true, at);
}

fn compare(name: &str, gradient: &[f64], moves: bool, at: impl Fn(usize, f64) -> f64) {
    let largest = gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
    assert_eq!(largest > 1e3 * BOUND, moves, "{name}: at most {largest}");
    for (i, gradient) in gradient.iter().enumerate() {
        let difference = (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP);
        assert!(
            (gradient - difference).abs() < BOUND * largest.max(1.0),
            "{name}, number {i}: gradient {gradient}, difference quotient {difference}"
        );
    }
}

/// Compares the gradient of a loss with respect to each parameter of a module. Those called one of `unmoved` are to have a gradient of 0.
pub(crate) fn check_parameters<M: Module>(
    name: &str,
    module: &M,
    unmoved: &[&str],
    loss: impl Fn(&M) -> Tensor<1>,
) {
    let gradients = loss(module).backward();
    let mut found = Found {
        gradients: &gradients,
        path: Vec::new(),
        parameters: Vec::new(),
    };
    module.visit(&mut found);
    assert!(!found.parameters.is_empty(), "{name}: no parameters");
    for (parameter, gradient) in found.parameters {
        let name = format!("{name}, {parameter}");
        let gradient = gradient.expect(&name);
        let moves = !unmoved.contains(&parameter.as_str());
        compare(&name, &gradient, moves, |element, step| {
            let stepped = module.clone().map(&mut Step {
                parameter: &parameter,
                path: Vec::new(),
                element,
                step,
            });
            value(loss(&stepped))
        });
    }
}

struct Found<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    parameters: Vec<(String, Option<Vec<f64>>)>,
}

impl ModuleVisitor for Found<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let gradient = param.val().grad(self.gradients).map(host);
            self.parameters.push((self.path.join("."), gradient));
        }
    }
}

struct Step<'a> {
    parameter: &'a str,
    path: Vec<String>,
    element: usize,
    step: f64,
}

impl ModuleMapper for Step<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.path.join(".") != self.parameter {
            return param;
        }
        param.map(|x| {
            let shape = x.dims();
            let mut values = host(x);
            values[self.element] += self.step;
            Tensor::from_inner(from(values, shape)).require_grad()
        })
    }
}
