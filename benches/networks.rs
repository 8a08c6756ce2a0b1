//! Forward passes and training steps of the seven pairs of Wang et al.: WRN-40-2/16-2, ResNet-56/20, ResNet-32x4/8x4, VGG-13/8, VGG-13/MobileNetV2,
//! ResNet-50/VGG-8, ResNet-32x4/ShuffleNetV2, on 64 images of 32 px and 100 classes.
//!
//! `cargo bench --bench networks`; `cargo bench --bench networks -- vgg8/step` for one. Beside PyTorch: `benches/peers/run --models`.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use kd::burn::tensor::Distribution;
use kd::prelude::*;
use kd_benches::train;

const BATCH: usize = 64;
const CLASSES: usize = 100;
const NETWORKS: [&str; 11] = [
    "wrn_40_2",
    "wrn_16_2",
    "resnet56",
    "resnet20",
    "resnet32x4",
    "resnet8x4",
    "vgg13",
    "vgg8",
    "mobilenet_v2",
    "resnet50",
    "shufflenet_v2",
];

fn bench(criterion: &mut Criterion) {
    let device = default_device().unwrap();
    for name in NETWORKS {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        group.bench_function("forward", |bencher| {
            let spec = InputSpec::cifar(CLASSES, Statistics::CIFAR100).unwrap();
            let architecture: Architecture = name.parse().unwrap();
            let network = architecture.init(&ModelConfig::new(spec), &device).unwrap();
            let images = Tensor::random([BATCH, 3, 32, 32], Distribution::Default, &device);
            bencher.iter(|| drop(network.forward(images.clone()).into_data()));
        });
        group.bench_function("step", |bencher| {
            let mut step = train::step(name, BATCH, 32, CLASSES, &device).unwrap();
            bencher.iter(&mut step);
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
