use burn::tensor::{Device, Tensor};
use kd_core::*;

use crate::close;
use crate::common::host;

/// `[batch, 1, 2, 2]`, of which one pixel is not 0.
fn spot(value: f32, batch: usize) -> Tensor<4> {
    let map = Tensor::<4>::from_data([[[[value, 0.0], [0.0, 0.0]]]], &Device::flex());
    map.repeat_dim(0, batch)
}

fn zeros(channels: usize, batch: usize) -> Tensor<4> {
    Tensor::zeros([batch, channels, 2, 2], &Device::flex())
}

#[test]
fn attention_of_a_map_of_zeros() {
    let square = AtLossConfig::new().init().unwrap();
    let euclidean = AtLossConfig::new()
        .with_distance(AtDistance::Euclidean)
        .init()
        .unwrap();
    // The other's attention has norm 1, over four pixels.
    close(square.forward(zeros(3, 2), spot(5.0, 2)), 0.25);
    close(square.forward(spot(5.0, 2), zeros(3, 2)), 0.25);
    close(euclidean.forward(zeros(3, 2), spot(5.0, 2)), 1.0);
    for loss in [square, euclidean] {
        close(loss.forward(zeros(3, 2), zeros(1, 2)), 0.0);
    }
    // A constant map pays the same attention to all pixels: (1/2 - 1)^2 and three times (1/2)^2.
    let constant = Tensor::full([2, 1, 2, 2], 7.0, &Device::flex());
    close(square.forward(constant, spot(5.0, 2)), 0.25);
    let factors = FtLossConfig::new().init();
    close(factors.forward(zeros(3, 2), spot(5.0, 2)), 0.25);
    let whole = FtLossConfig::new().with_factor(FtFactor::Whole).init();
    close(whole.forward(zeros(1, 2), spot(-5.0, 2)), 0.25);
}

/// Two channels that have no pixel in common.
fn orthogonal() -> Tensor<4> {
    Tensor::from_data(
        [[[[3.0, 0.0], [0.0, 0.0]], [[0.0, 0.5], [0.5, 0.0]]]],
        &Device::flex(),
    )
}

#[test]
fn selectivity_of_zeros() {
    // The kernel among two orthogonal channels is the identity, of mean 1/2.
    close(NstLoss.forward(zeros(3, 1), orthogonal()), 0.5);
    close(NstLoss.forward(orthogonal(), zeros(3, 1)), 0.5);
    close(NstLoss.forward(zeros(3, 1), zeros(2, 1)), 0.0);
    // A zero channel beside the spot: (1 + 1/4 - 2 * 1/2) of a kernel of 1.
    let beside_zero = Tensor::cat(vec![spot(2.0, 1), zeros(1, 1)], 1);
    close(NstLoss.forward(beside_zero, spot(5.0, 1)), 1.0 + 0.25 - 1.0);
}

#[test]
fn similarities_of_zeros() {
    let loss = |norm| SpLossConfig::new().with_norm(norm).init();
    // Of the teacher's matrix each row, or the whole, has norm 1.
    close(
        loss(SpNorm::Rows).forward(zeros(3, 2), spot(5.0, 2)),
        2.0 / 4.0,
    );
    close(
        loss(SpNorm::Whole).forward(zeros(3, 2), spot(5.0, 2)),
        1.0 / 4.0,
    );
    for norm in [SpNorm::Rows, SpNorm::Whole] {
        close(loss(norm).forward(zeros(3, 2), zeros(1, 2)), 0.0);
        // One sample is as similar to itself as any other.
        close(loss(norm).forward(spot(-1.0, 1), orthogonal()), 0.0);
    }
}

#[test]
fn flow_of_zeros_and_constants() {
    let map = |value: f32, channels| Tensor::<4>::full([2, channels, 2, 2], value, &Device::flex());
    let teacher = [map(3.0, 2), map(0.5, 4)];
    // F = 3 * 0.5 for every pair of channels.
    close(
        FspLoss.forward([map(0.0, 2), map(7.0, 4)], teacher.clone()),
        1.5f64.powi(2),
    );
    close(
        FspLoss.forward([map(1.0, 2), map(1.0, 4)], teacher),
        0.5f64.powi(2),
    );
}

#[test]
fn boundaries_of_zeros() {
    let config = AbLossConfig::new().with_margin(2.0);
    let sum = config.clone().init().unwrap();
    let mean = config.with_reduction(AbReduction::Mean).init().unwrap();
    // At zero a neuron is short of the margin whichever side the teacher is on.
    for teacher in [zeros(3, 2), zeros(3, 2) + 1.0, zeros(3, 2) - 1.0] {
        close(mean.forward(zeros(3, 2), teacher.clone()), 4.0);
        close(
            sum.forward(zeros(3, 2), teacher.clone()),
            12.0 * 4.0 * 0.003,
        );
        // On the teacher's side and beyond the margin nothing is missing; a teacher at zero is not active.
        let beyond = teacher.greater_elem(0.0).float() * 4.0 - 2.0;
        close(
            mean.forward(beyond.clone() * 3.0, zeros(3, 2) + beyond),
            0.0,
        );
    }
}

#[test]
fn regressors_of_zeros() {
    let device = Device::flex().autodiff();
    let teacher = Tensor::<4>::full([2, 3, 2, 2], 1.5, &Device::flex());
    let zeros = || Tensor::<4>::zeros([2, 4, 2, 2], &device);
    // Without a bias the regression of zeros is zero; the variance starts at 5.
    let vid = VidLossConfig::new(4, 3).init(&device).unwrap();
    close(
        vid.forward(zeros(), teacher.clone()),
        1.5f64.powi(2) / 10.0 + 5f64.ln() / 2.0,
    );
    // Batch norm takes a constant away.
    let fitnet = FitNetLossConfig::new([4, 2, 2], [3, 2, 2])
        .init(&device)
        .unwrap();
    close(fitnet.forward(zeros(), teacher), 1.5f64.powi(2));
}

#[test]
fn variances_of_vid_are_what_they_are_set_to() {
    for variance in [1e-4, 0.1, 5.0, 40.0, 1e4] {
        let config = VidLossConfig::new(2, 3).with_initial_variance(variance);
        let found = host(config.init(&Device::flex()).unwrap().variance());
        for found in found {
            assert!(
                (found - variance).abs() <= 1e-4 * variance,
                "{found} instead of {variance}"
            );
        }
    }
}
