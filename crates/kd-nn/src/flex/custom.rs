//! Operations of other crates on `flex` tensors: numbers in place, and a node of the graph around a closure.

use std::fmt;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::autodiff::grads;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{
    BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex,
    GradientCheckpointingStrategy, TensorMetadata,
};
use burn::tensor::DType;
use burn_flex::FlexTensor;

use super::activation::{self, Activation};
use super::backward::Tracked;
use super::{on_flex, plain, tracked};
use crate::kernels::buffer::Buffer;
use crate::kernels::matmul;

/// A tensor without gaps.
pub(crate) struct Dense {
    tensor: FlexTensor,
    len: usize,
}

impl Dense {
    pub(crate) fn numbers(&self) -> &[f32] {
        let start = self.tensor.layout().start_offset();
        &self.tensor.storage::<f32>()[start..start + self.len]
    }
}

/// The numbers of a dense tensor of f32, and whether channels lie innermost.
pub(crate) fn dense(tensor: DispatchTensor) -> Option<(Dense, bool)> {
    if tensor.dtype() != DType::F32 || !on_flex(&tensor.kind) {
        return None;
    }
    let tensor = primitive(tensor);
    let layout = tensor.layout();
    let len = layout.shape().num_elements();
    let contiguous = layout.is_contiguous();
    let channels_last = !contiguous && is_channels_last(&tensor);
    (contiguous || channels_last).then_some((Dense { tensor, len }, channels_last))
}

/// Whether a tensor of `flex` has four dimensions, the second of them innermost.
pub(crate) fn channels_last(tensor: DispatchTensor) -> bool {
    on_flex(&tensor.kind) && is_channels_last(&primitive(tensor))
}

fn is_channels_last(tensor: &FlexTensor) -> bool {
    let layout = tensor.layout();
    <[usize; 4]>::try_from(layout.shape().as_slice())
        .is_ok_and(|shape| activation::dense(layout, shape))
}

pub(super) fn primitive(tensor: DispatchTensor) -> FlexTensor {
    match tensor.autodiff {
        DispatchAutodiffContext::Disabled => plain(tensor),
        DispatchAutodiffContext::Enabled(_) => tracked(tensor).into_primitive(),
    }
}

/// A tensor in a pooled buffer.
pub(crate) fn dense_tensor(
    shape: &[usize],
    channels_last: bool,
    fill: impl FnOnce(&mut [f32]),
) -> DispatchTensor {
    let len = shape.iter().product();
    let mut buffer = Buffer::new(len);
    fill(&mut buffer.as_mut_slice()[..len]);
    let tensor = match <[usize; 4]>::try_from(shape) {
        Ok(shape) if channels_last => Activation::from_buffer(buffer, shape).tensor(),
        _ => activation::contiguous(buffer, shape.to_vec()),
    };
    outside(tensor)
}

pub(super) fn outside(tensor: FlexTensor) -> DispatchTensor {
    DispatchTensor {
        kind: DispatchTensorKind::Flex(BackendTensor::Float(tensor)),
        autodiff: DispatchAutodiffContext::Disabled,
    }
}

/// Of the gradient of the value, and of which inputs it is wanted, their gradients.
type Function<const N: usize> =
    dyn Fn(DispatchTensor, [bool; N]) -> [Option<DispatchTensor>; N] + Send + Sync;

/// The way back, as the state of a node.
#[derive(Clone)]
struct Closure<const N: usize>(Arc<Function<N>>);

impl<const N: usize> fmt::Debug for Closure<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closure")
    }
}

#[derive(Debug)]
struct ClosureBackward;

impl<const N: usize> Backward<Flex, N> for ClosureBackward {
    type State = Closure<N>;

    fn backward(self, ops: Ops<Closure<N>, N>, grads: &mut grads::Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let wanted = std::array::from_fn(|i| ops.parents[i].is_some());
        let gradients = (ops.state.0)(outside(gradient), wanted);
        for (parent, gradient) in ops.parents.iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, plain(gradient));
            }
        }
    }
}

/// `value` as a function of `inputs`, if one of them is tracked.
pub(crate) fn with_backward<const N: usize>(
    inputs: [DispatchTensor; N],
    value: DispatchTensor,
    backward: impl Fn(DispatchTensor, [bool; N]) -> [Option<DispatchTensor>; N] + Send + Sync + 'static,
) -> DispatchTensor {
    let contexts = inputs.iter().map(|input| input.autodiff);
    let context = contexts.fold(DispatchAutodiffContext::Disabled, |one, other| match one {
        DispatchAutodiffContext::Disabled => other,
        one => one,
    });
    let DispatchAutodiffContext::Enabled(strategy) = context else {
        return value;
    };
    assert!(
        inputs.iter().all(|input| on_flex(&input.kind)) && on_flex(&value.kind),
        "a way back written by hand joins the graph of tensors of flex alone"
    );
    let inputs = inputs.map(tracked);
    let (value, backward) = (primitive(value), Closure(Arc::new(backward)));
    let value = match strategy {
        GradientCheckpointingStrategy::Disabled => {
            node::<NoCheckpointing, N>(&inputs, value, backward)
        }
        GradientCheckpointingStrategy::Balanced => {
            node::<BalancedCheckpointing, N>(&inputs, value, backward)
        }
    };
    let kind = DispatchTensorKind::Flex(BackendTensor::Autodiff(value));
    DispatchTensor {
        kind: DispatchTensorKind::Autodiff(Box::new(kind)),
        autodiff: context,
    }
}

fn node<C: CheckpointStrategy, const N: usize>(
    inputs: &[Tracked; N],
    value: FlexTensor,
    backward: Closure<N>,
) -> Tracked {
    let prepared = ClosureBackward
        .prepare::<C>(std::array::from_fn(|i| inputs[i].node()))
        .compute_bound()
        .stateful();
    match prepared {
        OpsKind::Tracked(prepared) => prepared.finish(backward, value),
        OpsKind::UnTracked(prepared) => prepared.finish(value),
    }
}

/// The product of plain tensors of f32.
pub(crate) fn matmul(a: DispatchTensor, b: DispatchTensor) -> Option<DispatchTensor> {
    for tensor in [&a, &b] {
        let outside = matches!(tensor.autodiff, DispatchAutodiffContext::Disabled);
        if !outside || tensor.dtype() != DType::F32 || !on_flex(&tensor.kind) {
            return None;
        }
    }
    let (a, b) = (plain(a), plain(b));
    let (a_view, b_view) = (view(&a)?, view(&b)?);
    let ([batch, rows, depth], [b_batch, b_depth, columns]) = (a_view.1, b_view.1);
    if batch != b_batch || depth != b_depth {
        return None;
    }
    let rank = a.layout().shape().num_dims();
    if rank != b.layout().shape().num_dims() {
        return None;
    }
    let shape = [batch, rows, columns];
    let sizes = matmul::Sizes {
        batch,
        rows,
        columns,
        depth,
    };
    Some(dense_tensor(&shape[3 - rank..], false, |to| {
        matmul::multiply(sizes, a_view.0, b_view.0, to);
    }))
}

/// A tensor of two or three dimensions as matrices, unless it is flipped.
fn view(tensor: &FlexTensor) -> Option<(matmul::Matrix<'_>, [usize; 3])> {
    let layout = tensor.layout();
    let (shape, strides) = (layout.shape(), layout.strides());
    let pad = 3_usize.checked_sub(shape.num_dims())?;
    if pad > 1 || strides.iter().any(|&stride| stride < 0) {
        return None;
    }
    let (mut sizes, mut steps) = ([1; 3], [0; 3]);
    for i in pad..3 {
        sizes[i] = shape[i - pad];
        steps[i] = strides[i - pad] as usize;
    }
    let numbers = &tensor.storage::<f32>()[layout.start_offset()..];
    let strides = steps;
    Some((matmul::Matrix { numbers, strides }, sizes))
}
