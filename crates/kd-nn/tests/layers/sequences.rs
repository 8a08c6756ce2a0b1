//! Sequences against their layers one by one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;

use crate::common::{assert_close, gradient, host, tensor};
use crate::net::*;

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
