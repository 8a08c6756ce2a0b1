//! The kernels as an extension of Burn's `flex` backend.
//!
//! Before anything is computed, every operand is looked at: all must be f32 tensors of `flex`, with or without its autodiff, of
//! sizes that fit together. Anything else is left to Burn, which computes it or explains what is wrong.

mod activation;
mod backward;
mod custom;
mod folded;
mod forward;
mod maps;
mod sequence;

use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, NoCheckpointing};
use burn::backend::{
    Autodiff, AutodiffBackend, BackendTensor, DispatchAutodiffContext, DispatchDevice,
    DispatchTensor, DispatchTensorKind, Flex, GradientCheckpointingStrategy, TensorMetadata,
};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device};

pub(crate) use custom::{Dense, channels_last, dense, dense_tensor, matmul, with_backward};
pub(crate) use forward::Output;
pub(crate) use maps::{arrange, average_pool, max_pool};
pub(crate) use sequence::{Addend, Conv, Group, Norm, Sequence};

use self::backward::{MOST, Tracked, forward_tracked};
use self::forward::forward;
use crate::kernels::geometry::Geometry;

/// The sizes of a convolution, unless they do not fit together or leave no output.
pub(crate) fn geometry(
    input: [usize; 4],
    weight: [usize; 4],
    bias: Option<[usize; 1]>,
    options: &ConvOptions<2>,
) -> Option<Geometry> {
    let [batch, channels, height, width] = input;
    let [outputs, group_channels, kernel_height, kernel_width] = weight;
    let groups = options.groups;
    let consistent = groups > 0
        && outputs % groups == 0
        && group_channels * groups == channels
        && bias.is_none_or(|bias| bias == [outputs])
        && options
            .stride
            .iter()
            .chain(&options.dilation)
            .all(|&n| n > 0);
    let some = [
        batch,
        channels,
        height,
        width,
        outputs,
        kernel_height,
        kernel_width,
    ];
    if !consistent || some.contains(&0) {
        return None;
    }
    let pads = options.padding;
    let mut output = [0; 2];
    for axis in 0..2 {
        let (before, after) = pads[axis];
        let span = (weight[2 + axis] - 1) * options.dilation[axis] + 1;
        let room = (input[2 + axis] + before + after).checked_sub(span)?;
        output[axis] = room / options.stride[axis] + 1;
    }
    Some(Geometry {
        batch,
        channels: [channels, outputs],
        groups,
        input: [height, width],
        output,
        kernel: [kernel_height, kernel_width],
        stride: options.stride,
        dilation: options.dilation,
        padding: [pads[0].0, pads[1].0],
    })
}

/// Computes the sequence, in pieces if it is long, if all its tensors are f32 tensors of `flex`.
pub(crate) fn run(sequence: Sequence<DispatchTensor>) -> Option<Output<DispatchTensor>> {
    let pieces = sequence::pieces(sequence.groups, MOST)?;
    let mut whole = Output {
        output: sequence.input,
        moments: Vec::new(),
    };
    for groups in pieces {
        let done = piece(Sequence {
            input: whole.output,
            groups,
        })?;
        whole.output = done.output;
        whole.moments.extend(done.moments);
    }
    Some(whole)
}

fn piece(sequence: Sequence<DispatchTensor>) -> Option<Output<DispatchTensor>> {
    let mut context = DispatchAutodiffContext::Disabled;
    for tensor in sequence.tensors() {
        if tensor.dtype() != DType::F32 || !on_flex(&tensor.kind) {
            return None;
        }
        context = match (context, tensor.autodiff) {
            (DispatchAutodiffContext::Disabled, other)
            | (other, DispatchAutodiffContext::Disabled) => other,
            (one, other) if one == other => one,
            _ => return None,
        };
    }
    Some(match context {
        DispatchAutodiffContext::Disabled => {
            let (done, _) = forward(sequence.map(&mut plain), false);
            done.map(|tensor| DispatchTensor {
                kind: DispatchTensorKind::Flex(BackendTensor::Float(tensor)),
                autodiff: context,
            })
        }
        DispatchAutodiffContext::Enabled(strategy) => {
            let sequence = sequence.map(&mut tracked);
            let done = match strategy {
                GradientCheckpointingStrategy::Disabled => {
                    forward_tracked::<NoCheckpointing>(sequence)
                }
                GradientCheckpointingStrategy::Balanced => {
                    forward_tracked::<BalancedCheckpointing>(sequence)
                }
            };
            done.map(|tensor| {
                let kind = DispatchTensorKind::Flex(BackendTensor::Autodiff(tensor));
                DispatchTensor {
                    kind: DispatchTensorKind::Autodiff(Box::new(kind)),
                    autodiff: context,
                }
            })
        }
    })
}

impl<T> Output<T> {
    fn map<U>(self, f: impl Fn(T) -> U) -> Output<U> {
        Output {
            output: f(self.output),
            moments: self
                .moments
                .into_iter()
                .map(|batch| batch.map(&f))
                .collect(),
        }
    }
}

/// Whether a device without autodiff is `flex`.
pub(crate) fn is_flex(device: &Device) -> bool {
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

#[allow(unreachable_patterns)]
fn on_flex(kind: &DispatchTensorKind) -> bool {
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Float(_)) => true,
        DispatchTensorKind::Autodiff(inner) => {
            matches!(
                **inner,
                DispatchTensorKind::Flex(BackendTensor::Autodiff(_))
            )
        }
        _ => false,
    }
}

/// For tensors that [`on_flex`] has seen outside of autodiff.
#[allow(unreachable_patterns)]
fn plain(tensor: DispatchTensor) -> burn_flex::FlexTensor {
    match tensor.kind {
        DispatchTensorKind::Flex(tensor) => tensor.float(),
        _ => unreachable!("a tensor of flex without autodiff"),
    }
}

/// For tensors that [`on_flex`] has seen.
#[allow(unreachable_patterns)]
fn tracked(tensor: DispatchTensor) -> Tracked {
    match tensor.kind {
        DispatchTensorKind::Autodiff(inner) => match *inner {
            DispatchTensorKind::Flex(tensor) => tensor.autodiff(),
            _ => unreachable!("a tensor of flex"),
        },
        DispatchTensorKind::Flex(tensor) => Autodiff::<Flex>::from_inner(tensor.float()),
        _ => unreachable!("a tensor of flex"),
    }
}
