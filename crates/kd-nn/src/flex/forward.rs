//! A sequence forward, on plain `flex` tensors.

use std::collections::HashMap;
use std::sync::Arc;

use burn::tensor::TensorData;
use burn_flex::FlexTensor;

use super::activation::{Activation, numbers};
use super::folded::{Folded, image_by_image};
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
    Shortcut(usize),
    Projection(usize, Box<Saved>),
}

/// Computes the sequence; and keeps what its backward pass needs, if asked.
pub(super) fn forward(
    sequence: Sequence<FlexTensor>,
    keep: bool,
) -> (Output<FlexTensor>, Vec<Saved>) {
    if !keep && let Some(output) = image_by_image(&sequence) {
        return (
            Output {
                output,
                moments: Vec::new(),
            },
            Vec::new(),
        );
    }
    let shortcuts: Vec<usize> = sequence.groups.iter().filter_map(Group::shortcut).collect();
    let mut pass = Pass {
        keep,
        inputs: HashMap::new(),
        moments: Vec::new(),
    };
    let mut value = Value::Ready(Activation::new(sequence.input));
    let mut saved = Vec::new();
    let mut groups = sequence.groups.into_iter().enumerate().peekable();
    while let Some((index, group)) = groups.next() {
        if let (true, Value::Ready(input)) = (shortcuts.contains(&index), &value) {
            pass.inputs.insert(index, input.clone());
        }
        let convolved_next = groups
            .peek()
            .is_some_and(|(index, next)| next.conv.is_some() && !shortcuts.contains(index));
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
    keep: bool,
    /// What groups were given, where that is a shortcut, by their index.
    inputs: HashMap<usize, Activation>,
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
        let norm = norm.as_ref().map(Numbers::new);
        let place = self.moments.len();
        let (added, saved_addend) = self.addend(addend);
        let added_data = added.as_ref().map(Activation::data);

        if !self.keep
            && let Some(conv) = &conv
            && let Some(folded) = Folded::new(conv, norm.as_ref())
        {
            let mut buffer = Buffer::new(shape.iter().product());
            let to = &mut buffer.as_mut_slice()[..shape.iter().product()];
            folded
                .forward(shape[0], value.data(), value.transform(), added_data, relu)
                .run(to, |_| ());
            return (Value::Ready(Activation::from_buffer(buffer, shape)), None);
        }

        let trains = norm.as_ref().is_some_and(|norm| norm.fixed.is_none());
        let last = norm.is_none();
        let (convolved, parts, saved_conv) = match conv {
            None => (value.ready(), Vec::new(), None),
            Some(conv) => {
                let addend = if last { added_data } else { None };
                let (output, parts) = convolve(&value, &conv, addend, last && relu, trains);
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
            Some(Addend::Shortcut(from)) => (
                Some(self.inputs[&from].clone()),
                Some(SavedAddend::Shortcut(from)),
            ),
            Some(Addend::Projection(from, group)) => {
                let input = Value::Ready(self.inputs[&from].clone());
                let (value, saved) = self.group(*group, input, false);
                let saved = saved.map(|saved| SavedAddend::Projection(from, Box::new(saved)));
                (Some(value.ready()), saved)
            }
        }
    }
}

/// Batch norm's parameters on the host.
pub(super) struct Numbers {
    gamma: Vec<f32>,
    beta: Vec<f32>,
    epsilon: f64,
    pub(super) fixed: Option<Moments>,
}

impl Numbers {
    pub(super) fn new(norm: &Norm<FlexTensor>) -> Self {
        Self {
            gamma: numbers(&norm.gamma).into_owned(),
            beta: numbers(&norm.beta).into_owned(),
            epsilon: norm.epsilon,
            fixed: norm.fixed.as_ref().map(|fixed| {
                let [mean, variance] = fixed.each_ref().map(|tensor| pad(&numbers(tensor)));
                Moments {
                    pixels: 1,
                    mean,
                    variance,
                }
            }),
        }
    }

    pub(super) fn scaling(&self, mean: &[f32], variance: &[f32]) -> Scaling {
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

/// The convolution and, if asked, the moments of each band.
fn convolve(
    input: &Value,
    conv: &Conv<FlexTensor>,
    addend: Option<&[f32]>,
    relu: bool,
    moments: bool,
) -> (Activation, Vec<Pair>) {
    let g = conv.geometry;
    let shape = [g.batch, g.channels[1], g.output[0], g.output[1]];
    let len = shape.iter().product();
    let weights = pack::forward(&g, &numbers(&conv.weight), None);
    let bias = conv.bias.as_ref().map(|bias| pad(&numbers(bias)));
    let mut buffer = Buffer::new(len);
    let forward = conv::Forward {
        kernels: kernels(),
        geometry: g,
        input: input.data(),
        transform: input.transform(),
        weights: &weights,
        shift: bias.as_deref(),
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
