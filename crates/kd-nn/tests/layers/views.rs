//! Tensors that are views of others.

use burn::tensor::{Device, Tensor};

use crate::common::{assert_close, gradient, host, tensor};
use crate::net::*;

/// Some ways to lay the same numbers out in memory, of shape [`INPUT`].
fn views(device: &Device) -> Vec<(&'static str, Tensor<4>)> {
    let [n, c, h, w] = INPUT;
    vec![
        (
            "permuted",
            tensor("v", [n, h, w, c], device).permute([0, 3, 1, 2]),
        ),
        (
            "transposed",
            tensor("v", [n, c, w, h], device).swap_dims(2, 3),
        ),
        (
            "batch",
            tensor("v", [n + 3, c, h, w], device).narrow(0, 2, n),
        ),
        (
            "permuted batch",
            tensor("v", [n + 3, h, w, c], device)
                .permute([0, 3, 1, 2])
                .narrow(0, 2, n),
        ),
        (
            "channels",
            tensor("v", [n, c + 5, h, w], device).narrow(1, 3, c),
        ),
        (
            "spatial",
            tensor("v", [n, c, h + 4, w + 3], device).slice([0..n, 0..c, 1..h + 1, 2..w + 2]),
        ),
        (
            "permuted spatial",
            tensor("v", [n, h + 4, w + 3, c], device)
                .permute([0, 3, 1, 2])
                .slice([0..n, 0..c, 1..h + 1, 2..w + 2]),
        ),
        (
            "expanded batch",
            tensor("v", [1, c, h, w], device).expand(INPUT),
        ),
        (
            "permuted, expanded batch",
            tensor("v", [1, h, w, c], device)
                .permute([0, 3, 1, 2])
                .expand(INPUT),
        ),
        (
            "expanded channels",
            tensor("v", [n, 1, h, w], device).expand(INPUT),
        ),
        (
            "expanded pixels",
            tensor("v", [n, c, 1, 1], device).expand(INPUT),
        ),
        ("flipped", tensor("v", INPUT, device).flip([2, 3])),
        ("flipped channels", tensor("v", INPUT, device).flip([0, 1])),
        (
            "permuted and flipped",
            tensor("v", [n, h, w, c], device)
                .permute([0, 3, 1, 2])
                .flip([3]),
        ),
        (
            "stepped",
            tensor("v", [n, c, 2 * h, 2 * w], device).slice(burn::tensor::s![.., .., 0..;2, 0..;2]),
        ),
    ]
}

/// The same numbers, in the order of the dimensions.
fn contiguous(view: &Tensor<4>) -> Tensor<4> {
    let data = match view.device().is_autodiff() {
        true => view.clone().inner().into_data(),
        false => view.clone().into_data(),
    };
    let data = burn::tensor::TensorData::new(data.iter::<f32>().collect::<Vec<_>>(), view.dims());
    Tensor::from_data(data, &view.device())
}

#[test]
fn views_are_as_good_as_contiguous_tensors() {
    let device = device();
    let net = Net::new(&device);
    for (name, view) in views(&device) {
        assert_eq!(view.dims(), INPUT, "{name}");
        for ops in [
            &BLOCK[..],
            &[Conv(3)],
            &[Norm(1), Relu],
            &[Conv(2), Add(0), Relu],
        ] {
            // As input and addend, and as gradient of the output.
            let run = |view: Tensor<4>| {
                let x = view.clone().detach().require_grad();
                let y = net.fused(ops, x.clone(), std::slice::from_ref(&view));
                let output = host(&y);
                let gradients = (y * view).sum().backward();
                [output, gradient(&x, &gradients).unwrap()]
            };
            let (found, expected) = (run(view.clone()), run(contiguous(&view)));
            assert_eq!(found, expected, "{name} {ops:?}");
        }
        let plain = Net::new(&Device::flex());
        let [found, expected] =
            [view.clone(), contiguous(&view)].map(|x| host(&plain.fused(&BLOCK, x.inner(), &[])));
        assert_eq!(found, expected, "{name}, inference");
    }
}

/// What follows a sequence gives its gradient in every layout.
#[test]
fn gradients_arrive_as_views() {
    type After = fn(Tensor<4>) -> Tensor<4>;
    let after: [(&str, After); 6] = [
        ("permute", |y| y.permute([0, 2, 3, 1])),
        ("flip", |y| y.flip([1, 3])),
        ("slice", |y| y.slice([0..1, 2..9, 1..4, 3..7])),
        ("transpose", |y| y.swap_dims(1, 2)),
        ("mean", |y| y.mean_dim(3).mean_dim(2)),
        ("maximum", |y| y.max_dim(1)),
    ];
    for (name, after) in after {
        let run = |forward: fn(&Net, &[Op], Tensor<4>, &[Tensor<4>]) -> Tensor<4>| {
            let device = device();
            let net = Net::new(&device);
            let x = tensor("x", INPUT, &device).require_grad();
            let y = after(forward(&net, &BLOCK, x.clone(), &[]));
            let r = tensor("r", y.dims(), &device);
            let gradients = (y * r).sum().backward();
            [
                gradient(&x, &gradients).unwrap(),
                gradient(&net.convs[1].weight.val(), &gradients).unwrap(),
            ]
        };
        let (found, expected) = (run(Net::fused), run(Net::apart));
        for (found, expected) in found.iter().zip(&expected) {
            assert_close(found, expected, 2e-4, name);
        }
    }
    // An expanded number.
    let run = |forward: fn(&Net, &[Op], Tensor<4>, &[Tensor<4>]) -> Tensor<4>| {
        let device = device();
        let net = Net::new(&device);
        let x = tensor("x", INPUT, &device).require_grad();
        let gradients = forward(&net, &[Conv(1), Relu], x.clone(), &[])
            .sum()
            .backward();
        gradient(&x, &gradients).unwrap()
    };
    assert_close(&run(Net::fused), &run(Net::apart), 1e-5, "sum");
}
