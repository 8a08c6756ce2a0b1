//! Operations that other crates write by hand.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::tensor::{Device, Tensor, TensorData, Tolerance};
use kd_nn::channels_last;
use kd_nn::custom::{Dense, dense_tensor, matmul, with_backward};

fn tensor<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = (0..shape.iter().product()).map(|i: usize| (i as f32 * 0.37).sin());
    Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), shape), device)
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

#[test]
fn a_map_is_read_in_the_order_it_has() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let plain = tensor([2, 3, 4, 5], &device);
        let inside_out = tensor([2, 4, 5, 3], &device).permute([0, 3, 1, 2]);
        assert!(!channels_last(&plain) && channels_last(&inside_out));
        for (x, last) in [(plain, false), (inside_out, true)] {
            let dense = Dense::of(&x).unwrap();
            assert_eq!(dense.channels_last(), last);
            let order = if last { x.permute([0, 2, 3, 1]) } else { x };
            assert_eq!(&*dense, numbers(order));
        }
    }
}

#[test]
fn what_has_gaps_or_another_type_is_not_read() {
    let x = tensor([4, 6], &Device::flex());
    assert!(Dense::of(&x.clone().narrow(1, 1, 3)).is_none());
    assert!(Dense::of(&x.clone().transpose()).is_none());
    assert!(Dense::of(&x.clone().narrow(1, 0, 1).expand([4, 6])).is_none());
    assert!(Dense::of(&x.clone().cast(burn::tensor::DType::F64)).is_none());
    // A part without gaps is.
    let part = x.narrow(0, 1, 2);
    assert_eq!(&*Dense::of(&part).unwrap(), numbers(part));
}

#[test]
fn a_tensor_is_filled_in_either_order() {
    for last in [false, true] {
        let x = dense_tensor([2, 3, 4, 5], last, |to| {
            to.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
        });
        assert_eq!((x.dims(), channels_last(&x)), ([2, 3, 4, 5], last));
        let order = if last { x.permute([0, 2, 3, 1]) } else { x };
        assert!(
            numbers(order)
                .iter()
                .enumerate()
                .all(|(i, x)| *x == i as f32)
        );
    }
}

/// x^3 with its gradient by hand, between operations with gradients of Burn's.
#[test]
fn the_way_back_is_taken_and_joins_the_graph() {
    for device in [
        Device::flex().autodiff(),
        Device::flex().autodiff().gradient_checkpointing(),
    ] {
        let leaf = tensor([3, 4], &device).require_grad();
        let cube = |x: Tensor<2>| {
            let plain = x.clone().without_autodiff();
            let value = plain.clone().powi_scalar(3);
            with_backward(x, value, move |gradient: Tensor<2>| {
                assert!(!gradient.is_autodiff());
                plain.clone().square().mul_scalar(3.0) * gradient
            })
        };
        let gradient = |y: Tensor<2>| leaf.grad(&y.mul_scalar(2.0).sum().backward()).unwrap();
        let by_hand = gradient(cube(leaf.clone() + 1.0) + leaf.clone());
        let by_burn = gradient((leaf.clone() + 1.0).powi_scalar(3) + leaf.clone());
        by_hand
            .into_data()
            .assert_approx_eq::<f32>(&by_burn.into_data(), Tolerance::absolute(1e-5));
    }
}

#[test]
fn without_a_graph_the_value_is_returned() {
    let never = |_: Tensor<1>| -> Tensor<2> { unreachable!("there is no way back") };
    let value = Tensor::<1>::from_data([5.0], &Device::flex());
    let plain = with_backward(tensor([2, 2], &Device::flex()), value.clone(), never);
    assert!(!plain.is_autodiff());
    let constant = tensor([2, 2], &Device::flex().autodiff());
    let untracked = with_backward(constant, value, never);
    assert_eq!(numbers(untracked.inner()), [5.0]);
}

#[test]
fn products_are_burns_whatever_the_views() {
    let device = Device::flex();
    let (a, b) = (tensor([5, 7], &device), tensor([7, 9], &device));
    let wide = tensor([9, 14], &device);
    let pairs = [
        (a.clone(), b.clone()),
        (b.clone().transpose(), a.clone().transpose()),
        (a.clone(), wide.clone().narrow(1, 3, 7).transpose()),
        (a.clone().flip([0]), b.clone()),
        (a.clone(), b.narrow(1, 0, 1).expand([7, 4])),
    ];
    for (a, b) in pairs {
        let expected = a.clone().matmul(b.clone()).into_data();
        let found = matmul(a, b).into_data();
        found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }
    let (a, b) = (tensor([3, 5, 7], &device), tensor([3, 9, 7], &device));
    let expected = a.clone().matmul(b.clone().swap_dims(1, 2)).into_data();
    matmul(a.clone(), b.swap_dims(1, 2))
        .into_data()
        .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    // One matrix for the whole batch is Burn's to spread.
    let one = tensor([1, 7, 2], &device);
    let expected = a.clone().matmul(one.clone()).into_data();
    matmul(a, one)
        .into_data()
        .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
}
