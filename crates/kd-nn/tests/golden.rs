//! Convolutions, batch norms and residual blocks against PyTorch in f64: `tools/nn_golden.py` wrote the fixture.
//!
//! Inputs and parameters are the same f32 numbers, so differences are this side's rounding. Tolerances are shares of the largest
//! element of a tensor (of the sum of magnitudes, for sums): 2e-5 for values and for gradients of convolutions, whose sums have up to
//! 2 000 terms of which f32 loses about 1e-6. Gradients through batch norm in training are differences of a number and of its
//! share of two means, divided by the deviation, which cancels some digits; over the layers of a block they may lose ten times as
//! much: 1e-4.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

pub mod common;

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::tensor::{Device, Tensor};
use common::{assert_digest, formula, gradient, host, tensor};
use kd_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Fused};
use serde_json::Value;

const VALUES: f64 = 2e-5;
const GRADIENTS: f64 = 1e-4;

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/nn.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap();
    values.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn sizes<const N: usize>(value: &Value) -> [usize; N] {
    let values = value.as_array().unwrap();
    std::array::from_fn(|i| values[i].as_u64().unwrap() as usize)
}

#[test]
fn convolutions() {
    let fixture = fixture();
    let cases = fixture["convolutions"].as_object().unwrap();
    assert_eq!(cases.len(), 12);
    let device = Device::flex().autodiff();
    for (name, golden) in cases {
        let of = &golden["geometry"];
        let input = sizes::<4>(&of["input"]);
        let [top, left, bottom, right] = sizes(&of["padding"]);
        let outputs = of["outputs"].as_u64().unwrap() as usize;
        let layer = Conv2dConfig::new([input[1], outputs], sizes(&of["kernel"]))
            .with_stride(sizes(&of["stride"]))
            .with_dilation(sizes(&of["dilation"]))
            .with_groups(of["groups"].as_u64().unwrap() as usize)
            .with_padding(PaddingConfig2d::Explicit(top, left, bottom, right))
            .with_bias(of["bias"].as_bool().unwrap())
            .init(&device);
        let layer = formula::fill(layer, name, false).train();
        let x = tensor(&format!("{name}.x"), input, &device).require_grad();
        let y = layer.forward(x.clone());
        let golden = &golden["values"];
        let check = |found: Vec<f64>, key: &str| {
            let what = format!("{name}, {key}");
            assert_digest(&found, &numbers(&golden[key]), VALUES, &what);
        };
        check(host(&y), "output");
        let weights = tensor(&format!("{name}.r"), y.dims(), &device);
        let gradients = (y * weights).sum().backward();
        check(gradient(&x, &gradients).unwrap(), "x");
        check(gradient(&layer.weight.val(), &gradients).unwrap(), "weight");
        if let Some(bias) = &layer.bias {
            check(gradient(&bias.val(), &gradients).unwrap(), "bias");
        }
        assert_eq!(
            golden.as_object().unwrap().len(),
            3 + usize::from(layer.bias.is_some())
        );
    }
}

#[derive(Module, Debug)]
struct Block {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
}

impl Block {
    fn new(of: &Value, device: &Device) -> Self {
        let convs = of["convs"].as_array().unwrap().iter().map(|conv| {
            let [inputs, outputs, kernel, stride] = sizes(conv);
            let pad = kernel / 2;
            Conv2dConfig::new([inputs, outputs], [kernel; 2])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                .with_bias(conv[4].as_bool().unwrap())
                .init(device)
        });
        let norms = of["norms"].as_array().unwrap().iter();
        let norms = norms.map(|c| BatchNormConfig::new(c.as_u64().unwrap() as usize).init(device));
        Self {
            convs: convs.collect(),
            norms: norms.collect(),
        }
    }

    /// As the script's `forward`, in one sequence.
    fn forward(&self, kind: &str, x: Tensor<4>) -> Tensor<4> {
        let (conv, norm) = (&self.convs, &self.norms);
        fn residual<'a>(of: Fused<'a>, block: &'a Block, i: usize) -> Fused<'a> {
            let (conv, norm) = (&block.convs, &block.norms);
            of.conv(&conv[i])
                .norm(&norm[i])
                .relu()
                .conv(&conv[i + 1])
                .norm(&norm[i + 1])
        }
        let fused = Fused::new();
        match kind {
            "identity" => residual(fused, self, 0).add_shortcut().relu(),
            "projection" => residual(fused, self, 0)
                .add_projection(&conv[2], &norm[2])
                .relu(),
            "preactivation" => fused
                .norm(&norm[0])
                .relu()
                .conv(&conv[0])
                .norm(&norm[1])
                .relu()
                .conv(&conv[1])
                .add_shortcut(),
            "biased" => fused.conv(&conv[0]).relu().conv(&conv[1]).relu(),
            "two" => {
                let first = residual(fused, self, 0)
                    .add_projection(&conv[2], &norm[2])
                    .relu()
                    .branch();
                residual(first, self, 3).add_shortcut().relu()
            }
            other => panic!("{other}"),
        }
        .forward(x)
    }

    /// Whether norms take the batch's statistics.
    fn training(mut self, training: bool) -> Self {
        for norm in &mut self.norms {
            norm.training = Param::from_bool(training);
        }
        self
    }
}

/// Output and all gradients of one pass; then `names` of what was compared.
fn check_pass(
    name: &str,
    block: &Block,
    golden: &Value,
    x: Tensor<4>,
    forward: impl Fn(&Block, Tensor<4>) -> Tensor<4>,
    prefix: &str,
) {
    let device = x.device();
    let x = x.require_grad();
    let y = forward(block, x.clone());
    let weights = tensor(&format!("{name}.r"), y.dims(), &device);
    let output = host(&y);
    let gradients = (y * weights).sum().backward();
    let golden_norm = golden.get("norm.weight").is_some();
    let check = |found: Vec<f64>, key: &str, tolerance: f64| {
        let what = format!("{name}, {prefix}, {key}");
        let expected = numbers(&golden[key]);
        if golden_norm && key == "x" && found.len() <= 10 {
            // One or two numbers a channel: numbers of up to 316 cancel, and f32's share of them is left.
            for (found, expected) in found.iter().zip(&expected[3..]) {
                assert!(
                    (found - expected).abs() < 4e-5,
                    "{what}: {found} {expected}"
                );
            }
            return;
        }
        assert_digest(&found, &expected, tolerance, &what);
    };
    // Of one number a channel the deviation is √ε, 316 times which `scale · x` and `shift` cancel: 2e-5 of β's size 0.1 is lost.
    let values = if name == "one_pixel" { 1e-3 } else { VALUES };
    check(output, "output", values);
    check(gradient(&x, &gradients).unwrap(), "x", GRADIENTS);
    let mut compared = 2;
    for (i, conv) in block.convs.iter().enumerate() {
        let key = format!("convs.{i}.weight");
        check(
            gradient(&conv.weight.val(), &gradients).unwrap(),
            &key,
            GRADIENTS,
        );
        compared += 1;
        if let Some(bias) = &conv.bias {
            let key = format!("convs.{i}.bias");
            check(gradient(&bias.val(), &gradients).unwrap(), &key, GRADIENTS);
            compared += 1;
        }
    }
    for (i, norm) in block.norms.iter().enumerate() {
        for (parameter, name) in [(&norm.gamma, "weight"), (&norm.beta, "bias")] {
            let key = match golden_norm {
                true => format!("norm.{name}"),
                false => format!("norms.{i}.{name}"),
            };
            check(
                gradient(&parameter.val(), &gradients).unwrap(),
                &key,
                GRADIENTS,
            );
            compared += 1;
        }
    }
    assert_eq!(golden.as_object().unwrap().len(), compared, "{name}");
}

fn check_statistics(name: &str, block: &Block, golden: &Value) {
    for (i, norm) in block.norms.iter().enumerate() {
        for (state, key) in [
            (&norm.running_mean, "running_mean"),
            (&norm.running_var, "running_var"),
        ] {
            let path = match golden.get("norm.running_mean") {
                Some(_) => format!("norm.{key}"),
                None => format!("norms.{i}.{key}"),
            };
            let found = host(&state.value_sync());
            let what = format!("{name}, {path}");
            assert_digest(&found, &numbers(&golden[path]), VALUES, &what);
        }
    }
}

/// Two steps in training; the second's values and gradients, the statistics after both; evaluation with them.
fn check_steps(
    name: &str,
    block: Block,
    golden: &Value,
    forward: impl Fn(&Block, Tensor<4>) -> Tensor<4>,
) {
    let device = Device::flex().autodiff();
    let shape = sizes::<4>(&golden["shape"]);
    let [first, x] = ["first", "x"].map(|key| tensor(&format!("{name}.{key}"), shape, &device));
    if shape != [1, shape[1], 1, 1] {
        forward(&block, first);
    }
    check_pass(
        name,
        &block,
        &golden["training"],
        x.clone(),
        &forward,
        "training",
    );
    check_statistics(name, &block, &golden["statistics"]);
    let block = block.training(false);
    let golden_evaluation = &golden["evaluation"];
    check_pass(
        name,
        &block,
        golden_evaluation,
        x.clone(),
        &forward,
        "evaluation",
    );
    check_statistics(name, &block, &golden["statistics"]);
    // Without autodiff, where norms are part of the weights.
    let y = forward(&block.training(true).valid(), x.inner());
    let expected = numbers(&golden_evaluation["output"]);
    assert_digest(&host(&y), &expected, VALUES, &format!("{name}, inference"));
}

#[test]
fn blocks() {
    let fixture = fixture();
    let cases = fixture["blocks"].as_object().unwrap();
    assert_eq!(cases.len(), 5);
    for (name, golden) in cases {
        let block = Block::new(golden, &Device::flex().autodiff());
        let block = formula::fill(block, name, false).train();
        check_steps(name, block, golden, |block, x| block.forward(name, x));
    }
}

/// Among them one number a channel, whose variance is the biased one: 0.
#[test]
fn norms() {
    #[derive(Module, Debug)]
    struct Holder {
        norm: BatchNorm,
    }
    let fixture = fixture();
    let cases = fixture["norms"].as_object().unwrap();
    assert_eq!(cases.len(), 3);
    for (name, golden) in cases {
        let shape = sizes::<4>(&golden["shape"]);
        let norm = BatchNormConfig::new(shape[1]).init(&Device::flex().autodiff());
        let holder = formula::fill(Holder { norm }, name, false).train();
        let block = Block {
            convs: Vec::new(),
            norms: vec![holder.norm],
        };
        check_steps(name, block, golden, |block, x| block.norms[0].forward(x));
    }
}
