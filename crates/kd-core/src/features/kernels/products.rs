use burn::tensor::Tensor;
use kd_nn::custom::{Dense, matmul, with_backward};

/// Inner products of the rows of a matrix, `x x^T`: `[rows, n]` -> `[rows, rows]`.
pub(crate) fn gram(x: Tensor<2>) -> Tensor<2> {
    if Dense::of(&x).is_none() {
        return crate::math::gram(x);
    }
    let own = x.clone().without_autodiff();
    with_backward(x, crate::math::gram(own.clone()), move |gradient| {
        matmul(gradient.clone() + gradient.transpose(), own.clone())
    })
}

/// Inner products over the pixels, with the way back to both operands that autodiff would take through copies of their transposes:
/// `[batch, pixels, channels]` each if `last`, else `[batch, channels, pixels]` -> `[batch, first's channels, second's channels]`.
pub(crate) fn products(first: Tensor<3>, second: Tensor<3>, last: bool) -> Tensor<3> {
    let multiply = move |first: Tensor<3>, second: Tensor<3>| {
        if last {
            matmul(first.transpose(), second)
        } else {
            matmul(first, second.transpose())
        }
    };
    if Dense::of(&first).is_none() || Dense::of(&second).is_none() {
        return multiply(first, second);
    }
    let (a, b) = (
        first.clone().without_autodiff(),
        second.clone().without_autodiff(),
    );
    let value = multiply(a.clone(), b.clone());
    let to_second = second.is_autodiff().then(|| {
        with_backward(second, value.zeros_like(), move |gradient: Tensor<3>| {
            if last {
                matmul(a.clone(), gradient)
            } else {
                matmul(gradient.transpose(), a.clone())
            }
        })
    });
    let value = with_backward(first, value, move |gradient: Tensor<3>| {
        if last {
            matmul(b.clone(), gradient.transpose())
        } else {
            matmul(gradient, b.clone())
        }
    });
    match to_second {
        Some(zeros) => value + zeros,
        None => value,
    }
}

/// [`products`] of a map with itself.
pub(crate) fn own_products(x: Tensor<3>, last: bool) -> Tensor<3> {
    if Dense::of(&x).is_none() {
        return products(x.clone(), x, last);
    }
    let own = x.clone().without_autodiff();
    let value = products(own.clone(), own.clone(), last);
    with_backward(x, value, move |gradient: Tensor<3>| {
        let gradient = gradient.clone() + gradient.transpose();
        if last {
            matmul(own.clone(), gradient)
        } else {
            matmul(gradient, own.clone())
        }
    })
}
