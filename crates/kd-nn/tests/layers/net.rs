//! A network of a few layers, and sequences of them by kd-nn and by Burn.

use burn::module::{Module, Param};
use burn::nn::{self, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use kd_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Fused};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::common::{difference, formula, gradient, host, tensor};

pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// Always the same cases: among millions of numbers one lies so near to ReLU's kink that rounding decides its gate.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Op {
    Conv(usize),
    Norm(usize),
    Relu,
    /// A tensor of its own, the how manieth.
    Add(usize),
    Branch,
    Shortcut,
    Projection(usize, usize),
}
pub(crate) use Op::{Add, Branch, Conv, Norm, Projection, Relu, Shortcut};

pub(crate) const CHANNELS: usize = 17;
pub(crate) const INPUT: [usize; 4] = [2, CHANNELS, 6, 7];

/// Layers for sequences. Convolutions 0 to 3 and norms 0 to 2 keep the shape; 4 and 5 halve it, to 20 channels, where 6 and
/// norms 3 to 5 belong.
#[derive(Module, Debug)]
pub(crate) struct Net {
    pub(crate) convs: Vec<Conv2d>,
    pub(crate) norms: Vec<BatchNorm>,
}

impl Net {
    pub(crate) fn new(device: &Device) -> Self {
        let conv =
            |channels: [usize; 2], kernel: usize, stride: usize, groups: usize, bias: bool| {
                let pad = kernel / 2;
                Conv2dConfig::new(channels, [kernel; 2])
                    .with_stride([stride; 2])
                    .with_groups(groups)
                    .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                    .with_bias(bias)
                    .init(device)
            };
        let net = Self {
            convs: vec![
                conv([CHANNELS; 2], 3, 1, 1, false),
                conv([CHANNELS; 2], 3, 1, 1, true),
                conv([CHANNELS; 2], 1, 1, 1, true),
                conv([CHANNELS; 2], 3, 1, CHANNELS, false),
                conv([CHANNELS, 20], 3, 2, 1, false),
                conv([CHANNELS, 20], 1, 2, 1, true),
                conv([20; 2], 3, 1, 1, false),
            ],
            norms: [CHANNELS, CHANNELS, CHANNELS, 20, 20, 20]
                .map(|channels| BatchNormConfig::new(channels).init(device))
                .into(),
        };
        let net = formula::fill(net, "net", true);
        match device.is_autodiff() {
            true => net.train(),
            false => net,
        }
    }

    pub(crate) fn fused(&self, ops: &[Op], x: Tensor<4>, addends: &[Tensor<4>]) -> Tensor<4> {
        let (conv, norm) = (&self.convs, &self.norms);
        ops.iter()
            .fold(Fused::new(), |fused, op| match *op {
                Conv(i) => fused.conv(&conv[i]),
                Norm(i) => fused.norm(&norm[i]),
                Relu => fused.relu(),
                Add(i) => fused.add_tensor(addends[i].clone()),
                Branch => fused.branch(),
                Shortcut => fused.add_shortcut(),
                Projection(i, j) => fused.add_projection(&conv[i], &norm[j]),
            })
            .forward(x)
    }

    /// By Burn's layers, one by one.
    pub(crate) fn apart(&self, ops: &[Op], x: Tensor<4>, addends: &[Tensor<4>]) -> Tensor<4> {
        let conv = |i: usize, x| nn::conv::Conv2d::from(self.convs[i].clone()).forward(x);
        let norm = |i: usize, x| nn::BatchNorm::from(self.norms[i].clone()).forward(x);
        let (mut x, mut shortcut) = (x.clone(), x);
        for op in ops {
            x = match *op {
                Conv(i) => conv(i, x),
                Norm(i) => norm(i, x),
                Relu => relu(x),
                Add(i) => x + addends[i].clone(),
                Branch => {
                    shortcut = x.clone();
                    x
                }
                Shortcut => x + shortcut.clone(),
                Projection(i, j) => x + norm(j, conv(i, shortcut.clone())),
            };
        }
        x
    }
}

/// What of the network learns, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    Training,
    /// Norms with running statistics, but with gradients.
    FixedNorms,
    FrozenNorms,
    FrozenConvs,
    /// The input asks for no gradient.
    PlainInput,
    /// Every other layer alone.
    SomeFrozen,
}

pub(crate) const MODES: [Mode; 6] = [
    Mode::Training,
    Mode::FixedNorms,
    Mode::FrozenNorms,
    Mode::FrozenConvs,
    Mode::PlainInput,
    Mode::SomeFrozen,
];

impl Mode {
    pub(crate) fn set(self, mut net: Net) -> Net {
        match self {
            Self::Training | Self::PlainInput => {}
            Self::FixedNorms => {
                for norm in &mut net.norms {
                    norm.training = Param::from_bool(false);
                }
            }
            Self::FrozenNorms => net.norms = net.norms.freeze(),
            Self::FrozenConvs => net.convs = net.convs.freeze(),
            Self::SomeFrozen => {
                let mut turn = 0;
                let mut next = || {
                    turn += 1;
                    turn % 2 == 0
                };
                let convs = net.convs.into_iter();
                net.convs = convs.map(|c| if next() { c.freeze() } else { c }).collect();
                let norms = net.norms.into_iter();
                net.norms = norms.map(|n| if next() { n.freeze() } else { n }).collect();
            }
        }
        net
    }
}

/// Output, and by name the gradients of everything that may have one.
type Pass = (Vec<f64>, Vec<(String, Option<Vec<f64>>)>);

/// A pass and its backward pass, with a network of its own: running statistics are shared by clones.
pub(crate) fn pass(
    ops: &[Op],
    mode: Mode,
    shape: [usize; 4],
    device: &Device,
    forward: fn(&Net, &[Op], Tensor<4>, &[Tensor<4>]) -> Tensor<4>,
) -> (Pass, Net) {
    let net = mode.set(Net::new(device));
    let x = tensor("x", shape, device);
    let x = match mode {
        Mode::PlainInput => x,
        _ => x.require_grad(),
    };
    // Their shape is the input's. The second asks for no gradient.
    let addends = [
        tensor("a", shape, device).require_grad(),
        tensor("b", shape, device),
        tensor("c", shape, device).require_grad(),
    ];
    let y = forward(&net, ops, x.clone(), &addends);
    let output = host(&y);
    let r = tensor("r", y.dims(), device);
    let gradients = (y * r).sum().backward();
    let mut all = vec![("x".to_string(), gradient(&x, &gradients))];
    for (i, addend) in addends.iter().enumerate() {
        all.push((format!("addend {i}"), gradient(addend, &gradients)));
    }
    for (i, conv) in net.convs.iter().enumerate() {
        let weight = gradient(&conv.weight.val(), &gradients);
        all.push((format!("weight {i}"), weight));
        if let Some(bias) = &conv.bias {
            all.push((format!("bias {i}"), gradient(&bias.val(), &gradients)));
        }
    }
    for (i, norm) in net.norms.iter().enumerate() {
        all.push((
            format!("gamma {i}"),
            gradient(&norm.gamma.val(), &gradients),
        ));
        all.push((format!("beta {i}"), gradient(&norm.beta.val(), &gradients)));
    }
    ((output, all), net)
}

pub(crate) fn compare(
    ops: &[Op],
    mode: Mode,
    shape: [usize; 4],
    device: &Device,
) -> Result<(), String> {
    let ((output, found), net) = pass(ops, mode, shape, device, Net::fused);
    let ((expected_output, expected), expected_net) = pass(ops, mode, shape, device, Net::apart);
    let what = format!("{ops:?} {mode:?} {shape:?}");
    let values = difference(&output, &expected_output);
    if values > 2e-5 {
        return Err(format!("{what}, output: {values:e}"));
    }
    // What batch norm takes out again, a bias or the scale of a norm before it, has a gradient of 0 but for what rounding leaves of
    // large numbers: shares are of a hundredth of the largest gradient at least.
    let gradients = expected.iter().flat_map(|(_, g)| g.iter().flatten());
    let scale = 0.01 * gradients.fold(0.0_f64, |m, v| m.max(v.abs()));
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        let difference = match (found, expected) {
            (None, None) => 0.0,
            (Some(found), Some(expected)) => {
                let largest = expected.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
                difference(found, expected) * largest / largest.max(scale)
            }
            (found, _) => {
                let which = if found.is_some() { "found" } else { "expected" };
                return Err(format!("{what}, {name}: {which} alone"));
            }
        };
        if difference > 2e-4 {
            return Err(format!("{what}, {name}: {difference:e}"));
        }
    }
    for (found, expected) in net.norms.iter().zip(&expected_net.norms) {
        let [found, expected] = [found, expected].map(|norm| host(&norm.running_mean.value_sync()));
        let difference = difference(&found, &expected);
        if difference > 2e-5 {
            return Err(format!("{what}, running means: {difference:e}"));
        }
    }
    Ok(())
}

/// Inference, without autodiff.
pub(crate) fn compare_inference(ops: &[Op], shape: [usize; 4]) -> Result<(), String> {
    let device = Device::flex();
    let net = Net::new(&device);
    let x = tensor("x", shape, &device);
    let addends = ["a", "b", "c"].map(|key| tensor(key, shape, &device));
    let found = net.fused(ops, x.clone(), &addends);
    let expected = net.apart(ops, x, &addends);
    match difference(&host(&found), &host(&expected)) {
        small if small <= 2e-5 => Ok(()),
        large => Err(format!("{ops:?}, inference: {large:e}")),
    }
}

pub(crate) const BLOCK: [Op; 7] = [Conv(0), Norm(0), Relu, Conv(1), Norm(1), Shortcut, Relu];
