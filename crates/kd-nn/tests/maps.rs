//! Poolings and arrangements of channels: the kernels against Burn's operations and against loops, values and gradients.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use kd_nn::{Arrangement, Pool, mean_pixels};
use proptest::prelude::*;

fn device() -> Device {
    Device::flex().autodiff()
}

/// Small whole numbers, so that sums are exact and maxima are often tied.
fn map(shape: [usize; 4], seed: usize) -> Tensor<4> {
    let len = shape.iter().product::<usize>();
    let numbers: Vec<f32> = (0..len)
        .map(|i| ((i * 7919 + seed * 104_729) % 13) as f32 - 6.0)
        .collect();
    Tensor::from_data(TensorData::new(numbers, shape), &device())
}

/// Channels innermost or in order, at the caller's choice; a leaf of the graph.
fn leaf(map: Tensor<4>, channels_last: bool) -> Tensor<4> {
    let map = match channels_last {
        true => {
            let [b, c, h, w] = map.dims();
            let last = map.inner().permute([0, 2, 3, 1]).into_data();
            Tensor::<4>::from_data(last, &Device::flex())
                .reshape([b, h, w, c])
                .permute([0, 3, 1, 2])
        }
        false => map.inner(),
    };
    Tensor::from_inner(map).require_grad()
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter().collect()
}

/// Value, and gradient of a weighted sum of it.
fn both(x: &Tensor<4>, y: Tensor<4>, seed: usize) -> (Vec<f32>, Vec<f32>) {
    let weights = map(y.dims(), seed + 1);
    let gradients = (y.clone() * weights).sum().backward();
    (numbers(y), numbers(x.grad(&gradients).unwrap()))
}

proptest! {
    #[test]
    fn pools_are_burn_s(
        shape in [1usize..4, 1..40, 3..9, 3..9],
        kernel in [1usize..4, 1..4],
        stride in [1usize..4, 1..4],
        pad in [0usize..2, 0..2],
        channels_last: bool,
        seed in 0usize..1000,
    ) {
        let padding = [0, 1].map(|axis| pad[axis].min(kernel[axis] / 2));
        let pool = Pool { kernel, stride, padding };
        let x = leaf(map(shape, seed), channels_last);
        let plain = leaf(map(shape, seed), false);

        let options = MaxPoolOptions::new(kernel).with_stride(stride).with_padding(padding);
        let expected = both(&plain, max_pool2d(plain.clone(), options), seed);
        let found = both(&x, pool.largest(x.clone()), seed);
        prop_assert_eq!(found.0, expected.0);
        // Among ties Burn and the kernel both choose the first, row by row.
        prop_assert_eq!(found.1, expected.1);

        let x = leaf(map(shape, seed), channels_last);
        let plain = leaf(map(shape, seed), false);
        let options = AvgPoolOptions::new(kernel).with_stride(stride).with_padding(padding);
        let expected = both(&plain, avg_pool2d(plain.clone(), options), seed);
        let found = both(&x, pool.mean(x.clone()), seed);
        // Ninths are rounded before or after the sum.
        for (found, expected) in [(found.0, expected.0), (found.1, expected.1)] {
            for (found, expected) in found.iter().zip(expected) {
                prop_assert!((found - expected).abs() <= 1e-5, "{} {}", found, expected);
            }
        }
    }

    #[test]
    fn the_mean_over_the_pixels(shape in [1usize..4, 1..40, 1..9, 1..9], channels_last: bool, seed in 0usize..1000) {
        let x = leaf(map(shape, seed), channels_last);
        let found = mean_pixels(x.clone());
        let expected = numbers(x.clone().mean_dim(2).mean_dim(3));
        let [batch, channels, height, width] = shape;
        prop_assert_eq!(found.dims(), [batch, channels]);
        for (found, expected) in numbers(found.clone()).iter().zip(expected) {
            prop_assert!((found - expected).abs() <= 1e-5);
        }
        let gradients = found.sum().backward();
        let share = 1.0 / (height * width) as f32;
        let gradient = numbers(x.grad(&gradients).unwrap());
        prop_assert!(gradient.iter().all(|g| (g - share).abs() <= 1e-6));
    }

    /// Any order, with channels that come twice or not at all, of maps in any layout.
    #[test]
    fn arrangements_are_what_they_say(
        (channels, order) in [1usize..20, 1..20].prop_flat_map(|channels| {
            let any = (0..2usize, 0..20usize).prop_map(move |(map, c)| (map, c % channels[map]));
            (Just(channels), prop::collection::vec(any, 1..50))
        }),
        sides in [1usize..4, 1..6, 1..6],
        layouts: [bool; 2],
        seed in 0usize..1000,
    ) {
        check_arrangement(channels, order, sides, layouts, seed)?;
    }

    /// The orders that networks use: one behind the other, alternating, halves.
    #[test]
    fn regular_arrangements_are_what_they_say(
        half in 1usize..20,
        groups in 1usize..5,
        sides in [1usize..4, 1..6, 1..6],
        layouts: [bool; 2],
        seed in 0usize..1000,
    ) {
        let all = |map: usize, channels: usize| (0..channels).map(move |c| (map, c));
        let channels = [half * groups, half];
        let behind = all(0, channels[0]).chain(all(1, half)).collect();
        check_arrangement(channels, behind, sides, layouts, seed)?;
        let from = |c: usize| (0, (c % groups) * half + c / groups);
        check_arrangement(channels, (0..channels[0]).map(from).collect(), sides, layouts, seed)?;
        let alternating = (0..2 * half).map(|c| (c % 2, c / 2)).collect();
        check_arrangement(channels, alternating, sides, layouts, seed)?;
        let second = (channels[0] / 2..channels[0]).map(|c| (0, c)).collect();
        check_arrangement(channels, second, sides, layouts, seed)?;
    }
}

fn check_arrangement(
    channels: [usize; 2],
    order: Vec<(usize, usize)>,
    [batch, height, width]: [usize; 3],
    layouts: [bool; 2],
    seed: usize,
) -> Result<(), TestCaseError> {
    if order.is_empty() {
        return Ok(());
    }
    let shapes = channels.map(|channels| [batch, channels, height, width]);
    let maps = [0, 1].map(|i| leaf(map(shapes[i], seed + i), layouts[i]));
    let arrangement = Arrangement::new(order.clone());
    let y = arrangement.of(maps.clone());
    prop_assert_eq!(y.dims(), [batch, order.len(), height, width]);
    let weights = map(y.dims(), seed + 2);
    let gradients = (y.clone() * weights.clone()).sum().backward();

    let pixels = height * width;
    let sources = maps.clone().map(numbers);
    let (found, weights) = (numbers(y), numbers(weights));
    let mut expected = channels.map(|channels| vec![0.0; batch * channels * pixels]);
    for n in 0..batch {
        for (c, &(map, channel)) in order.iter().enumerate() {
            for pixel in 0..pixels {
                let at = (n * order.len() + c) * pixels + pixel;
                let from = (n * channels[map] + channel) * pixels + pixel;
                prop_assert_eq!(found[at], sources[map][from]);
                expected[map][from] += weights[at];
            }
        }
    }
    for (map, expected) in maps.iter().zip(expected) {
        prop_assert_eq!(numbers(map.grad(&gradients).unwrap()), expected);
    }
    Ok(())
}

/// A map outside of the graph beside one in it.
#[test]
fn a_constant_map_has_no_gradient() {
    let x = leaf(map([2, 3, 4, 4], 1), true);
    let constant = map([2, 2, 4, 4], 2).inner();
    let order = vec![(1, 0), (0, 2), (1, 1), (0, 0)];
    let y = Arrangement::new(order).of([x.clone(), Tensor::from_inner(constant)]);
    let gradient = numbers(x.grad(&y.sum().backward()).unwrap());
    let sums: Vec<f32> = gradient
        .chunks(16)
        .map(|channel| channel.iter().sum())
        .collect();
    assert_eq!(sums, [16.0, 0.0, 16.0, 16.0, 0.0, 16.0]);
}

#[test]
fn not_a_number_stays() {
    let numbers = vec![1.0, f32::NAN, 3.0, 2.0];
    let x = Tensor::<4>::from_data(TensorData::new(numbers, [1, 1, 2, 2]), &Device::flex());
    let y = Pool::square(2, 2, 0).largest(x);
    assert!(y.into_scalar::<f32>().is_nan());
}

#[test]
#[should_panic(expected = "there is no channel 3 of map 0")]
fn a_channel_that_is_not_there() {
    let _ = Arrangement::new(vec![(0, 3)]).of([map([1, 3, 2, 2], 0)]);
}

#[test]
#[should_panic(expected = "differ in batch, height or width")]
fn maps_of_two_sizes() {
    let _ = Arrangement::new(vec![(0, 0)]).of([map([1, 1, 2, 2], 0), map([1, 1, 3, 2], 0)]);
}
