//! Convolutions by themselves.

use burn::module::Module;
use burn::nn::{self, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use kd_nn::Conv2dConfig;
use proptest::prelude::*;

use crate::common::{difference, formula, gradient, host, tensor};
use crate::net::*;

fn padding() -> impl Strategy<Value = PaddingConfig2d> {
    prop_oneof![
        Just(PaddingConfig2d::Valid),
        Just(PaddingConfig2d::Same),
        (0..4_usize, 0..4_usize, 0..4_usize, 0..4_usize)
            .prop_map(|(t, l, b, r)| PaddingConfig2d::Explicit(t, l, b, r)),
    ]
}

prop_compose! {
    fn any_convolution()(
        batch in 1..5_usize,
        groups in prop_oneof![3 => Just(1), 1 => 2..5_usize],
        channels in [1..20_usize, 1..20_usize],
        depthwise in prop_oneof![3 => Just(false), 1 => Just(true)],
        kernel in [1..5_usize, 1..5_usize],
        stride in [1..4_usize, 1..4_usize],
        dilation in [1..3_usize, 1..3_usize],
        padding in padding(),
        bias in any::<bool>(),
        beyond in [0..9_usize, 0..9_usize],
    ) -> (Conv2dConfig, [usize; 4]) {
        let (channels, groups) = match (depthwise, groups) {
            (true, _) => ([channels[0] + 1; 2], channels[0] + 1),
            (false, groups) => (channels.map(|c| c.div_ceil(groups) * groups), groups),
        };
        // As large as the kernel at least, so that any padding will do.
        let size = [0, 1].map(|i| (kernel[i] - 1) * dilation[i] + 1 + beyond[i]);
        let config = Conv2dConfig::new(channels, kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_groups(groups)
            .with_padding(padding)
            .with_bias(bias);
        (config, [batch, channels[0], size[0], size[1]])
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn convolutions_are_burn_s((config, shape) in any_convolution()) {
        let device = device();
        let layer = formula::fill(config.init(&device), "conv", false).train();
        let burn: nn::conv::Conv2d = layer.clone().into();
        let pass = |forward: &dyn Fn(Tensor<4>) -> Tensor<4>| {
            let x = tensor("x", shape, &device).require_grad();
            let y = forward(x.clone());
            let r = tensor("r", y.dims(), &device);
            let mut all = vec![host(&y)];
            let gradients = (y * r).sum().backward();
            all.push(gradient(&x, &gradients).unwrap());
            all.push(gradient(&layer.weight.val(), &gradients).unwrap());
            if let Some(bias) = &layer.bias {
                all.push(gradient(&bias.val(), &gradients).unwrap());
            }
            all
        };
        let found = pass(&|x| layer.forward(x));
        let expected = pass(&|x| burn.forward(x));
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            prop_assert_eq!(found.len(), expected.len());
            let difference = difference(found, expected);
            prop_assert!(difference <= 1e-5, "tensor {}: {:e}", i, difference);
        }
        // Without autodiff, where another path is taken.
        let plain = layer.valid().forward(tensor("x", shape, &Device::flex()));
        prop_assert!(difference(&host(&plain), &expected[0]) <= 1e-5);
    }
}
