//! Sizes that do not fit together, and nothing at all.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::nn::{self, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use kd_nn::{Conv2dConfig, Fused};

use crate::common::tensor;
use crate::net::*;

/// Whether it panics. The messages are Burn's, or name the shapes.
fn panics(run: impl FnOnce() -> Tensor<4>) -> bool {
    catch_unwind(AssertUnwindSafe(|| run().into_data())).is_err()
}

#[test]
fn misuse_is_a_panic() {
    for device in [Device::flex(), device()] {
        let net = Net::new(&device);
        let x = |shape: [usize; 4]| tensor("x", shape, &device);
        let (conv, norm) = (&net.convs, &net.norms);
        // As many channels as a layer has, and everything else fits.
        assert!(!panics(|| conv[0].forward(x(INPUT))));
        assert!(!panics(|| norm[0].forward(x(INPUT))));
        for channels in [1, 16, 18, 34] {
            let shape = [2, channels, 6, 7];
            assert!(
                panics(|| conv[0].forward(x(shape))),
                "convolution of {channels}"
            );
            assert!(
                panics(|| conv[3].forward(x(shape))),
                "depthwise of {channels}"
            );
            assert!(panics(|| norm[0].forward(x(shape))), "norm of {channels}");
        }
        // Shapes that do not fit together, after layers that do.
        let misfits = [
            vec![Conv(4), Norm(0)],
            vec![Conv(4), Shortcut],
            vec![Conv(0), Projection(4, 3)],
            vec![Conv(0), Projection(2, 3)],
            vec![Conv(0), Norm(0), Relu, Conv(6)],
        ];
        for ops in misfits {
            assert!(panics(|| net.fused(&ops, x(INPUT), &[])), "{ops:?}");
        }
        let other = [x([2, CHANNELS, 5, 7])];
        assert!(panics(|| net.fused(&[Conv(0), Add(0)], x(INPUT), &other)));
    }
}

/// What Burn does with no images at all, the layers do too.
#[test]
fn no_images() {
    for device in [Device::flex(), device()] {
        let net = Net::new(&device);
        let sequences = [
            vec![Conv(0)],
            vec![Conv(4)],
            vec![Norm(0)],
            vec![Conv(0), Norm(0), Relu],
            vec![Relu],
        ];
        for ops in sequences {
            let run = |forward: fn(&Net, &[Op], Tensor<4>, &[Tensor<4>]) -> Tensor<4>| {
                let x = Tensor::<4>::zeros([0, CHANNELS, 6, 7], &device);
                catch_unwind(AssertUnwindSafe(|| forward(&net, &ops, x, &[]).dims())).ok()
            };
            assert_eq!(run(Net::fused), run(Net::apart), "{ops:?}");
        }
    }
}

/// Of a kernel that is larger than the padded input, Burn makes an output without pixels on some backends and a panic on others.
#[test]
fn kernels_larger_than_the_input() {
    for device in [Device::flex(), device()] {
        let ours = Conv2dConfig::new([3, 4], [5, 5])
            .with_padding(PaddingConfig2d::Explicit(1, 0, 0, 1))
            .init(&device);
        let burns = nn::conv::Conv2d::from(ours.clone());
        for size in [[3, 9], [9, 3], [1, 1], [4, 4]] {
            let x = || tensor("x", [2, 3, size[0], size[1]], &device);
            let [found, expected] = [
                catch_unwind(AssertUnwindSafe(|| ours.forward(x()).dims())).ok(),
                catch_unwind(AssertUnwindSafe(|| burns.forward(x()).dims())).ok(),
            ];
            assert_eq!(found, expected, "{size:?}");
            // The last one fits exactly.
            assert_eq!(found == Some([2, 4, 1, 1]), size == [4, 4], "{size:?}");
        }
    }
}

/// A sequence of nothing.
#[test]
fn no_layers() {
    let x = tensor("x", INPUT, &Device::flex());
    assert_eq!(Fused::new().forward(x.clone()).into_data(), x.into_data());
}
