//! The engines agree on every operation: bit for bit, or within the level that the tensor engine states.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod operations;
mod plans;

use burn::tensor::{DType, Device, Tensor, TensorData};
use kd_augment::{
    Affine, Augmentation, CutMix, DrawKey, FMix, Images, Mix, ParamSharing, Plan, cpu, tensor,
};
use operations::{exact, inexact};
use proptest::prelude::*;

const SHAPES: [[usize; 4]; 5] = [
    [16, 3, 8, 8],
    [5, 1, 5, 9],
    [4, 3, 17, 16],
    [3, 2, 6, 4],
    [2, 3, 1, 1],
];

/// Levels of every frequency: gradients, noise and flat parts.
fn pixels(shape: [usize; 4], seed: u64) -> Vec<u8> {
    let level = |k: usize| {
        let noise = (k as u64 + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        match k / 97 % 3 {
            0 => noise as u8,
            1 => (k * 3) as u8,
            _ => 40 + (noise % 20) as u8,
        }
    };
    (0..shape.iter().product()).map(level).collect()
}

fn host(plan: &Plan, shape: [usize; 4], pixels: &[u8]) -> Vec<f32> {
    let mut out = vec![0.0; pixels.len()];
    let images = Images::new(pixels, shape).unwrap();
    cpu::apply(plan, images, &mut out, &Affine::unit()).unwrap();
    out
}

fn images(shape: [usize; 4], pixels: &[u8], device: &Device, precision: DType) -> Tensor<4> {
    let levels: Vec<f32> = pixels.iter().map(|l| f32::from(*l) / 255.0).collect();
    Tensor::from_data(TensorData::new(levels, shape), (device, precision))
}

fn device(plan: &Plan, shape: [usize; 4], pixels: &[u8]) -> Vec<f32> {
    let images = images(shape, pixels, &Device::flex(), DType::F32);
    let out = tensor::apply(plan, images, &Affine::unit()).unwrap();
    assert_eq!(out.dims(), shape);
    out.into_data().try_into_vec().unwrap()
}

/// The plan of an augmentation; nothing for images that one of its operations refuses.
fn plan(augmentation: &Augmentation, [n, c, h, w]: [usize; 4], key: u64) -> Option<Plan> {
    let ids: Vec<u64> = (0..n as u64).collect();
    let augmenter = augmentation.build().unwrap();
    augmenter
        .sample(&DrawKey::new(key), &ids, 0, [c, h, w])
        .ok()
}

/// How far the engines are apart, in levels.
fn distance(plan: &Plan, shape: [usize; 4], seed: u64) -> f32 {
    let pixels = pixels(shape, seed);
    let (host, device) = (host(plan, shape, &pixels), device(plan, shape, &pixels));
    assert!(device.iter().all(|pixel| pixel.is_finite()));
    let differences = host.iter().zip(&device).map(|(a, b)| (a - b).abs() * 255.0);
    differences.fold(0.0, f32::max)
}

#[test]
fn every_operation_alone() {
    let exact = exact().into_iter().map(|op| (op, 0.0));
    // A level, and the rounding of its quotients.
    let inexact = inexact().into_iter().map(|op| (op, 1.001));
    for (op, tolerance) in exact.chain(inexact) {
        let mut treated = 0;
        for sharing in [ParamSharing::PerSample, ParamSharing::Batch] {
            let augmentation = Augmentation::identity()
                .with_op(op.clone())
                .with_sharing(sharing);
            for shape in SHAPES {
                for key in 0..6 {
                    let Some(plan) = plan(&augmentation, shape, key) else {
                        continue;
                    };
                    treated += 1;
                    let distance = distance(&plan, shape, key);
                    assert!(
                        distance <= tolerance,
                        "{op:?} {shape:?} {sharing:?} {key}: {distance}"
                    );
                }
            }
        }
        assert!(treated > 0, "{op:?}");
    }
}

prop_compose! {
    fn chains()(ops in prop::collection::vec(prop::sample::select(exact()), 0..7), batch in any::<bool>(), fuse in any::<bool>(), mix in 0..3) -> Augmentation {
        let augmentation = Augmentation::identity()
            .with_sharing(if batch { ParamSharing::Batch } else { ParamSharing::PerSample })
            .with_fused_affine(fuse);
        let augmentation = ops.into_iter().fold(augmentation, Augmentation::with_op);
        match mix {
            0 => augmentation,
            1 => augmentation.with_mix(CutMix::default()),
            _ => augmentation.with_mix(Mix::from(FMix::default())),
        }
    }
}

/// Only what fits images of this shape.
fn fitting(mut augmentation: Augmentation, shape: [usize; 4]) -> Augmentation {
    augmentation
        .ops
        .retain(|op| plan(&Augmentation::identity().with_op(op.clone()), shape, 0).is_some());
    augmentation
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chains_are_exact(chain in chains(), shape in prop::sample::select(SHAPES.to_vec()), key in any::<u64>()) {
        let plan = plan(&fitting(chain, shape), shape, key).unwrap();
        let pixels = pixels(shape, key);
        prop_assert_eq!(host(&plan, shape, &pixels), device(&plan, shape, &pixels));
    }

    /// What is inexact comes last: a later step could widen the difference.
    #[test]
    fn chains_that_end_inexactly(chain in chains(), last in prop::sample::select(inexact()), shape in prop::sample::select(SHAPES.to_vec()), key in any::<u64>()) {
        let mut chain = chain.with_fused_affine(false);
        chain.mix = None;
        let plan = plan(&fitting(chain.with_op(last), shape), shape, key).unwrap();
        let distance = distance(&plan, shape, key);
        prop_assert!(distance <= 1.001, "{}", distance);
    }
}
