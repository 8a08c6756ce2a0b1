//! The layers against Burn's own, one by one: values, gradients, records, misuse.
//!
//! Both sides compute in f32. Tolerances are shares of the largest element: 1e-5 for a convolution, whose sums lose about 1e-6;
//! 2e-5 for the values of a sequence and 2e-4 for its gradients, since several layers add up and batch norm divides differences.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::{Module, Param};
use burn::nn::{self, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn_store::{
    BurnToPyTorchAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter, SafetensorsStore,
};
use common::{assert_close, difference, formula, gradient, host, tensor};
use kd_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Fused};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn device() -> Device {
    Device::flex().autodiff()
}

/// Always the same cases: among millions of numbers one lies so near to ReLU's kink that rounding decides its gate.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

fn padding() -> impl Strategy<Value = PaddingConfig2d> {
    prop_oneof![
        Just(PaddingConfig2d::Valid),
        Just(PaddingConfig2d::Same),
        (0..4_usize, 0..4_usize, 0..4_usize, 0..4_usize)
            .prop_map(|(t, l, b, r)| PaddingConfig2d::Explicit(t, l, b, r)),
    ]
}

prop_compose! {
    fn any_convolution()(
        batch in 1..5_usize,
        groups in prop_oneof![3 => Just(1), 1 => 2..5_usize],
        channels in [1..20_usize, 1..20_usize],
        depthwise in prop_oneof![3 => Just(false), 1 => Just(true)],
        kernel in [1..5_usize, 1..5_usize],
        stride in [1..4_usize, 1..4_usize],
        dilation in [1..3_usize, 1..3_usize],
        padding in padding(),
        bias in any::<bool>(),
        beyond in [0..9_usize, 0..9_usize],
    ) -> (Conv2dConfig, [usize; 4]) {
        let (channels, groups) = match (depthwise, groups) {
            (true, _) => ([channels[0] + 1; 2], channels[0] + 1),
            (false, groups) => (channels.map(|c| c.div_ceil(groups) * groups), groups),
        };
        // As large as the kernel at least, so that any padding will do.
        let size = [0, 1].map(|i| (kernel[i] - 1) * dilation[i] + 1 + beyond[i]);
        let config = Conv2dConfig::new(channels, kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_groups(groups)
            .with_padding(padding)
            .with_bias(bias);
        (config, [batch, channels[0], size[0], size[1]])
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn convolutions_are_burn_s((config, shape) in any_convolution()) {
        let device = device();
        let layer = formula::fill(config.init(&device), "conv", "fc", false).train();
        let burn: nn::conv::Conv2d = layer.clone().into();
        let pass = |forward: &dyn Fn(Tensor<4>) -> Tensor<4>| {
            let x = tensor("x", shape, &device).require_grad();
            let y = forward(x.clone());
            let r = tensor("r", y.dims(), &device);
            let mut all = vec![host(&y)];
            let gradients = (y * r).sum().backward();
            all.push(gradient(&x, &gradients).unwrap());
            all.push(gradient(&layer.weight.val(), &gradients).unwrap());
            if let Some(bias) = &layer.bias {
                all.push(gradient(&bias.val(), &gradients).unwrap());
            }
            all
        };
        let found = pass(&|x| layer.forward(x));
        let expected = pass(&|x| burn.forward(x));
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            prop_assert_eq!(found.len(), expected.len());
            let difference = difference(found, expected);
            prop_assert!(difference <= 1e-5, "tensor {}: {:e}", i, difference);
        }
        // Without autodiff, where another path is taken.
        let plain = layer.valid().forward(tensor("x", shape, &Device::flex()));
        prop_assert!(difference(&host(&plain), &expected[0]) <= 1e-5);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Conv(usize),
    Norm(usize),
    Relu,
    /// A tensor of its own, the how manieth.
    Add(usize),
    Branch,
    Shortcut,
    Projection(usize, usize),
}
use Op::{Add, Branch, Conv, Norm, Projection, Relu, Shortcut};

const CHANNELS: usize = 17;
const INPUT: [usize; 4] = [2, CHANNELS, 6, 7];

/// Layers for sequences. Convolutions 0 to 3 and norms 0 to 2 keep the shape; 4 and 5 halve it, to 20 channels, where 6 and
/// norms 3 to 5 belong.
#[derive(Module, Debug)]
struct Net {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
}

impl Net {
    fn new(device: &Device) -> Self {
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
        let net = formula::fill(net, "net", "fc", true);
        match device.is_autodiff() {
            true => net.train(),
            false => net,
        }
    }

    fn fused(&self, ops: &[Op], x: Tensor<4>, addends: &[Tensor<4>]) -> Tensor<4> {
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
    fn apart(&self, ops: &[Op], x: Tensor<4>, addends: &[Tensor<4>]) -> Tensor<4> {
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
enum Mode {
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

const MODES: [Mode; 6] = [
    Mode::Training,
    Mode::FixedNorms,
    Mode::FrozenNorms,
    Mode::FrozenConvs,
    Mode::PlainInput,
    Mode::SomeFrozen,
];

impl Mode {
    fn set(self, mut net: Net) -> Net {
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
fn pass(
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

fn compare(ops: &[Op], mode: Mode, shape: [usize; 4], device: &Device) -> Result<(), String> {
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
fn compare_inference(ops: &[Op], shape: [usize; 4]) -> Result<(), String> {
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

fn sequences() -> Vec<Vec<Op>> {
    let basic = [Conv(0), Norm(0), Relu, Conv(1), Norm(1), Shortcut, Relu];
    let down = [
        Conv(4),
        Norm(3),
        Relu,
        Conv(6),
        Norm(4),
        Projection(5, 5),
        Relu,
    ];
    let repeated = |ops: &[Op], times: usize| {
        let all = ops.iter().copied().cycle();
        all.take(ops.len() * times).collect::<Vec<_>>()
    };
    let mut stage: Vec<Op> = basic.to_vec();
    stage.push(Branch);
    stage.extend(basic);
    stage.push(Branch);
    stage.extend(down);
    vec![
        basic.to_vec(),
        down.to_vec(),
        stage,
        vec![Norm(0), Relu, Conv(0), Norm(1), Relu, Conv(1), Shortcut],
        vec![
            Conv(2),
            Norm(0),
            Relu,
            Conv(3),
            Norm(1),
            Relu,
            Conv(2),
            Norm(2),
            Shortcut,
            Relu,
        ],
        vec![Conv(1), Relu, Conv(2), Relu],
        vec![Conv(0), Conv(1), Conv(2)],
        vec![Conv(1), Norm(0), Add(0), Relu],
        vec![Conv(1), Add(0), Norm(0), Relu, Add(1)],
        vec![Conv(1), Add(0), Relu],
        vec![Add(0), Add(2), Relu, Conv(0)],
        vec![Norm(0)],
        vec![Norm(0), Norm(1), Relu, Relu],
        vec![Relu],
        vec![Relu, Conv(0)],
        vec![Shortcut],
        vec![Branch, Shortcut],
        vec![Conv(0), Norm(0), Relu, Branch, Shortcut, Shortcut],
        vec![Conv(0), Norm(0), Relu, Branch],
        vec![Conv(0), Norm(0), Relu, Shortcut, Conv(1), Shortcut, Relu],
        vec![Conv(0), Norm(0), Shortcut, Conv(1), Norm(1), Shortcut],
        vec![Conv(4), Projection(4, 3), Projection(5, 4), Relu],
        vec![Relu, Conv(5), Norm(3), Relu, Projection(4, 4)],
        // The same layers several times.
        vec![
            Conv(0),
            Norm(0),
            Relu,
            Conv(0),
            Norm(0),
            Relu,
            Conv(0),
            Norm(0),
            Shortcut,
        ],
        vec![Conv(4), Norm(3), Projection(4, 3), Relu],
        // Up to the sizes of the operations that gradients are kept for, and beyond: 6, 7, 16, 19, 64 and 67 tensors.
        vec![Conv(1), Norm(0), Add(0), Relu],
        vec![Norm(0), Norm(1), Norm(2), Relu],
        repeated(&[Conv(0), Norm(0), Relu], 5),
        repeated(&[Conv(0), Norm(0), Relu], 6),
        repeated(&[Conv(0), Norm(0), Relu], 21),
        repeated(&[Conv(0), Norm(0), Relu], 22),
    ]
}

#[test]
fn sequences_are_their_layers_one_by_one() {
    for ops in sequences() {
        for mode in MODES {
            // Without batch statistics a deep sequence of one layer has numbers of no sense.
            if ops.len() > 50 && mode != Mode::Training {
                continue;
            }
            // Nothing has a gradient.
            if mode == Mode::PlainInput
                && !ops.iter().any(|op| !matches!(op, Relu | Shortcut | Branch))
            {
                continue;
            }
            compare(&ops, mode, INPUT, &device()).unwrap_or_else(|error| panic!("{error}"));
        }
        compare_inference(&ops, INPUT).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Images that are cut into bands, and more small images than tasks.
#[test]
fn sequences_of_large_and_of_many_images() {
    for ops in sequences().into_iter().take(10) {
        // Among hundreds of thousands of numbers one may be so near 0 that rounding turns its ReLU over, and the gradients around it;
        // but not with each of three inputs.
        for shapes in [
            [
                [1, CHANNELS, 61, 64],
                [1, CHANNELS, 60, 64],
                [1, CHANNELS, 61, 63],
            ],
            [
                [70, CHANNELS, 3, 2],
                [71, CHANNELS, 3, 2],
                [70, CHANNELS, 2, 3],
            ],
            [
                [33, CHANNELS, 1, 1],
                [34, CHANNELS, 1, 1],
                [35, CHANNELS, 1, 1],
            ],
        ] {
            for mode in [Mode::Training, Mode::FixedNorms] {
                let attempts = shapes.map(|shape| compare(&ops, mode, shape, &device()));
                assert!(attempts.iter().any(Result::is_ok), "{attempts:?}");
            }
            for shape in shapes {
                compare_inference(&ops, shape).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
}

#[test]
fn sequences_with_gradient_checkpointing() {
    let device = device().gradient_checkpointing();
    for ops in sequences().into_iter().filter(|ops| ops.len() < 20) {
        compare(&ops, Mode::Training, INPUT, &device).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4_usize).prop_map(Conv),
        4 => (0..3_usize).prop_map(Norm),
        3 => Just(Relu),
        1 => (0..3_usize).prop_map(Add),
        2 => Just(Branch),
        2 => Just(Shortcut),
        1 => (0..4_usize, 0..3_usize).prop_map(|(conv, norm)| Projection(conv, norm)),
    ]
}

proptest! {
    #![proptest_config(cases(96))]

    /// A norm comes first, and last, so that numbers keep their size.
    #[test]
    fn any_sequence_is_its_layers_one_by_one(
        middle in prop::collection::vec(any_op(), 1..9),
        mode in prop::sample::select(&MODES[..]),
    ) {
        let mut ops = vec![Norm(0)];
        ops.extend(middle);
        prop_assert_eq!(compare(&ops, mode, INPUT, &device()), Ok(()));
        prop_assert_eq!(compare_inference(&ops, INPUT), Ok(()));
    }
}

/// A loss on tensors between sequences, and on an output used twice.
#[test]
fn outputs_that_are_used_several_times() {
    let run = |forward: fn(&Net, &[Op], Tensor<4>, &[Tensor<4>]) -> Tensor<4>| {
        let device = device();
        let net = Net::new(&device);
        let x = tensor("x", INPUT, &device).require_grad();
        let first = [Conv(0), Norm(0), Relu];
        let second = [Conv(1), Norm(1), Add(0), Relu];
        let y = forward(&net, &first, x.clone(), &[]);
        let z = forward(&net, &second, y.clone(), std::slice::from_ref(&y));
        let w = forward(&net, &first, y.clone(), &[]);
        let loss = (z.clone() * tensor("r", INPUT, &device)).sum()
            + (y.clone() * y * tensor("s", INPUT, &device)).sum()
            + (w * z).mean()
            + (x.clone() * 0.5).sum();
        let gradients = loss.backward();
        let mut all = vec![gradient(&x, &gradients).unwrap()];
        for i in 0..2 {
            all.push(gradient(&net.convs[i].weight.val(), &gradients).unwrap());
            all.push(gradient(&net.norms[i].gamma.val(), &gradients).unwrap());
            all.push(gradient(&net.norms[i].beta.val(), &gradients).unwrap());
        }
        all
    };
    let (found, expected) = (run(Net::fused), run(Net::apart));
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_close(found, expected, 2e-4, &format!("gradient {i}"));
    }
}

/// Nothing asks for a gradient, on a device that could give it: norms still train.
#[test]
fn without_anything_that_learns() {
    let device = device();
    for ops in sequences() {
        let run = |forward: fn(&Net, &[Op], Tensor<4>, &[Tensor<4>]) -> Tensor<4>| {
            let net = Net::new(&device).no_grad();
            let x = tensor("x", INPUT, &device);
            let y = forward(&net, &ops, x.clone(), &[x.clone(), x.clone(), x]);
            let means = net
                .norms
                .iter()
                .flat_map(|norm| host(&norm.running_mean.value_sync()));
            (host(&y), means.collect::<Vec<_>>())
        };
        let (found, expected) = (run(Net::fused), run(Net::apart));
        assert_close(&found.0, &expected.0, 2e-5, &format!("{ops:?}"));
        assert_close(
            &found.1,
            &expected.1,
            2e-5,
            &format!("{ops:?}, running means"),
        );
    }
}

/// Compares, where one side may be on a device with autodiff and the other not.
fn compare_devices(net: &Net, x: &Tensor<4>, ops: &[Op]) {
    let run = |forward: fn(&Net, &[Op], Tensor<4>, &[Tensor<4>]) -> Tensor<4>| {
        catch_unwind(AssertUnwindSafe(|| {
            let y = forward(net, ops, x.clone(), &[]);
            (y.device().is_autodiff(), host(&y))
        }))
        .ok()
    };
    match (run(Net::fused), run(Net::apart)) {
        (Some((autodiff, found)), Some((expected_autodiff, expected))) => {
            assert_eq!(autodiff, expected_autodiff, "{ops:?}");
            assert_close(&found, &expected, 2e-5, &format!("{ops:?}"));
        }
        (found, expected) => assert_eq!(found.is_some(), expected.is_some(), "{ops:?}"),
    }
}

#[test]
fn devices_with_and_without_autodiff() {
    let (net, x) = (Net::new(&device()), tensor("x", INPUT, &Device::flex()));
    for ops in [&[Conv(0)][..], &[Norm(0), Relu], &[Conv(1), Relu, Conv(0)]] {
        compare_devices(&net, &x, ops);
    }
    let (net, x) = (Net::new(&Device::flex()), tensor("x", INPUT, &device()));
    for ops in [&BLOCK[..], &[Conv(0)], &[Norm(0), Relu]] {
        compare_devices(&net, &x, ops);
    }
}

/// Burn's convolution of images without autodiff by weights with it has autodiff, so the norm behind it trains.
#[test]
fn norms_train_behind_weights_that_do() {
    let (net, x) = (Net::new(&device()), tensor("x", INPUT, &Device::flex()));
    compare_devices(&net, &x, &[Conv(0), Norm(0)]);
}

/// Some ways to lay the same numbers out in memory, of shape [`INPUT`].
fn views(device: &Device) -> Vec<(&'static str, Tensor<4>)> {
    let [n, c, h, w] = INPUT;
    vec![
        (
            "permuted",
            tensor("v", [n, h, w, c], device).permute([0, 3, 1, 2]),
        ),
        (
            "transposed",
            tensor("v", [n, c, w, h], device).swap_dims(2, 3),
        ),
        (
            "batch",
            tensor("v", [n + 3, c, h, w], device).narrow(0, 2, n),
        ),
        (
            "permuted batch",
            tensor("v", [n + 3, h, w, c], device)
                .permute([0, 3, 1, 2])
                .narrow(0, 2, n),
        ),
        (
            "channels",
            tensor("v", [n, c + 5, h, w], device).narrow(1, 3, c),
        ),
        (
            "spatial",
            tensor("v", [n, c, h + 4, w + 3], device).slice([0..n, 0..c, 1..h + 1, 2..w + 2]),
        ),
        (
            "permuted spatial",
            tensor("v", [n, h + 4, w + 3, c], device)
                .permute([0, 3, 1, 2])
                .slice([0..n, 0..c, 1..h + 1, 2..w + 2]),
        ),
        (
            "expanded batch",
            tensor("v", [1, c, h, w], device).expand(INPUT),
        ),
        (
            "permuted, expanded batch",
            tensor("v", [1, h, w, c], device)
                .permute([0, 3, 1, 2])
                .expand(INPUT),
        ),
        (
            "expanded channels",
            tensor("v", [n, 1, h, w], device).expand(INPUT),
        ),
        (
            "expanded pixels",
            tensor("v", [n, c, 1, 1], device).expand(INPUT),
        ),
        ("flipped", tensor("v", INPUT, device).flip([2, 3])),
        ("flipped channels", tensor("v", INPUT, device).flip([0, 1])),
        (
            "permuted and flipped",
            tensor("v", [n, h, w, c], device)
                .permute([0, 3, 1, 2])
                .flip([3]),
        ),
        (
            "stepped",
            tensor("v", [n, c, 2 * h, 2 * w], device).slice(burn::tensor::s![.., .., 0..;2, 0..;2]),
        ),
    ]
}

/// The same numbers, in the order of the dimensions.
fn contiguous(view: &Tensor<4>) -> Tensor<4> {
    let data = match view.device().is_autodiff() {
        true => view.clone().inner().into_data(),
        false => view.clone().into_data(),
    };
    let data = burn::tensor::TensorData::new(data.iter::<f32>().collect::<Vec<_>>(), view.dims());
    Tensor::from_data(data, &view.device())
}

const BLOCK: [Op; 7] = [Conv(0), Norm(0), Relu, Conv(1), Norm(1), Shortcut, Relu];

#[test]
fn views_are_as_good_as_contiguous_tensors() {
    let device = device();
    let net = Net::new(&device);
    for (name, view) in views(&device) {
        assert_eq!(view.dims(), INPUT, "{name}");
        for ops in [
            &BLOCK[..],
            &[Conv(3)],
            &[Norm(1), Relu],
            &[Conv(2), Add(0), Relu],
        ] {
            // As input and addend, and as gradient of the output.
            let run = |view: Tensor<4>| {
                let x = view.clone().detach().require_grad();
                let y = net.fused(ops, x.clone(), std::slice::from_ref(&view));
                let output = host(&y);
                let gradients = (y * view).sum().backward();
                [output, gradient(&x, &gradients).unwrap()]
            };
            let (found, expected) = (run(view.clone()), run(contiguous(&view)));
            assert_eq!(found, expected, "{name} {ops:?}");
        }
        let plain = Net::new(&Device::flex());
        let [found, expected] =
            [view.clone(), contiguous(&view)].map(|x| host(&plain.fused(&BLOCK, x.inner(), &[])));
        assert_eq!(found, expected, "{name}, inference");
    }
}

/// What follows a sequence gives its gradient in every layout.
#[test]
fn gradients_arrive_as_views() {
    type After = fn(Tensor<4>) -> Tensor<4>;
    let after: [(&str, After); 6] = [
        ("permute", |y| y.permute([0, 2, 3, 1])),
        ("flip", |y| y.flip([1, 3])),
        ("slice", |y| y.slice([0..1, 2..9, 1..4, 3..7])),
        ("transpose", |y| y.swap_dims(1, 2)),
        ("mean", |y| y.mean_dim(3).mean_dim(2)),
        ("maximum", |y| y.max_dim(1)),
    ];
    for (name, after) in after {
        let run = |forward: fn(&Net, &[Op], Tensor<4>, &[Tensor<4>]) -> Tensor<4>| {
            let device = device();
            let net = Net::new(&device);
            let x = tensor("x", INPUT, &device).require_grad();
            let y = after(forward(&net, &BLOCK, x.clone(), &[]));
            let r = tensor("r", y.dims(), &device);
            let gradients = (y * r).sum().backward();
            [
                gradient(&x, &gradients).unwrap(),
                gradient(&net.convs[1].weight.val(), &gradients).unwrap(),
            ]
        };
        let (found, expected) = (run(Net::fused), run(Net::apart));
        for (found, expected) in found.iter().zip(&expected) {
            assert_close(found, expected, 2e-4, name);
        }
    }
    // An expanded number.
    let run = |forward: fn(&Net, &[Op], Tensor<4>, &[Tensor<4>]) -> Tensor<4>| {
        let device = device();
        let net = Net::new(&device);
        let x = tensor("x", INPUT, &device).require_grad();
        let gradients = forward(&net, &[Conv(1), Relu], x.clone(), &[])
            .sum()
            .backward();
        gradient(&x, &gradients).unwrap()
    };
    assert_close(&run(Net::fused), &run(Net::apart), 1e-5, "sum");
}

/// Whether it panics. The messages are Burn's, or name the shapes.
fn panics(run: impl FnOnce() -> Tensor<4>) -> bool {
    catch_unwind(AssertUnwindSafe(|| run().into_data())).is_err()
}

#[test]
fn misuse_is_a_panic() {
    for device in [Device::flex(), device()] {
        let net = Net::new(&device);
        let x = |shape: [usize; 4]| tensor("x", shape, &device);
        let (conv, norm) = (&net.convs, &net.norms);
        // As many channels as a layer has, and everything else fits.
        assert!(!panics(|| conv[0].forward(x(INPUT))));
        assert!(!panics(|| norm[0].forward(x(INPUT))));
        for channels in [1, 16, 18, 34] {
            let shape = [2, channels, 6, 7];
            assert!(
                panics(|| conv[0].forward(x(shape))),
                "convolution of {channels}"
            );
            assert!(
                panics(|| conv[3].forward(x(shape))),
                "depthwise of {channels}"
            );
            assert!(panics(|| norm[0].forward(x(shape))), "norm of {channels}");
        }
        // Shapes that do not fit together, after layers that do.
        let misfits = [
            vec![Conv(4), Norm(0)],
            vec![Conv(4), Shortcut],
            vec![Conv(0), Projection(4, 3)],
            vec![Conv(0), Projection(2, 3)],
            vec![Conv(0), Norm(0), Relu, Conv(6)],
        ];
        for ops in misfits {
            assert!(panics(|| net.fused(&ops, x(INPUT), &[])), "{ops:?}");
        }
        let other = [x([2, CHANNELS, 5, 7])];
        assert!(panics(|| net.fused(&[Conv(0), Add(0)], x(INPUT), &other)));
    }
}

/// What Burn does with no images at all, the layers do too.
#[test]
fn no_images() {
    for device in [Device::flex(), device()] {
        let net = Net::new(&device);
        let sequences = [
            vec![Conv(0)],
            vec![Conv(4)],
            vec![Norm(0)],
            vec![Conv(0), Norm(0), Relu],
            vec![Relu],
        ];
        for ops in sequences {
            let run = |forward: fn(&Net, &[Op], Tensor<4>, &[Tensor<4>]) -> Tensor<4>| {
                let x = Tensor::<4>::zeros([0, CHANNELS, 6, 7], &device);
                catch_unwind(AssertUnwindSafe(|| forward(&net, &ops, x, &[]).dims())).ok()
            };
            assert_eq!(run(Net::fused), run(Net::apart), "{ops:?}");
        }
    }
}

/// Of a kernel that is larger than the padded input, Burn makes an output without pixels on some backends and a panic on others.
#[test]
fn kernels_larger_than_the_input() {
    for device in [Device::flex(), device()] {
        let ours = Conv2dConfig::new([3, 4], [5, 5])
            .with_padding(PaddingConfig2d::Explicit(1, 0, 0, 1))
            .init(&device);
        let burns = nn::conv::Conv2d::from(ours.clone());
        for size in [[3, 9], [9, 3], [1, 1], [4, 4]] {
            let x = || tensor("x", [2, 3, size[0], size[1]], &device);
            let [found, expected] = [
                catch_unwind(AssertUnwindSafe(|| ours.forward(x()).dims())).ok(),
                catch_unwind(AssertUnwindSafe(|| burns.forward(x()).dims())).ok(),
            ];
            assert_eq!(found, expected, "{size:?}");
            // The last one fits exactly.
            assert_eq!(found == Some([2, 4, 1, 1]), size == [4, 4], "{size:?}");
        }
    }
}

/// A sequence of nothing.
#[test]
fn no_layers() {
    let x = tensor("x", INPUT, &Device::flex());
    assert_eq!(Fused::new().forward(x.clone()).into_data(), x.into_data());
}

#[derive(Module, Debug)]
struct Ours {
    conv: Conv2d,
    bn: BatchNorm,
}

#[derive(Module, Debug)]
struct Burns {
    conv: nn::conv::Conv2d,
    bn: nn::BatchNorm,
}

impl Ours {
    fn new() -> Self {
        let device = Device::flex();
        Self {
            conv: Conv2dConfig::new([6, 10], [3, 3])
                .with_groups(2)
                .init(&device),
            bn: BatchNormConfig::new(10).init(&device),
        }
    }

    fn filled(key: &str) -> Self {
        formula::fill(Self::new(), key, "fc", true)
    }

    fn numbers(&self) -> [Vec<f64>; 6] {
        [
            host(&self.conv.weight.val()),
            host(&self.conv.bias.as_ref().unwrap().val()),
            host(&self.bn.gamma.val()),
            host(&self.bn.beta.val()),
            host(&self.bn.running_mean.value_sync()),
            host(&self.bn.running_var.value_sync()),
        ]
    }

    fn into_burn(self) -> Burns {
        Burns {
            conv: self.conv.into(),
            bn: self.bn.into(),
        }
    }
}

impl From<Burns> for Ours {
    fn from(burns: Burns) -> Self {
        Self {
            conv: burns.conv.into(),
            bn: burns.bn.into(),
        }
    }
}

#[test]
fn records_are_burn_s() {
    let folder = tempfile::tempdir().unwrap();
    let original = Ours::filled("saved");
    let expected = original.numbers();
    assert_ne!(Ours::new().numbers(), expected);

    let path = folder.path().join("ours.safetensors");
    let mut store = SafetensorsStore::from_file(&path);
    original.save_into(&mut store).unwrap();
    let mut burns = Ours::new().into_burn();
    let result = burns
        .load_from(&mut SafetensorsStore::from_file(&path))
        .unwrap();
    assert!(
        result.missing.is_empty() && result.unused.is_empty(),
        "{result}"
    );
    assert_eq!(Ours::from(burns).numbers(), expected);

    let path = folder.path().join("burns.safetensors");
    let mut store = SafetensorsStore::from_file(&path);
    original.clone().into_burn().save_into(&mut store).unwrap();
    let mut ours = Ours::new();
    let result = ours
        .load_from(&mut SafetensorsStore::from_file(&path))
        .unwrap();
    assert!(
        result.missing.is_empty() && result.unused.is_empty(),
        "{result}"
    );
    assert_eq!(ours.numbers(), expected);
}

/// `weight`, `bias`, `running_mean`, `running_var`, as PyTorch calls them.
#[test]
fn pytorch_s_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pytorch.safetensors");
    let original = Ours::filled("saved");
    let mut store = SafetensorsStore::from_file(&path).with_to_adapter(BurnToPyTorchAdapter);
    original.save_into(&mut store).unwrap();
    let mut names: Vec<String> = SafetensorsStore::from_file(&path)
        .get_all_tensors()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    names.sort();
    let expected = [
        "bn.bias",
        "bn.running_mean",
        "bn.running_var",
        "bn.weight",
        "conv.bias",
        "conv.weight",
    ];
    assert_eq!(names, expected);
    let mut ours = Ours::new();
    let mut store = SafetensorsStore::from_file(&path).with_from_adapter(PyTorchToBurnAdapter);
    let result = ours.load_from(&mut store).unwrap();
    assert!(
        result.missing.is_empty() && result.unused.is_empty(),
        "{result}"
    );
    assert_eq!(ours.numbers(), original.numbers());
}

/// The display names what Burn's layers name.
#[test]
fn layers_are_displayed_as_burn_s() {
    let ours = Ours::new();
    let burns = Ours::new().into_burn();
    for (ours, burns) in [
        (ours.conv.to_string(), burns.conv.to_string()),
        (ours.bn.to_string(), burns.bn.to_string()),
    ] {
        for field in burns.split_whitespace() {
            assert!(ours.contains(field), "{field} of {burns} in {ours}");
        }
    }
}

/// Other numbers of dimensions go through Burn.
#[test]
fn norms_of_other_ranks() {
    let device = device();
    let norm = BatchNormConfig::new(5).init(&device);
    let burn: nn::BatchNorm = BatchNormConfig::new(5).init(&device).into();
    let x = tensor::<2>("x", [6, 5], &device);
    assert_eq!(host(&norm.forward(x.clone())), host(&burn.forward(x)));
    let x = tensor::<3>("x", [4, 5, 7], &device);
    assert_eq!(host(&norm.forward(x.clone())), host(&burn.forward(x)));
}

/// Another epsilon and another momentum than the defaults.
#[test]
fn norms_of_other_settings() {
    let device = device();
    let conv = formula::fill(
        Conv2dConfig::new([CHANNELS, 9], [3, 3]).init(&device),
        "conv",
        "fc",
        false,
    )
    .train();
    let config = BatchNormConfig::new(9).with_epsilon(0.3).with_momentum(0.4);
    let ours = config.init(&device);
    let burns: nn::BatchNorm = config.init(&device).into();
    let burn_conv = nn::conv::Conv2d::from(conv.clone());
    let x = tensor("x", INPUT, &device);
    for _ in 0..2 {
        let found = Fused::new().conv(&conv).norm(&ours).forward(x.clone());
        let expected = burns.forward(burn_conv.forward(x.clone()));
        assert_close(&host(&found), &host(&expected), 2e-5, "training");
    }
    let means = [&ours.running_mean, &burns.running_mean].map(|state| host(&state.value_sync()));
    assert_close(&means[0], &means[1], 2e-5, "running means");
    // Towards the unbiased variance: of n = 2 · 4 · 5 numbers, from 1.
    let [found, biased] =
        [&ours.running_var, &burns.running_var].map(|state| host(&state.value_sync()));
    let start = 0.6 * 0.6;
    let unbiased: Vec<f64> = biased
        .iter()
        .map(|v| start + (v - start) * 40.0 / 39.0)
        .collect();
    assert_close(&found, &unbiased, 2e-5, "running variances");

    // Inference, with the same variances.
    let mut burns = burns.valid();
    burns.running_var = ours.valid().running_var;
    let x = x.inner();
    let found = Fused::new()
        .conv(&conv.valid())
        .norm(&ours.valid())
        .forward(x.clone());
    let expected = burns.forward(burn_conv.valid().forward(x));
    assert_close(&host(&found), &host(&expected), 2e-5, "inference");
}

/// Several threads train at once.
#[test]
fn several_networks_at_once() {
    let run = || {
        let ((output, gradients), _) = pass(&BLOCK, Mode::Training, INPUT, &device(), Net::fused);
        (output, gradients)
    };
    let expected = run();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..10).all(|_| run() == expected)))
            .collect();
        for thread in threads {
            assert!(thread.join().unwrap());
        }
    });
}

/// On one number a channel the running variance moves towards the biased one, 0; on two, towards twice it.
#[test]
fn running_statistics_of_few_numbers() {
    for (batch, [mean, variance]) in [(1, [0.3, 0.9]), (2, [0.2, 0.92])] {
        let device = device();
        let norm = BatchNormConfig::new(1).init(&device);
        let x = Tensor::<1>::from_data([3.0, 1.0], &device).narrow(0, 0, batch);
        norm.forward(x.reshape([batch, 1, 1, 1]));
        let found =
            [&norm.running_mean, &norm.running_var].map(|state| host(&state.value_sync())[0]);
        // 2 numbers: mean 2, biased variance 1, unbiased 2: 0.9 + 0.1 · 2 = 1.1.
        let variance = if batch == 2 { 1.1 } else { variance };
        for (found, expected) in found.iter().zip([mean, variance]) {
            assert!(
                (found - expected).abs() < 1e-6,
                "{batch}: {found} {expected}"
            );
        }
    }
}
