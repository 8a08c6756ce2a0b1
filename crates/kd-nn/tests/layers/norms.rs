//! Batch norm's settings and running statistics.

use burn::module::Module;
use burn::nn::{self};
use burn::tensor::Tensor;
use kd_nn::{BatchNormConfig, Conv2dConfig, Fused};

use crate::common::{assert_close, formula, host, tensor};
use crate::net::*;

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
