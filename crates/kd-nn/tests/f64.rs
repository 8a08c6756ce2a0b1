//! In f64, where the layers are Burn's operations: gradients against finite differences, and the f32 kernels' against those.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod common;

use std::sync::OnceLock;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::PaddingConfig2d;
use burn::tensor::{DType, Device, FloatDType, IntDType, Tensor, TensorData};
use common::{assert_close, difference, formula, gradient, host, uniform};
use kd_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Fused};

/// The CPU with f64 as its float: set once, before the first tensor of the process.
fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let mut device = Device::flex();
        device.configure((FloatDType::F64, IntDType::I64)).unwrap();
        device.autodiff()
    });
    device.clone()
}

const INPUT: [usize; 4] = [3, 5, 7, 6];
const OUTPUT: [usize; 4] = [3, 8, 4, 3];

/// A residual block with a projection, and one before it without.
#[derive(Module, Debug)]
struct Net {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
}

impl Net {
    fn new() -> Self {
        let device = device();
        let conv = |channels: [usize; 2], kernel: usize, stride: usize, bias: bool| {
            let pad = kernel / 2;
            Conv2dConfig::new(channels, [kernel; 2])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                .with_bias(bias)
                .init(&device)
        };
        let net = Self {
            convs: vec![
                conv([5, 5], 3, 1, false),
                conv([5, 5], 3, 1, true),
                conv([5, 8], 3, 2, true),
                conv([5, 8], 1, 2, false),
            ],
            norms: [5, 5, 8, 8]
                .map(|channels| BatchNormConfig::new(channels).init(&device))
                .into(),
        };
        formula::fill(net, "small", false).train()
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (conv, norm) = (&self.convs, &self.norms);
        Fused::new()
            .conv(&conv[0])
            .norm(&norm[0])
            .relu()
            .conv(&conv[1])
            .norm(&norm[1])
            .add_shortcut()
            .relu()
            .branch()
            .conv(&conv[2])
            .norm(&norm[2])
            .add_projection(&conv[3], &norm[3])
            .relu()
            .forward(x)
    }

    /// The loss of a pass: the output times numbers of no pattern, added up in f64 on the host.
    fn loss(&self, x: Tensor<4>) -> f64 {
        let y = host(&self.forward(x));
        let r = uniform("r", y.len());
        y.iter().zip(&r).map(|(y, r)| y * f64::from(*r)).sum()
    }

    /// Gradients of the input and of every parameter, in the order in which a mapper meets them.
    fn gradients(&self, x: Tensor<4>) -> Vec<Vec<f64>> {
        let x = x.require_grad();
        let y = self.forward(x.clone());
        let values = TensorData::new(uniform("r", OUTPUT.iter().product()), OUTPUT);
        let r = Tensor::<4>::from_data(values, &device()).cast(y.dtype());
        let gradients = (y * r).sum().backward();
        let mut all = vec![gradient(&x, &gradients).unwrap()];
        for conv in &self.convs {
            all.push(gradient(&conv.weight.val(), &gradients).unwrap());
            let bias = conv.bias.as_ref();
            all.extend(bias.map(|bias| gradient(&bias.val(), &gradients).unwrap()));
        }
        for norm in &self.norms {
            all.push(gradient(&norm.gamma.val(), &gradients).unwrap());
            all.push(gradient(&norm.beta.val(), &gradients).unwrap());
        }
        all
    }
}

fn input() -> Tensor<4> {
    let values = TensorData::new(uniform("x", INPUT.iter().product()), INPUT);
    Tensor::from_data(values, &device())
}

/// Adds `by` to one element of one parameter that has a gradient.
struct Nudge {
    parameter: usize,
    element: usize,
    by: f64,
}

fn nudged<const D: usize>(tensor: Tensor<D>, element: usize, by: f64) -> Tensor<D> {
    let (shape, device) = (tensor.dims(), tensor.device());
    let mut values = host(&tensor);
    values[element] += by;
    Tensor::from_data(TensorData::new(values, shape), &device)
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let here = self.parameter == 0;
        self.parameter = self.parameter.wrapping_sub(1);
        match here {
            true => param.map(|tensor| nudged(tensor, self.element, self.by).require_grad()),
            false => param,
        }
    }
}

/// Central differences with steps of 1e-5: their error is about 1e-10 by the third derivative, and 1e-16 / 1e-5 by rounding, of
/// numbers of size 10. Asked: 1e-7 of the largest gradient of the tensor, or of 1.
#[test]
fn gradients_are_finite_differences() {
    let net = Net::new();
    let gradients = net.gradients(input());
    assert_eq!(gradients.len(), 1 + 4 + 2 + 8);
    let step = 1e-5;
    for (index, gradient) in gradients.iter().enumerate() {
        let largest = gradient.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let count = gradient.len().min(6);
        for element in (0..count).map(|i| i * gradient.len() / count) {
            let at = |by: f64| match index {
                0 => net.loss(nudged(input(), element, by)),
                _ => {
                    let parameter = index - 1;
                    let mut nudge = Nudge {
                        parameter,
                        element,
                        by,
                    };
                    Net::new().map(&mut nudge).loss(input())
                }
            };
            let expected = (at(step) - at(-step)) / (2.0 * step);
            let error = (gradient[element] - expected).abs();
            assert!(
                error <= 1e-7 * largest.max(1.0),
                "tensor {index}, element {element}: {}, expected {expected}",
                gradient[element]
            );
        }
    }
}

/// Every float as f32.
struct Single;

impl ModuleMapper for Single {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let gradient = param.is_require_grad();
        param.map(|tensor| match tensor.device().is_autodiff() {
            true => {
                let single = Tensor::from_inner(tensor.inner().cast(DType::F32));
                if gradient {
                    single.require_grad()
                } else {
                    single
                }
            }
            false => tensor.cast(DType::F32),
        })
    }
}

/// The f32 kernels lose about 1e-6 a layer, which batch norm's differences multiply: 1e-4 of the largest. A bias before batch norm has
/// no gradient, and nothing to be measured by.
#[test]
fn kernels_in_f32_give_the_gradients_of_f64() {
    let net = Net::new();
    let single = Net::new().map(&mut Single);
    let expected_output = host(&net.forward(input()));
    let x = input().cast(DType::F32);
    let output = single.forward(x.clone());
    assert_eq!(output.dtype(), DType::F32);
    let values = difference(&host(&output), &expected_output);
    assert!(values <= 2e-5, "{values:e}");
    // What is not zero shows that it was computed in another precision.
    assert!(values > 1e-9, "{values:e}");
    let (found, expected) = (single.gradients(x), net.gradients(input()));
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let largest = expected.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        match largest < 1e-9 {
            true => assert!(found.iter().all(|v| v.abs() < 1e-4), "{index}: {found:?}"),
            false => assert_close(found, expected, 1e-4, &format!("gradient {index}")),
        }
    }
}

#[test]
fn inference_in_f64() {
    let net = Net::new().valid();
    let y = net.forward(input().inner());
    assert_eq!(y.dtype(), DType::F64);
    let single = Net::new().map(&mut Single).valid();
    let found = single.forward(input().inner().cast(DType::F32));
    assert_eq!(found.dtype(), DType::F32);
    assert_close(&host(&found), &host(&y), 2e-5, "inference");
}
