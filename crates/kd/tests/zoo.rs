//! Every architecture learns: a batch of Shapes, by heart.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::TensorData;
use kd::prelude::*;

const IMAGES: usize = 4;
const MOST_STEPS: usize = 300;
/// The mean probability of the labels is then 99 %.
const KNOWN: f64 = 0.01;

fn batch(device: &Device, channels: usize) -> (Tensor<4>, Tensor<1, Int>) {
    let set = Shapes::render(0, Split::Train, IMAGES);
    let [_, height, width] = set.shape();
    let bytes = (0..IMAGES).flat_map(|image| set.image(image));
    let pixels: Vec<f32> = bytes.map(|&byte| f32::from(byte) / 255.0).collect();
    let pixels = TensorData::new(pixels, [IMAGES, 3, height, width]);
    let labels: Vec<i32> = (0..IMAGES as i32).map(|image| image % 10).collect();
    (
        Tensor::<4>::from_data(pixels, device).narrow(1, 0, channels),
        Tensor::from_data(TensorData::from(&labels[..]), device),
    )
}

/// Steps until the batch is known, or the loss after the last.
fn steps(architecture: Architecture) -> Result<usize, f64> {
    let device = Device::flex().autodiff();
    let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    let config = ModelConfig::new(spec).with_hidden(128);
    let mut network = architecture.init(&config, &device).unwrap();
    let (images, labels) = batch(&device, 3);
    // Sixteen layers and more without a norm, or with hidden layers behind them, leave their numbers at the higher rate.
    let rate = if architecture.name().starts_with("imagenet/vgg") {
        1e-4
    } else {
        1e-3
    };
    let mut optimizer = AdamConfig::new().init();
    let mut last = f64::NAN;
    for step in 0..MOST_STEPS {
        let logits = network.forward(images.clone());
        let loss = CrossEntropyLossConfig::new()
            .init(&device)
            .forward(logits, labels.clone());
        last = f64::from(loss.clone().into_scalar::<f32>());
        if last < KNOWN {
            return Ok(step);
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(rate, network, gradients);
    }
    Err(last)
}

fn learn(which: impl Fn(Architecture) -> bool) {
    let mut failures = Vec::new();
    for &architecture in Architecture::ALL.iter().filter(|one| which(**one)) {
        let started = std::time::Instant::now();
        let outcome = steps(architecture);
        println!(
            "{architecture:28} {outcome:?} steps, {:.1} s",
            started.elapsed().as_secs_f64()
        );
        if let Err(loss) = outcome {
            failures.push(format!("{architecture}: {loss} after {MOST_STEPS} steps"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn imagenet(architecture: Architecture) -> bool {
    architecture.name().starts_with("imagenet/")
}

#[test]
fn networks_for_small_images_learn_a_batch() {
    learn(|architecture| !imagenet(architecture));
}

#[test]
fn networks_for_imagenet_learn_a_batch() {
    learn(imagenet);
}
