//! The images, views and networks of `trajectory_methods.rs`, from the formulas in
//! `tools/README.md`.

use std::sync::OnceLock;

use burn::tensor::{Device, FloatDType, IntDType, Tensor, TensorData};
use kd_models::{
    Architecture, BranchedClassifier, Classifier, Classify, InputSpec, ModelConfig, Statistics,
};
use kd_train::{Labels, Seen};

use crate::formula;

pub const CLASSES: usize = 10;
pub const SIZE: usize = 16;
pub const BATCH: u64 = 16;
/// What is left of an image beside a box of 8 × 8.
const SHARE: f64 = 0.75;

/// The CPU with f64 as its float: set once, before the first tensor of the process.
pub fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let mut device = Device::flex();
        device.configure((FloatDType::F64, IntDType::I64)).unwrap();
        device
    });
    device.clone()
}

/// The numbers of the images of a step. No image comes twice.
pub fn consecutive(step: usize) -> Vec<u64> {
    let first = step as u64 * BATCH;
    (first..first + BATCH).collect()
}

/// Epoch and index of a step over a training set of `samples` images, and the numbers of its
/// images: each comes once an epoch.
pub fn reordered(step: usize, samples: u64, factor: u64) -> ([usize; 2], Vec<u64>) {
    let steps = (samples / BATCH) as usize;
    let (epoch, index) = (step / steps, step % steps);
    let first = index as u64 * BATCH;
    let number = |position: u64| (factor * position + 3 * epoch as u64) % samples;
    let ids = (first..first + BATCH).map(number).collect();
    ([epoch, index], ids)
}

/// For each image the next one of the same class.
pub fn partners(ids: &[u64]) -> Vec<u64> {
    let next = |id: &u64| {
        let mut later = id + 1..;
        later.find(|other| formula::label(*other) == formula::label(*id))
    };
    ids.iter().map(|id| next(id).unwrap()).collect()
}

/// The labels of a training set, as a setting takes them.
pub fn labels(samples: u64) -> Vec<u16> {
    (0..samples).map(|id| formula::label(id) as u16).collect()
}

pub fn pixels(ids: &[u64]) -> Tensor<4> {
    let image = |id: &u64| formula::sized_images(*id, 1, SIZE as u64, &device()).0;
    Tensor::cat(ids.iter().map(image).collect(), 0)
}

pub fn hard_labels(ids: &[u64]) -> Labels {
    let labels: Vec<i64> = ids.iter().map(|id| formula::label(*id) as i64).collect();
    let data = TensorData::new(labels, [ids.len()]);
    Labels::Hard(Tensor::from_data(data, &device()))
}

/// The labels of images with a [pasted] box.
pub fn mixed_labels(ids: &[u64]) -> Labels {
    let mut shares = vec![0.0; ids.len() * CLASSES];
    let pairs = ids.iter().zip(ids.iter().rev());
    for (shares, (own, partner)) in shares.chunks_mut(CLASSES).zip(pairs) {
        shares[formula::label(*own) as usize] += SHARE;
        shares[formula::label(*partner) as usize] += 1.0 - SHARE;
    }
    let data = TensorData::new(shares, [ids.len(), CLASSES]);
    Labels::Mixed(Tensor::from_data(data, &device()))
}

/// A box of 8 × 8 of each image comes from its partner, the batch in reversed order.
pub fn pasted(images: Tensor<4>, top: usize, left: usize) -> Tensor<4> {
    let [batch, channels, ..] = images.dims();
    let window = [0..batch, 0..channels, top..top + 8, left..left + 8];
    let patch = images.clone().flip([0]).slice(window.clone());
    images.slice_assign(window, patch)
}

/// Each row in reversed order.
pub fn mirrored(images: Tensor<4>) -> Tensor<4> {
    images.flip([3])
}

/// Two black rows on top, and all others two rows further down.
pub fn lowered(images: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let black = Tensor::zeros([batch, channels, 2, width], &images.device());
    let rest = images.slice([0..batch, 0..channels, 0..height - 2, 0..width]);
    Tensor::cat(vec![black, rest], 2)
}

fn config(statistics: Statistics) -> ModelConfig {
    let names = (0..CLASSES).map(|class| class.to_string()).collect();
    let spec = InputSpec::new([3, SIZE, SIZE], statistics.mean, statistics.std, names);
    ModelConfig::new(spec.unwrap())
}

/// A ResNet-8 whose weights are those of `name`.
pub fn student(name: &str) -> Classifier {
    let network = Architecture::ResNet8.init(&config(Statistics::CIFAR10), &device());
    formula::fill(network.unwrap(), name, false)
}

/// The same with its last stage and its head several times.
pub fn branched(branches: usize) -> BranchedClassifier {
    let config = config(Statistics::CIFAR10);
    let network = BranchedClassifier::new(Architecture::ResNet8, &config, branches, &device());
    formula::fill(network.unwrap(), "student", false)
}

/// A ResNet-14 at rest, which normalises the same pixels with statistics of its own.
pub fn teacher() -> Classifier {
    let network = Architecture::ResNet14.init(&config(Statistics::IMAGENET), &device());
    formula::fill(network.unwrap(), "teacher", true)
}

/// A view of these images: the same for every network, or one for each.
pub fn see<M: Classify>(networks: &[M], images: &[Tensor<4>]) -> Seen {
    let (mut peers, mut shared) = (Vec::new(), Vec::new());
    for (number, network) in networks.iter().enumerate() {
        let own = images.get(number).unwrap_or(&images[0]).clone();
        let passed = network.forward_heads(Tensor::from_inner(own));
        peers.extend(passed.heads);
        shared.push(passed.shared);
    }
    Seen::new(images[0].clone())
        .with_peers(peers)
        .with_shared(shared)
}
