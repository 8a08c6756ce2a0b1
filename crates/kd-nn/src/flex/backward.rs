//! A sequence with its gradient, on `flex` tensors under autodiff.

use std::collections::HashMap;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex};
use burn::tensor::TensorData;
use burn_flex::FlexTensor;

use super::activation::{Activation, contiguous, numbers};
use super::forward::{
    BatchMoments, Output, Saved, SavedAddend, SavedConv, SavedGate, SavedNorm, forward,
};
use super::sequence::Sequence;
use crate::kernels::batch_norm::{self, Normalised, Pair, Scaling};
use crate::kernels::buffer::Buffer;
use crate::kernels::conv;
use crate::kernels::fill::{Gate, NormGradient, Transform};
use crate::kernels::isa::kernels;

/// A `flex` tensor that may take part in a gradient.
pub(super) type Tracked = FloatTensor<Autodiff<Flex>>;

/// Tensors with a gradient that a sequence may have.
pub(super) const MOST: usize = 64;

/// The sequence with its gradient.
pub(super) fn forward_tracked<C: CheckpointStrategy>(
    sequence: Sequence<Tracked>,
) -> Output<Tracked> {
    // The number of nodes is part of a type: a size for a group, for a residual block, and for any sequence.
    match sequence.parameters().len() {
        0..=6 => track::<C, 6>(sequence),
        7..=16 => track::<C, 16>(sequence),
        _ => track::<C, MOST>(sequence),
    }
}

fn track<C: CheckpointStrategy, const N: usize>(sequence: Sequence<Tracked>) -> Output<Tracked> {
    // Places behind the last parameter stand for the input once more, and are not asked for a gradient.
    let parameters = sequence.parameters();
    let count = parameters.len();
    let guards = std::array::from_fn(|i| parameters.get(i).unwrap_or(&parameters[0]).node());
    let lift = |moments: Vec<BatchMoments<FlexTensor>>| {
        let lifted = moments.into_iter();
        lifted
            .map(|batch| batch.map(Autodiff::<Flex, C>::from_inner))
            .collect()
    };
    let prepared = SequenceBackward::<N>(count)
        .prepare::<C>(guards)
        .compute_bound()
        .stateful();
    let sequence = sequence.map(&mut Tracked::into_primitive);
    match prepared {
        OpsKind::Tracked(prepared) => {
            let (done, saved) = forward(sequence, true);
            Output {
                output: prepared.finish(saved, done.output),
                moments: lift(done.moments),
            }
        }
        OpsKind::UnTracked(prepared) => {
            let (done, _) = forward(sequence, false);
            Output {
                output: prepared.finish(done.output),
                moments: lift(done.moments),
            }
        }
    }
}

/// A sequence of this many parameters, the input among them.
#[derive(Debug)]
struct SequenceBackward<const N: usize>(usize);

impl<const N: usize> Backward<Flex, N> for SequenceBackward<N> {
    type State = Vec<Saved>;

    fn backward(self, ops: Ops<Vec<Saved>, N>, grads: &mut grads::Gradients, _: &mut Checkpointer) {
        let gradient = Activation::new(grads.consume::<Flex>(&ops.node));
        let parents = &ops.parents[..self.0];
        let mut gradients = Gradients {
            wanted: parents.iter().map(Option::is_some).collect(),
            found: vec![None; self.0],
            arrived: HashMap::new(),
        };
        gradients.sequence(&ops.state, gradient);
        for (parent, gradient) in parents.iter().zip(gradients.found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// The gradients of a sequence's parameters, in the order of [`Sequence::parameters`].
struct Gradients {
    wanted: Vec<bool>,
    found: Vec<Option<FlexTensor>>,
    /// What has come through shortcuts to the inputs of groups, by the group's index.
    arrived: HashMap<usize, Activation>,
}

/// The gradient of a group's output.
struct Arriving {
    gradient: Activation,
    /// What lies behind the group's ReLU, where that was taken off already, and the sums over it that its batch norm needs.
    sums: Option<Vec<Pair>>,
}

impl Saved {
    /// How many parameters the group has.
    fn parameters(&self) -> usize {
        let conv = self
            .conv
            .as_ref()
            .map_or(0, |c| 1 + usize::from(c.conv.bias.is_some()));
        let norm = if self.norm.is_some() { 2 } else { 0 };
        let addend = match &self.addend {
            Some(SavedAddend::Tensor) => 1,
            Some(SavedAddend::Projection(_, saved)) => saved.parameters(),
            Some(SavedAddend::Shortcut(_)) | None => 0,
        };
        conv + norm + addend
    }

    fn gate(&self) -> Gate<'_> {
        match &self.gate {
            SavedGate::Open => Gate::Open,
            SavedGate::Output(output) => Gate::Output(output.data()),
            SavedGate::Again(scaling) => Gate::Again(scaling),
        }
    }
}

impl SavedNorm {
    fn normalised(&self, channels: usize) -> Normalised<'_> {
        Normalised {
            kernels: kernels(),
            channels,
            input: self.input.data(),
            moments: self.moments.clone(),
            gamma: self.gamma.clone(),
            epsilon: self.epsilon,
            fixed: self.fixed,
        }
    }
}

impl Gradients {
    fn sequence(&mut self, groups: &[Saved], gradient: Activation) {
        let mut end: usize = 1 + groups.iter().map(Saved::parameters).sum::<usize>();
        let mut arriving = Arriving {
            gradient,
            sums: None,
        };
        for (index, group) in groups.iter().enumerate().rev() {
            let first = end - group.parameters();
            let place = Place {
                input: index,
                parameters: first,
                onwards: index > 0 || self.wanted[0],
                before: index.checked_sub(1).map(|before| &groups[before]),
            };
            match self.group(group, arriving, &place) {
                Some(next) => arriving = next,
                None => return,
            }
            end = first;
        }
        self.found[0] = Some(arriving.gradient.tensor());
    }

    /// Adds to what has come to the input of a group.
    fn arrive(&mut self, input: usize, gradient: Activation) {
        let sum = match self.arrived.remove(&input) {
            None => gradient,
            Some(sum) => add(&sum, &gradient),
        };
        self.arrived.insert(input, sum);
    }

    /// Whether anybody wants the gradient of the input of a group.
    fn reaches(&self, input: usize) -> bool {
        input > 0 || self.wanted[0]
    }

    /// The gradients of a group's parameters, and that of its input, with what has come to it already.
    fn group(&mut self, group: &Saved, arriving: Arriving, place: &Place<'_>) -> Option<Arriving> {
        let kernels = kernels();
        let channels = group.shape[1];
        let Arriving { gradient, sums } = arriving;
        let len = gradient.data().len();
        let gate = match sums {
            Some(_) => Gate::Open,
            None => group.gate(),
        };
        let gates = !matches!(gate, Gate::Open);

        // The places of the parameters.
        let weight = place.parameters;
        let bias = group
            .conv
            .as_ref()
            .and_then(|c| c.conv.bias.as_ref())
            .map(|_| weight + 1);
        let gamma = weight + usize::from(group.conv.is_some()) + usize::from(bias.is_some());
        let addend = gamma + if group.norm.is_some() { 2 } else { 0 };
        let adds = match &group.addend {
            None => false,
            Some(SavedAddend::Tensor) => self.wanted[addend],
            Some(SavedAddend::Shortcut(from)) => self.reaches(*from),
            Some(SavedAddend::Projection(from, saved)) => {
                self.reaches(*from)
                    || self.wanted[addend..addend + saved.parameters()].contains(&true)
            }
        };
        let bias_wanted = bias.is_some_and(|bias| self.wanted[bias]);

        // The gradient behind the ReLU is written out only where something else than batch norm needs it.
        let plain = group.conv.is_none() && group.norm.is_none();
        let mut gated = (gates && (adds || plain)).then(|| Buffer::new(len));
        let of = match &group.norm {
            Some(norm) => norm.normalised(channels),
            None => Normalised::identity(kernels, channels, gradient.data()),
        };
        let sums = match sums {
            Some(parts) => Some(of.finish(&parts)),
            None if group.norm.is_some() || bias_wanted || gates => {
                let gated = gated.as_mut().map(|gated| &mut gated.as_mut_slice()[..len]);
                Some(of.gradients(gradient.data(), gate, gated))
            }
            None => None,
        };
        let gated = gated.map(|gated| Activation::from_buffer(gated, group.shape));
        let (behind, gate) = match &gated {
            Some(gated) => (gated, Gate::Open),
            None => (&gradient, gate),
        };
        if let Some(sums) = &sums {
            let vector = |values: &[f32]| FlexTensor::from_data(TensorData::from(values));
            if let Some(bias) = bias
                && bias_wanted
            {
                self.found[bias] = Some(vector(&bias_gradient(group.norm.as_ref(), sums)));
            }
            if group.norm.is_some() {
                self.found[gamma] = self.wanted[gamma].then(|| vector(&sums.gamma));
                self.found[gamma + 1] = self.wanted[gamma + 1].then(|| vector(&sums.beta));
            }
        }
        match &group.addend {
            _ if !adds => {}
            None => {}
            Some(SavedAddend::Tensor) => self.found[addend] = Some(behind.tensor()),
            Some(SavedAddend::Shortcut(from)) => self.arrive(*from, behind.clone()),
            Some(SavedAddend::Projection(from, saved)) => {
                let arriving = Arriving {
                    gradient: behind.clone(),
                    sums: None,
                };
                let place = Place {
                    input: *from,
                    parameters: addend,
                    onwards: self.reaches(*from),
                    before: None,
                };
                if let Some(through) = self.group(saved, arriving, &place) {
                    self.arrived.insert(*from, through.gradient);
                }
            }
        }

        let norm = match &sums {
            Some(sums) if group.norm.is_some() || !matches!(gate, Gate::Open) => {
                Some(sums.norm(&of, gate))
            }
            _ => None,
        };
        let Some(saved) = &group.conv else {
            if !place.onwards {
                return None;
            }
            let passed = match &norm {
                None => behind.clone(),
                Some(norm) => {
                    let mut buffer = Buffer::new(len);
                    let to = &mut buffer.as_mut_slice()[..len];
                    batch_norm::input_gradient(kernels, norm, behind.data(), to, channels);
                    Activation::from_buffer(buffer, group.shape)
                }
            };
            let gradient = match self.arrived.remove(&place.input) {
                None => passed,
                Some(arrived) => add(&arrived, &passed),
            };
            return Some(Arriving {
                gradient,
                sums: None,
            });
        };
        self.convolution(saved, behind, norm.as_ref(), place)
    }

    /// The gradients of a convolution's weights and input, from that of what lies behind its batch norm.
    fn convolution(
        &mut self,
        saved: &SavedConv,
        gradient: &Activation,
        norm: Option<&NormGradient<'_>>,
        place: &Place<'_>,
    ) -> Option<Arriving> {
        let weight_wanted = self.wanted[place.parameters];
        if !place.onwards && !weight_wanted {
            return None;
        }
        let conv = &saved.conv;
        let weights = numbers(&conv.weight);
        let inputs = saved.input.data().len();
        let mut to_input = place.onwards.then(|| Buffer::new(inputs));
        let mut to_weight = weight_wanted.then(|| Buffer::new(weights.len()));
        let arrived = self.arrived.remove(&place.input);
        // What the batch norm before needs is taken, and its ReLU taken off, while its gradient is in the cache.
        let before = place.before.and_then(|before| {
            let of = before.norm.as_ref()?.normalised(before.shape[1]);
            Some((of, before.gate()))
        });
        let parts = conv::Backward {
            kernels: kernels(),
            geometry: conv.geometry,
            gradient: gradient.data(),
            transform: norm.map_or(Transform::None, Transform::Gradient),
            weights: place.onwards.then_some(&*weights),
            input: weight_wanted.then(|| saved.input.data()),
            input_transform: saved.input.transform(),
            addend: arrived.as_ref().map(Activation::data),
        }
        .run(
            to_input
                .as_mut()
                .map(|buffer| &mut buffer.as_mut_slice()[..inputs]),
            to_weight
                .as_mut()
                .map(|buffer| &mut buffer.as_mut_slice()[..weights.len()]),
            |gradient, pixels| {
                before.as_ref().map(|(of, gate)| {
                    let gated = match gate {
                        Gate::Open => core::ptr::null_mut(),
                        _ => gradient,
                    };
                    // SAFETY: those pixels of the gradient were just written, and are nobody else's.
                    #[allow(unsafe_code)]
                    unsafe {
                        of.part(gradient, pixels, *gate, gated)
                    }
                })
            },
        );
        if let Some(buffer) = to_weight {
            let shape = conv.weight.layout().shape().clone();
            self.found[place.parameters] = Some(contiguous(buffer, shape));
        }
        let sums = before
            .is_some()
            .then(|| parts.into_iter().flatten().collect());
        to_input.map(|buffer| Arriving {
            gradient: Activation::from_buffer(buffer, saved.input.shape()),
            sums,
        })
    }
}

/// Where a group stands.
struct Place<'a> {
    /// The index of the group whose input is this one's.
    input: usize,
    /// Of its first parameter.
    parameters: usize,
    /// Whether anybody wants the gradient of its input.
    onwards: bool,
    /// The group that made its input, and nothing but its input.
    before: Option<&'a Saved>,
}

/// Batch norm takes a bias out again with the batch's own mean; with a fixed one its gradient is that of beta, scaled.
fn bias_gradient(norm: Option<&SavedNorm>, sums: &batch_norm::Gradients) -> Vec<f32> {
    match norm {
        None => sums.beta.clone(),
        Some(norm) if norm.fixed => sums
            .beta
            .iter()
            .zip(&sums.scale)
            .map(|(b, s)| b * s)
            .collect(),
        Some(_) => vec![0.0; sums.beta.len()],
    }
}

fn add(a: &Activation, b: &Activation) -> Activation {
    let shape = a.shape();
    let mut buffer = Buffer::new(a.data().len());
    let to = &mut buffer.as_mut_slice()[..a.data().len()];
    Scaling::identity(shape[1]).apply(kernels(), a.data(), Some(b.data()), false, to, shape[1]);
    Activation::from_buffer(buffer, shape)
}
