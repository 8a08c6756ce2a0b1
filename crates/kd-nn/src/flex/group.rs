//! Convolution, batch norm, addition and ReLU as one operation, forward and backward, on Burn's `flex` primitives.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend};
use burn::tensor::TensorData;
use burn_flex::FlexTensor;

use super::activation::{Activation, contiguous, numbers};
use crate::kernels::batch_norm::{self, Moments, Normalised, Scaling, pad};
use crate::kernels::buffer::Buffer;
use crate::kernels::conv;
use crate::kernels::fill::NormGradient;
use crate::kernels::geometry::Geometry;
use crate::kernels::isa::kernels;
use crate::kernels::pack;

/// A `flex` tensor that may take part in a gradient.
pub(super) type Tracked = FloatTensor<Autodiff<Flex>>;

/// The operands of a group, as `T` holds tensors. Which of them exist says what the group does, always in this order.
#[derive(Clone, Debug)]
pub(crate) struct Operands<T> {
    pub(crate) input: T,
    pub(crate) conv: Option<Conv<T>>,
    pub(crate) norm: Option<Norm<T>>,
    pub(crate) addend: Option<T>,
    pub(crate) relu: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Conv<T> {
    pub(crate) weight: T,
    pub(crate) bias: Option<T>,
    pub(crate) geometry: Geometry,
}

#[derive(Clone, Debug)]
pub(crate) struct Norm<T> {
    pub(crate) gamma: T,
    pub(crate) beta: T,
    pub(crate) epsilon: f64,
    /// Mean and variance to use instead of the batch's own.
    pub(crate) fixed: Option<[T; 2]>,
}

impl<T> Operands<T> {
    pub(super) fn map<U>(self, mut f: impl FnMut(T) -> U) -> Operands<U> {
        Operands {
            input: f(self.input),
            conv: self.conv.map(|conv| Conv {
                weight: f(conv.weight),
                bias: conv.bias.map(&mut f),
                geometry: conv.geometry,
            }),
            norm: self.norm.map(|norm| Norm {
                gamma: f(norm.gamma),
                beta: f(norm.beta),
                epsilon: norm.epsilon,
                fixed: norm.fixed.map(|fixed| fixed.map(&mut f)),
            }),
            addend: self.addend.map(&mut f),
            relu: self.relu,
        }
    }

    pub(super) fn all(&self) -> Vec<&T> {
        let conv = self
            .conv
            .iter()
            .flat_map(|c| [Some(&c.weight), c.bias.as_ref()]);
        let norm = self.norm.iter().flat_map(|n| [&n.gamma, &n.beta]);
        let fixed = self.norm.iter().flat_map(|n| n.fixed.iter().flatten());
        [&self.input]
            .into_iter()
            .chain(conv.flatten())
            .chain(norm)
            .chain(fixed)
            .chain(&self.addend)
            .collect()
    }
}

/// The output, and the batch's mean and biased variance if batch norm took them.
pub(crate) struct Output<T> {
    pub(crate) output: T,
    pub(crate) moments: Option<[T; 2]>,
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Saved {
    /// The convolution's input, weights and sizes.
    conv: Option<(Activation, FlexTensor, Geometry)>,
    norm: Option<SavedNorm>,
    /// The output, if ReLU made it.
    gate: Option<Activation>,
}

#[derive(Clone, Debug)]
struct SavedNorm {
    input: Activation,
    moments: Moments,
    fixed: bool,
    gamma: Vec<f32>,
    epsilon: f64,
}

/// The group on plain tensors.
pub(super) fn forward(operands: Operands<FlexTensor>) -> Output<FlexTensor> {
    run(operands, false).0
}

/// Computes the group, and keeps what its backward pass needs if asked.
fn run(operands: Operands<FlexTensor>, keep: bool) -> (Output<FlexTensor>, Option<Saved>) {
    let kernels = kernels();
    let Operands {
        input,
        conv,
        norm,
        addend,
        relu,
    } = operands;
    let input = Activation::new(input);
    let addend = addend.map(Activation::new);
    let addend = addend.as_ref().map(Activation::data);
    let norm = norm.map(|norm| Norm {
        gamma: numbers(&norm.gamma),
        beta: numbers(&norm.beta),
        epsilon: norm.epsilon,
        fixed: norm
            .fixed
            .map(|fixed| fixed.map(|tensor| pad(&numbers(&tensor)))),
    });
    let last = norm.is_none();

    // Batch norm with numbers that are known beforehand is part of the weights.
    if let (
        Some(conv),
        Some(Norm {
            gamma,
            beta,
            epsilon,
            fixed: Some([mean, variance]),
        }),
        false,
    ) = (&conv, &norm, keep)
    {
        let scaling = Scaling::new(mean, variance, gamma, beta, *epsilon);
        let mut shift = scaling.shift;
        for (c, bias) in conv.bias.iter().flat_map(numbers).enumerate() {
            shift[c] += bias * scaling.scale[c];
        }
        let (output, _) = convolve(
            &input,
            conv,
            Some(&scaling.scale),
            Some(&shift),
            addend,
            relu,
            false,
        );
        return (
            Output {
                output: output.tensor(),
                moments: None,
            },
            None,
        );
    }

    let batch = norm.as_ref().is_some_and(|norm| norm.fixed.is_none());
    let (convolved, parts) = match &conv {
        None => (input.clone(), Vec::new()),
        Some(conv) => {
            let bias = conv.bias.as_ref().map(|bias| pad(&numbers(bias)));
            let addend = if last { addend } else { None };
            convolve(
                &input,
                conv,
                None,
                bias.as_deref(),
                addend,
                last && relu,
                batch,
            )
        }
    };
    let Some(norm) = norm else {
        let saved = keep.then(|| Saved {
            conv: conv.map(|conv| (input, conv.weight, conv.geometry)),
            norm: None,
            gate: relu.then(|| convolved.clone()),
        });
        return (
            Output {
                output: convolved.tensor(),
                moments: None,
            },
            saved,
        );
    };

    let shape = convolved.shape();
    let channels = shape[1];
    let fixed = norm.fixed.is_some();
    let moments = match norm.fixed {
        Some([mean, variance]) => Moments {
            pixels: convolved.data().len() / channels,
            mean,
            variance,
        },
        None if parts.is_empty() => batch_norm::moments(kernels, convolved.data(), channels),
        None => batch_norm::combine(&parts),
    };
    let mut buffer = Buffer::new(convolved.data().len());
    let to = &mut buffer.as_mut_slice()[..convolved.data().len()];
    Scaling::new(
        &moments.mean,
        &moments.variance,
        &norm.gamma,
        &norm.beta,
        norm.epsilon,
    )
    .apply(kernels, convolved.data(), addend, relu, to, channels);
    let output = Activation::from_buffer(buffer, shape);
    let vector = |values: &[f32]| FlexTensor::from_data(TensorData::from(&values[..channels]));
    let result = Output {
        output: output.tensor(),
        moments: batch.then(|| [vector(&moments.mean), vector(&moments.variance)]),
    };
    let saved = keep.then(|| Saved {
        conv: conv.map(|conv| (input, conv.weight, conv.geometry)),
        norm: Some(SavedNorm {
            input: convolved,
            moments,
            fixed,
            gamma: norm.gamma,
            epsilon: norm.epsilon,
        }),
        gate: relu.then_some(output),
    });
    (result, saved)
}

/// The convolution, with what can be done to its sums on their way to memory; and, if asked, the moments of each band.
fn convolve(
    input: &Activation,
    conv: &Conv<FlexTensor>,
    scale: Option<&[f32]>,
    shift: Option<&[f32]>,
    addend: Option<&[f32]>,
    relu: bool,
    moments: bool,
) -> (Activation, Vec<batch_norm::Pair>) {
    let g = conv.geometry;
    let kernels = kernels();
    let shape = [g.batch, g.channels[1], g.output[0], g.output[1]];
    let len = shape.iter().product();
    let weights = pack::forward(&g, &numbers(&conv.weight), scale);
    let mut buffer = Buffer::new(len);
    let parts = conv::Forward {
        kernels,
        geometry: g,
        input: input.data(),
        weights: &weights,
        shift,
        addend,
        relu,
    }
    .run(&mut buffer.as_mut_slice()[..len], |done| {
        moments.then(|| batch_norm::part(kernels, done, g.channels[1]))
    });
    (
        Activation::from_buffer(buffer, shape),
        parts.into_iter().flatten().collect(),
    )
}

/// The group with its gradient.
pub(super) fn forward_tracked<C: CheckpointStrategy>(
    operands: Operands<Tracked>,
) -> Output<Tracked> {
    // Nodes that an operand is missing for stand for the input once more, and are not asked for a gradient.
    let spare = &operands.input;
    let conv = operands.conv.as_ref();
    let norm = operands.norm.as_ref();
    let nodes = [
        Some(&operands.input),
        conv.map(|conv| &conv.weight),
        conv.and_then(|conv| conv.bias.as_ref()),
        norm.map(|norm| &norm.gamma),
        norm.map(|norm| &norm.beta),
        operands.addend.as_ref(),
    ];
    let present = nodes.map(|node| node.is_some());
    let guards = nodes.map(|node| node.unwrap_or(spare).node());
    match GroupBackward(present)
        .prepare::<C>(guards)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => {
            let (done, saved) = run(operands.map(Tracked::into_primitive), true);
            // `run` was asked to keep it.
            #[allow(clippy::expect_used)]
            let saved = saved.expect("what the backward pass needs");
            Output {
                output: prep.finish(saved, done.output),
                moments: done.moments.map(|m| m.map(Autodiff::<Flex, C>::from_inner)),
            }
        }
        OpsKind::UnTracked(prep) => {
            let done = forward(operands.map(Tracked::into_primitive));
            Output {
                output: prep.finish(done.output),
                moments: done.moments.map(|m| m.map(Autodiff::<Flex, C>::from_inner)),
            }
        }
    }
}

/// Which of input, weight, bias, gamma, beta and addend there are.
#[derive(Debug)]
struct GroupBackward([bool; 6]);

impl Backward<Flex, 6> for GroupBackward {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let mut parents = ops.parents;
        for (parent, present) in parents.iter_mut().zip(self.0) {
            if !present {
                *parent = None;
            }
        }
        let wanted = parents.each_ref().map(Option::is_some);
        for (parent, gradient) in parents
            .into_iter()
            .zip(gradients(&ops.state, gradient, wanted))
        {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// The gradients that are wanted of input, weight, bias, gamma, beta and addend.
fn gradients(saved: &Saved, gradient: FlexTensor, wanted: [bool; 6]) -> [Option<FlexTensor>; 6] {
    let kernels = kernels();
    let [input, weight, bias, gamma, beta, addend] = wanted;
    let gradient = Activation::new(gradient);
    let shape = gradient.shape();
    let channels = shape[1];
    let len = gradient.data().len();
    let gate = saved.gate.as_ref().map(Activation::data);

    // The gradient behind the ReLU is written out only where the addend needs it.
    let mut gated = (addend && gate.is_some()).then(|| Buffer::new(len));
    let gated_data = gated.as_mut().map(|gated| &mut gated.as_mut_slice()[..len]);
    let of = match &saved.norm {
        Some(norm) => Normalised {
            kernels,
            channels,
            input: norm.input.data(),
            moments: norm.moments.clone(),
            gamma: norm.gamma.clone(),
            epsilon: norm.epsilon,
            fixed: norm.fixed,
        },
        None => Normalised::identity(kernels, channels, gradient.data()),
    };
    let needs_sums = saved.norm.is_some() || bias || gated_data.is_some() || gate.is_some();
    let sums = needs_sums.then(|| of.gradients(gradient.data(), gate, gated_data));
    let gated = gated.map(|gated| Activation::from_buffer(gated, shape));
    let (behind, gate) = match &gated {
        Some(gated) => (gated, None),
        None => (&gradient, gate),
    };
    let norm: Option<NormGradient<'_>> = match &sums {
        Some(sums) if saved.norm.is_some() || gate.is_some() => Some(sums.norm(&of, gate)),
        _ => None,
    };

    let vector = |values: &[f32]| FlexTensor::from_data(TensorData::from(values));
    let mut out = [const { None }; 6];
    match &saved.conv {
        Some((x, weights, g)) if input || weight => {
            let weights_shape = weights.layout().shape().clone();
            let weight_numbers = input.then(|| numbers(weights));
            let inputs = x.data().len();
            let mut input_gradient = input.then(|| Buffer::new(inputs));
            let count = weights_shape.num_elements();
            let mut weight_gradient = weight.then(|| Buffer::new(count));
            conv::Backward {
                kernels,
                geometry: *g,
                gradient: behind.data(),
                norm,
                weights: weight_numbers.as_deref(),
                input: weight.then(|| x.data()),
                addend: None,
            }
            .run(
                input_gradient
                    .as_mut()
                    .map(|b| &mut b.as_mut_slice()[..inputs]),
                weight_gradient
                    .as_mut()
                    .map(|b| &mut b.as_mut_slice()[..count]),
            );
            out[0] = input_gradient.map(|b| Activation::from_buffer(b, x.shape()).tensor());
            out[1] = weight_gradient.map(|b| contiguous(b, weights_shape));
        }
        None if input => {
            out[0] = Some(match &norm {
                Some(norm) => {
                    let mut buffer = Buffer::new(len);
                    let to = &mut buffer.as_mut_slice()[..len];
                    batch_norm::input_gradient(kernels, norm, behind.data(), to, channels);
                    Activation::from_buffer(buffer, shape).tensor()
                }
                None => behind.tensor(),
            });
        }
        _ => {}
    }
    if let Some(sums) = &sums {
        // Batch norm takes a bias out again, with the batch's own mean; with a fixed one its gradient is that of beta, scaled.
        out[2] = bias.then(|| match &saved.norm {
            None => vector(&sums.beta),
            Some(norm) if norm.fixed => {
                let scaled: Vec<f32> = sums
                    .beta
                    .iter()
                    .zip(&sums.scale)
                    .map(|(b, s)| b * s)
                    .collect();
                vector(&scaled)
            }
            Some(_) => vector(&vec![0.0; channels]),
        });
        out[3] = gamma.then(|| vector(&sums.gamma));
        out[4] = beta.then(|| vector(&sums.beta));
    }
    out[5] = addend.then(|| behind.tensor());
    out
}
