//! A training step on random images.

use kd::burn::nn::loss::CrossEntropyLossConfig;
use kd::burn::optim::decay::WeightDecayConfig;
use kd::burn::optim::momentum::MomentumConfig;
use kd::burn::optim::{GradientsParams, SgdConfig};
use kd::burn::tensor::Distribution;
use kd::prelude::*;

/// Forward, cross-entropy, backward, SGD with momentum and weight decay.
///
/// # Errors
///
/// If no architecture has the name.
pub fn step(
    name: &str,
    batch: usize,
    size: usize,
    classes: usize,
    device: &Device,
) -> Result<Box<dyn FnMut()>, Box<dyn std::error::Error>> {
    let autodiff = device.clone().autodiff();
    let spec = InputSpec::cifar(classes, Statistics::CIFAR10)?;
    let architecture: Architecture = name.parse()?;
    let mut model = architecture.init(&ModelConfig::new(spec), &autodiff)?;
    let shape = [batch, 3, size, size];
    let images = Tensor::from_inner(Tensor::<4>::random(shape, Distribution::Default, device));
    let labels =
        Tensor::<1, Int>::arange(0..batch as i64, &autodiff).remainder_scalar(classes as i64);
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let mut optimizer = SgdConfig::new()
        .with_momentum(Some(momentum))
        .with_weight_decay(Some(WeightDecayConfig::new(5e-4)))
        .init();
    Ok(Box::new(move || {
        let logits = model.forward(images.clone());
        let loss = CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits, labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.01, model.clone(), gradients);
    }))
}
