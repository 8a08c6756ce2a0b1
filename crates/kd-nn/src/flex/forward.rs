//! A sequence forward, on plain `flex` tensors.

use std::sync::Arc;

use burn::tensor::TensorData;
use burn_flex::FlexTensor;

use super::activation::{Activation, numbers};
use super::sequence::{Addend, Conv, Group, Norm, Sequence};
use crate::kernels::batch_norm::{self, Moments, Pair, Scaling, pad};
use crate::kernels::buffer::Buffer;
use crate::kernels::conv;
use crate::kernels::fill::Transform;
use crate::kernels::isa::kernels;
use crate::kernels::pack;

/// The output, and the moments of the batch for each batch norm that took them, in the order of [`Group::with_projection`].
pub(crate) struct Output<T> {
    pub(crate) output: T,
    pub(crate) moments: Vec<BatchMoments<T>>,
}

/// Mean and biased variance over `numbers` numbers a channel.
pub(crate) struct BatchMoments<T> {
    pub(crate) tensors: [T; 2],
    pub(crate) numbers: usize,
}

impl<T> BatchMoments<T> {
    pub(super) fn map<U>(self, f: impl Fn(T) -> U) -> BatchMoments<U> {
        BatchMoments {
            tensors: self.tensors.map(f),
            numbers: self.numbers,
        }
    }
}

/// What lies between two groups.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Ready(Activation),
    /// Batch norm and ReLU that the next convolution does when it reads its input.
    PutOff {
        input: Activation,
        scaling: Arc<Scaling>,
        relu: bool,
    },
}

impl Value {
    pub(super) fn data(&self) -> &[f32] {
        match self {
            Self::Ready(activation) => activation.data(),
            Self::PutOff { input, .. } => input.data(),
        }
    }

    pub(super) fn shape(&self) -> [usize; 4] {
        match self {
            Self::Ready(activation) => activation.shape(),
            Self::PutOff { input, .. } => input.shape(),
        }
    }

    pub(super) fn transform(&self) -> Transform<'_> {
        match self {
            Self::Ready(_) => Transform::None,
            Self::PutOff { scaling, relu, .. } => Transform::Affine(scaling, *relu),
        }
    }

    /// The activation itself.
    fn ready(self) -> Activation {
        match self {
            Self::Ready(activation) => activation,
            Self::PutOff {
                input,
                scaling,
                relu,
            } => scaled(&input, &scaling, None, relu),
        }
    }
}

/// What the backward pass needs of a group.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    /// The convolution's input, weights and sizes, and whether it has a bias.
    pub(super) conv: Option<SavedConv>,
    pub(super) norm: Option<SavedNorm>,
    pub(super) gate: SavedGate,
    pub(super) addend: Option<SavedAddend>,
    pub(super) shape: [usize; 4],
}

#[derive(Clone, Debug)]
pub(super) struct SavedConv {
    pub(super) input: Value,
    pub(super) conv: Conv<FlexTensor>,
}

#[derive(Clone, Debug)]
pub(super) struct SavedNorm {
    pub(super) input: Activation,
    pub(super) moments: Moments,
    pub(super) fixed: bool,
    pub(super) gamma: Vec<f32>,
    pub(super) epsilon: f64,
}

/// Where the group's ReLU let numbers pass.
#[derive(Clone, Debug)]
pub(super) enum SavedGate {
    Open,
    Output(Activation),
    Again(Arc<Scaling>),
}

#[derive(Clone, Debug)]
pub(super) enum SavedAddend {
    Tensor,
    Input,
    Projection(Box<Saved>),
}

/// Computes the sequence; and keeps what its backward pass needs, if asked.
pub(super) fn forward(
    sequence: Sequence<FlexTensor>,
    keep: bool,
) -> (Output<FlexTensor>, Vec<Saved>) {
    let mut pass = Pass {
        input: Activation::new(sequence.input),
        keep,
        moments: Vec::new(),
    };
    let mut value = Value::Ready(pass.input.clone());
    let mut saved = Vec::new();
    let mut groups = sequence.groups.into_iter().peekable();
    while let Some(group) = groups.next() {
        let convolved_next = groups.peek().is_some_and(|next| next.conv.is_some());
        let (next, kept) = pass.group(group, value, convolved_next);
        value = next;
        saved.extend(kept);
    }
    let output = Output {
        output: value.ready().tensor(),
        moments: pass.moments,
    };
    (output, saved)
}

struct Pass {
    input: Activation,
    keep: bool,
    moments: Vec<BatchMoments<FlexTensor>>,
}

impl Pass {
    /// One group. Its batch norm may be put off where a convolution comes next.
    fn group(
        &mut self,
        group: Group<FlexTensor>,
        value: Value,
        convolved_next: bool,
    ) -> (Value, Option<Saved>) {
        let Group {
            conv,
            norm,
            addend,
            relu,
            shape,
        } = group;
        let norm = norm.map(Numbers::new);
        let place = self.moments.len();
        let (added, saved_addend) = self.addend(addend);
        let added_data = added.as_ref().map(Activation::data);

        // Batch norm with numbers that are known beforehand is part of the weights.
        if let (Some(conv), Some(norm), false) = (&conv, &norm, self.keep)
            && let Some(Moments { mean, variance, .. }) = &norm.fixed
        {
            let Scaling { scale, mut shift } = norm.scaling(mean, variance);
            for (c, bias) in conv
                .bias
                .iter()
                .flat_map(|bias| numbers(bias).into_owned())
                .enumerate()
            {
                shift[c] += bias * scale[c];
            }
            let (output, _) = convolve(
                &value,
                conv,
                Some(&scale),
                Some(&shift),
                added_data,
                relu,
                false,
            );
            return (Value::Ready(output), None);
        }

        let trains = norm.as_ref().is_some_and(|norm| norm.fixed.is_none());
        let last = norm.is_none();
        let (convolved, parts, saved_conv) = match conv {
            None => (value.ready(), Vec::new(), None),
            Some(conv) => {
                let bias = conv.bias.as_ref().map(|bias| pad(&numbers(bias)));
                let addend = if last { added_data } else { None };
                let (output, parts) = convolve(
                    &value,
                    &conv,
                    None,
                    bias.as_deref(),
                    addend,
                    last && relu,
                    trains,
                );
                (output, parts, Some(SavedConv { input: value, conv }))
            }
        };
        let mut saved_norm = None;
        let value = match norm {
            None if saved_conv.is_some() || (added.is_none() && !relu) => Value::Ready(convolved),
            None => {
                let identity = Scaling::identity(shape[1]);
                Value::Ready(scaled(&convolved, &identity, added_data, relu))
            }
            Some(norm) => {
                let moments = match &norm.fixed {
                    Some(fixed) => fixed.clone(),
                    None if parts.is_empty() => {
                        batch_norm::moments(kernels(), convolved.data(), shape[1])
                    }
                    None => batch_norm::combine(&parts),
                };
                if trains {
                    let vector = |values: &[f32]| {
                        FlexTensor::from_data(TensorData::from(&values[..shape[1]]))
                    };
                    // Before those of a projection, which were taken first.
                    let batch = BatchMoments {
                        tensors: [vector(&moments.mean), vector(&moments.variance)],
                        numbers: moments.pixels,
                    };
                    self.moments.insert(place, batch);
                }
                let scaling = norm.scaling(&moments.mean, &moments.variance);
                let input = convolved.clone();
                let value = match convolved_next && added.is_none() {
                    true => Value::PutOff {
                        input: convolved,
                        scaling: Arc::new(scaling),
                        relu,
                    },
                    false => Value::Ready(scaled(&convolved, &scaling, added_data, relu)),
                };
                saved_norm = Some(SavedNorm {
                    input,
                    moments,
                    fixed: !trains,
                    gamma: norm.gamma,
                    epsilon: norm.epsilon,
                });
                value
            }
        };
        let saved = self.keep.then(|| Saved {
            conv: saved_conv,
            norm: saved_norm,
            gate: match (&value, relu) {
                (_, false) => SavedGate::Open,
                (Value::Ready(output), true) => SavedGate::Output(output.clone()),
                (Value::PutOff { scaling, .. }, true) => SavedGate::Again(scaling.clone()),
            },
            addend: saved_addend,
            shape,
        });
        (value, saved)
    }

    fn addend(
        &mut self,
        addend: Option<Addend<FlexTensor>>,
    ) -> (Option<Activation>, Option<SavedAddend>) {
        match addend {
            None => (None, None),
            Some(Addend::Tensor(tensor)) => {
                (Some(Activation::new(tensor)), Some(SavedAddend::Tensor))
            }
            Some(Addend::Input) => (Some(self.input.clone()), Some(SavedAddend::Input)),
            Some(Addend::Projection(group)) => {
                let input = Value::Ready(self.input.clone());
                let (value, saved) = self.group(*group, input, false);
                let saved = saved.map(|saved| SavedAddend::Projection(Box::new(saved)));
                (Some(value.ready()), saved)
            }
        }
    }
}

/// Batch norm's parameters on the host.
struct Numbers {
    gamma: Vec<f32>,
    beta: Vec<f32>,
    epsilon: f64,
    fixed: Option<Moments>,
}

impl Numbers {
    fn new(norm: Norm<FlexTensor>) -> Self {
        Self {
            gamma: numbers(&norm.gamma).into_owned(),
            beta: numbers(&norm.beta).into_owned(),
            epsilon: norm.epsilon,
            fixed: norm.fixed.map(|fixed| {
                let [mean, variance] = fixed.map(|tensor| pad(&numbers(&tensor)));
                Moments {
                    pixels: 1,
                    mean,
                    variance,
                }
            }),
        }
    }

    fn scaling(&self, mean: &[f32], variance: &[f32]) -> Scaling {
        Scaling::new(mean, variance, &self.gamma, &self.beta, self.epsilon)
    }
}

/// `scale · x + shift (+ addend)`, then ReLU if asked.
fn scaled(x: &Activation, scaling: &Scaling, addend: Option<&[f32]>, relu: bool) -> Activation {
    let shape = x.shape();
    let mut buffer = Buffer::new(x.data().len());
    let to = &mut buffer.as_mut_slice()[..x.data().len()];
    scaling.apply(kernels(), x.data(), addend, relu, to, shape[1]);
    Activation::from_buffer(buffer, shape)
}

/// The convolution, with what can be done to its sums on their way to memory; and, if asked, the moments of each band.
fn convolve(
    input: &Value,
    conv: &Conv<FlexTensor>,
    scale: Option<&[f32]>,
    shift: Option<&[f32]>,
    addend: Option<&[f32]>,
    relu: bool,
    moments: bool,
) -> (Activation, Vec<Pair>) {
    let g = conv.geometry;
    let shape = [g.batch, g.channels[1], g.output[0], g.output[1]];
    let len = shape.iter().product();
    let weights = pack::forward(&g, &numbers(&conv.weight), scale);
    let mut buffer = Buffer::new(len);
    let forward = conv::Forward {
        kernels: kernels(),
        geometry: g,
        input: input.data(),
        transform: input.transform(),
        weights: &weights,
        shift,
        addend,
        relu,
    };
    let parts = forward.run(&mut buffer.as_mut_slice()[..len], |done| {
        moments.then(|| batch_norm::part(kernels(), done, g.channels[1]))
    });
    (
        Activation::from_buffer(buffer, shape),
        parts.into_iter().flatten().collect(),
    )
}
