//! Poolings and arrangements of channels on `flex` tensors.

use std::sync::Arc;

use burn::backend::{DispatchTensor, TensorMetadata};
use burn::tensor::DType;

use super::activation::Activation;
use super::custom::{outside, primitive, with_backward};
use super::on_flex;
use crate::kernels::arrange::Order;
use crate::kernels::buffer::Buffer;
use crate::kernels::pool::{self, Windows};

/// A map of f32 on the CPU, with channels innermost.
fn activation(map: &DispatchTensor) -> Option<Activation> {
    let suits = map.dtype() == DType::F32 && on_flex(&map.kind);
    suits.then(|| Activation::new(primitive(map.clone())))
}

fn filled(shape: [usize; 4], fill: impl FnOnce(&mut [f32])) -> Activation {
    let len = shape.iter().product();
    let mut buffer = Buffer::new(len);
    fill(&mut buffer.as_mut_slice()[..len]);
    Activation::from_buffer(buffer, shape)
}

fn dispatch(map: &Activation) -> DispatchTensor {
    outside(map.tensor())
}

/// `None` leaves it to Burn.
fn pooled(
    map: DispatchTensor,
    windows: Windows,
    forward: fn(&Windows, &[f32], &mut [f32]),
    backward: impl Fn(&Windows, &Activation, &Activation, &[f32], &mut [f32]) + Send + Sync + 'static,
) -> Option<DispatchTensor> {
    let x = activation(&map)?;
    let [batch, channels, ..] = x.shape();
    let [height, width] = windows.output;
    let shape = [batch, channels, height, width];
    if shape.contains(&0) || x.shape().contains(&0) {
        return None;
    }
    let value = filled(shape, |to| forward(&windows, x.data(), to));
    let output = dispatch(&value);
    Some(with_backward([map], output, move |gradient, _| {
        let gradient = Activation::new(primitive(gradient));
        let found = filled(x.shape(), |to| {
            backward(&windows, &x, &value, gradient.data(), to)
        });
        [Some(dispatch(&found))]
    }))
}

pub(crate) fn max_pool(map: DispatchTensor, windows: Windows) -> Option<DispatchTensor> {
    pooled(map, windows, pool::largest, |w, x, value, gradient, to| {
        pool::largest_backward(w, x.data(), value.data(), gradient, to);
    })
}

pub(crate) fn average_pool(map: DispatchTensor, windows: Windows) -> Option<DispatchTensor> {
    pooled(map, windows, pool::mean, |w, _, _, gradient, to| {
        pool::mean_backward(w, gradient, to);
    })
}

pub(crate) fn arrange<const N: usize>(
    maps: [DispatchTensor; N],
    order: &Arc<Order>,
) -> Option<DispatchTensor> {
    let sources: Vec<Activation> = maps.iter().map(activation).collect::<Option<_>>()?;
    let [batch, _, height, width] = sources.first()?.shape();
    let shape = [batch, order.channels, height, width];
    if shape.contains(&0) || sources.iter().any(|source| source.shape().contains(&0)) {
        return None;
    }
    let value = filled(shape, |to| {
        let maps: Vec<_> = sources
            .iter()
            .map(|map| (map.data(), map.shape()[1]))
            .collect();
        order.gather(&maps, to);
    });
    let channels: Vec<usize> = sources.iter().map(|map| map.shape()[1]).collect();
    let order = Arc::clone(order);
    Some(with_backward(
        maps,
        dispatch(&value),
        move |gradient, wanted| {
            let gradient = Activation::new(primitive(gradient));
            std::array::from_fn(|map| {
                wanted[map].then(|| {
                    let shape = [batch, channels[map], height, width];
                    let found = filled(shape, |to| {
                        order.scatter(map, channels[map], gradient.data(), to);
                    });
                    dispatch(&found)
                })
            })
        },
    ))
}
