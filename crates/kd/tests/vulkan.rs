//! Losses, an augmentation plan and a forward pass on Vulkan, against the CPU. A software driver will do: shapes are small,
//! since each kernel is compiled at its first use, and `vulkan-plain` leaves out the fused and tuned kernels, which the
//! compiler of Mesa 22 cannot take. With a driver that can, `--features vulkan` tests those too.
//!
//! `BURN_DEVICE=vulkan cargo test --release -p kd --features vulkan-plain --test vulkan`
//!
//! Tolerance: 1e-4 of the largest element. Both sides compute in f32; the driver may fuse, reorder and approximate
//! transcendental functions within Vulkan's precision rules.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::TensorData;
use burn::tensor::activation::relu;
use burn::tensor::module::adaptive_avg_pool2d;
use kd::augment::{
    Affine, ColorJitter, GaussianBlur, GaussianNoise, Images, Interpolation, RandAugment,
    ResizeCrop, Rotate, cpu, tensor,
};
use kd::nn::{Scheme, initialize};
use kd::prelude::*;

/// The device under test. Without `BURN_DEVICE` the tests would compare the CPU with itself: they say so and fail.
fn devices() -> (Device, Device) {
    assert_eq!(
        std::env::var("BURN_DEVICE").as_deref(),
        Ok("vulkan"),
        "run this target with BURN_DEVICE=vulkan"
    );
    (Device::flex(), default_device().unwrap())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(largest > 0.0, "{what}: nothing to compare");
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(
            error <= 1e-4 * largest,
            "{what}: {found}, expected {expected}"
        );
    }
}

fn logits(phase: f32, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..40)
        .map(|i| 3.0 * (0.37 * i as f32 + phase).sin())
        .collect();
    Tensor::from_data(TensorData::new(values, [4, 10]), device)
}

#[test]
fn losses_and_their_gradients() {
    let (flex, vulkan) = devices();
    let run = |device: &Device| {
        let student = logits(0.2, &device.clone().autodiff()).require_grad();
        let labels = Tensor::<1, Int>::from_data([1, 0, 7, 3], &device.clone().autodiff());
        let kd = KdLossConfig::new().init().unwrap();
        let loss = kd.forward(student.clone(), logits(1.1, device), labels);
        let gradient = student.grad(&loss.backward()).unwrap();
        (numbers(loss.inner()), numbers(gradient))
    };
    let ((loss, gradient), (found_loss, found_gradient)) = (run(&flex), run(&vulkan));
    assert_close(&found_loss, &loss, "loss");
    assert_close(&found_gradient, &gradient, "gradient");
}

#[test]
fn an_augmentation_plan() {
    let (_, vulkan) = devices();
    let shape = [4, 3, 8, 8];
    let pixels: Vec<u8> = (0..4 * 3 * 64).map(|i| (i * 37 % 251) as u8).collect();
    let images = Images::new(&pixels, shape).unwrap();
    let augmentation = Augmentation::crop_flip(2).with_mix(CutMix::default());
    let plan = augmentation
        .sample(&DrawKey::new(3), &[5, 6, 7, 8], 0, images.image_shape())
        .unwrap();
    let mut expected = vec![0.0; pixels.len()];
    cpu::apply(&plan, images, &mut expected, &Affine::unit()).unwrap();
    let unit: Vec<f32> = pixels.iter().map(|p| f32::from(*p) / 255.0).collect();
    let input = Tensor::<4>::from_data(TensorData::new(unit, shape), &vulkan);
    let found = tensor::apply(&plan, input, &Affine::unit()).unwrap();
    assert_close(&numbers(found), &expected, "pixels");
}

/// The pixels of both engines.
fn augmented(augmentation: &Augmentation) -> (Vec<f32>, Vec<f32>) {
    let (_, vulkan) = devices();
    let shape = [8, 3, 8, 8];
    let pixels: Vec<u8> = (0..8 * 3 * 64).map(|i| (i * i * 37 % 251) as u8).collect();
    let images = Images::new(&pixels, shape).unwrap();
    let plan = augmentation
        .sample(&DrawKey::new(3), &[0, 1, 2, 3, 4, 5, 6, 7], 0, [3, 8, 8])
        .unwrap();
    let mut expected = vec![0.0; pixels.len()];
    cpu::apply(&plan, images, &mut expected, &Affine::unit()).unwrap();
    let unit: Vec<f32> = pixels.iter().map(|p| f32::from(*p) / 255.0).collect();
    let input = Tensor::<4>::from_data(TensorData::new(unit, shape), &vulkan);
    let found = tensor::apply(&plan, input, &Affine::unit()).unwrap();
    (numbers(found), expected)
}

/// Operations that give the same bits on every device, for images whose lists differ.
#[test]
fn exact_operations() {
    let augmentation = Augmentation::crop_flip(2)
        .with_op(ColorJitter::new(0.4, 0.4, 0.4, 0.1))
        .with_op(RandAugment::new(3, 9))
        .with_op(GaussianNoise::new(0.05));
    let (found, expected) = augmented(&augmentation);
    assert_eq!(found, expected);
}

#[test]
fn rotated_between_pixels() {
    let rotate = Rotate {
        interpolation: Interpolation::Bilinear,
        ..Rotate::new(-30.0..=30.0)
    };
    let (found, expected) = augmented(&Augmentation::identity().with_op(rotate));
    assert_within_a_level(&found, &expected);
}

#[test]
#[ignore = "the compiler of Mesa 22's software driver crashes on matrix products; run it on a GPU with --ignored"]
fn operations_by_matrix_products() {
    let resize = ResizeCrop {
        interpolation: Interpolation::Bilinear,
        ..ResizeCrop::default()
    };
    let (found, expected) = augmented(&Augmentation::identity().with_op(resize));
    assert_eq!(found, expected);
    let (found, expected) = augmented(&Augmentation::identity().with_op(GaussianBlur::new(5)));
    assert_within_a_level(&found, &expected);
}

fn assert_within_a_level(found: &[f32], expected: &[f32]) {
    for (found, expected) in found.iter().zip(expected) {
        let levels = (found - expected).abs() * 255.0;
        assert!(levels <= 1.001, "{found}, expected {expected}");
    }
}

/// A classifier of convolutions alone: no matrix product.
#[derive(Module, Debug)]
struct Convolutions {
    stem: Conv2d,
    norm: BatchNorm,
    head: Conv2d,
    #[module(skip)]
    spec: InputSpec,
}

impl Classify for Convolutions {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.stem.forward(self.spec.normalize(images));
        let x = relu(self.norm.forward(x));
        adaptive_avg_pool2d(self.head.forward(x), [1, 1]).flatten(1, 3)
    }

    fn input_spec(&self) -> &InputSpec {
        &self.spec
    }
}

/// Two images of 8×8 through the network that `build` makes.
fn forward<N: Classify>(build: impl Fn(InputSpec, &Device) -> N, device: &Device) -> Vec<f32> {
    let names = (0..10).map(|class| class.to_string()).collect();
    let spec = InputSpec::new([3, 8, 8], [0.5; 3], [0.25; 3], names).unwrap();
    let pixels: Vec<f32> = (0..2 * 3 * 64)
        .map(|i| (i * 29 % 256) as f32 / 255.0)
        .collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [2, 3, 8, 8]), device);
    numbers(build(spec, device).forward(images))
}

#[test]
fn a_forward_pass() {
    let (flex, vulkan) = devices();
    let build = |spec: InputSpec, device: &Device| {
        let network = Convolutions {
            stem: Conv2dConfig::new([3, 16], [3, 3])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device),
            norm: BatchNormConfig::new(16).init(device),
            head: Conv2dConfig::new([16, 10], [1, 1])
                .with_bias(false)
                .init(device),
            spec,
        };
        initialize(network, Scheme::KAIMING_FAN_OUT, 5)
    };
    assert_close(&forward(build, &vulkan), &forward(build, &flex), "logits");
}

#[test]
#[ignore = "the compiler of Mesa 22's software driver crashes on matrix products; run it on a GPU with --ignored"]
fn a_forward_pass_of_a_resnet() {
    let (flex, vulkan) = devices();
    let build = |spec: InputSpec, device: &Device| {
        Architecture::ResNet8
            .init(&ModelConfig::new(spec), device)
            .unwrap()
    };
    assert_close(&forward(build, &vulkan), &forward(build, &flex), "logits");
}
