//! A network as data: layers under the names that checkpoints give them, and the operations that lead from an image to its logits.
//!
//! A family (`families`) writes its networks down once, with a [`Builder`]; from that follow the shapes, the counts of parameters and
//! operations, the keys of the weight files and the pass itself ([`Network`](crate::network::Network)).

mod arrange;
mod builder;
mod schedule;
mod takes;

use kd_nn::{Arrangement, Pool};

pub(crate) use builder::{Builder, Conv, Unfit};
pub(crate) use schedule::{Link, Step};

/// What an operation gives: the number of its node.
pub(crate) type Value = usize;

/// Without the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Channels, height, width.
    Map([usize; 3]),
    Row(usize),
}

/// A layer with parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    /// As in the published checkpoints: `layer1.0.conv1`.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Of what it gives.
    pub(crate) shape: Shape,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Conv { inputs: usize, conv: Conv },
    Norm { channels: usize },
    Linear { inputs: usize, outputs: usize },
}

impl Layer {
    /// Weights and biases; nothing if they are too many to be counted.
    pub(crate) fn params(&self) -> Option<usize> {
        match &self.kind {
            Kind::Conv { inputs, conv } => {
                let bias = if conv.bias { conv.outputs } else { 0 };
                product([conv.outputs, inputs / conv.groups, conv.kernel, conv.kernel])?
                    .checked_add(bias)
            }
            Kind::Norm { channels } => channels.checked_mul(2),
            Kind::Linear { inputs, outputs } => inputs.checked_add(1)?.checked_mul(*outputs),
        }
    }

    /// Two for each multiply-add of a convolution or a linear layer, of one image; nothing if they
    /// are too many to be counted.
    pub(crate) fn flops(&self) -> Option<u64> {
        let multiply_adds = match (&self.kind, self.shape) {
            (Kind::Conv { inputs, conv }, Shape::Map([outputs, height, width])) => product([
                outputs,
                height,
                width,
                inputs / conv.groups,
                conv.kernel,
                conv.kernel,
            ])?,
            (Kind::Linear { inputs, outputs }, _) => inputs.checked_mul(*outputs)?,
            _ => 0,
        };
        u64::try_from(multiply_adds).ok()?.checked_mul(2)
    }
}

fn product<const N: usize>(factors: [usize; N]) -> Option<usize> {
    let mut factors = factors.into_iter();
    factors.try_fold(1, |product: usize, factor| product.checked_mul(factor))
}

/// An operation, and what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) input: Value,
    pub(crate) shape: Shape,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    /// The images: the first node, and no other.
    Image,
    /// The layer of this number.
    Layer(usize),
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// The other value is added.
    Add(Value),
    /// Channels of the input, and of the other value if there is one, in another order.
    Arrange(Option<Value>, Arrangement),
    /// Every second pixel for a stride of 2, and channels of zeros before and behind.
    PadChannels {
        channels: usize,
        stride: usize,
    },
    MaxPool(Pool),
    /// Zeros outside of the image are averaged in.
    AveragePool(Pool),
    MeanPixels,
    AdaptiveAverage {
        side: usize,
    },
    Flatten,
}

impl Node {
    /// The values that it reads.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = Value> {
        let other = match self.op {
            Op::Add(other) => Some(other),
            Op::Arrange(other, _) => other,
            _ => None,
        };
        std::iter::once(self.input).chain(other)
    }
}

/// What a network answers: one of several if it has branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) embedding: Value,
    pub(crate) logits: Value,
    /// Its last stage.
    pub(crate) stage: Value,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<Node>,
    pub(crate) layers: Vec<Layer>,
    /// The stages, from the input to the head.
    pub(crate) taps: Vec<(String, Value)>,
    pub(crate) outputs: Vec<Output>,
    /// What branches have in common, pooled.
    pub(crate) shared: Option<Value>,
    /// Whether the stages are also given as they are before their ReLU.
    pub(crate) gives_before_relu: bool,
    /// The nodes in groups that are computed as one.
    pub(crate) steps: Vec<Step>,
}

impl Plan {
    /// Channels, height and width of the images that it was written for.
    pub(crate) fn image(&self) -> [usize; 3] {
        match self.nodes[0].shape {
            Shape::Map(shape) => shape,
            Shape::Row(_) => unreachable!("the first node is the images"),
        }
    }

    /// Groups the nodes for a pass that gives what the plan gives.
    fn schedule(&mut self) {
        let mut seen = vec![false; self.nodes.len()];
        self.given_away().for_each(|value| seen[value] = true);
        self.steps = schedule::steps(self, seen);
    }

    /// Lets a pass also give the stages as they are before their ReLU.
    pub(crate) fn giving_before_relu(mut self) -> Self {
        self.gives_before_relu = true;
        self.schedule();
        self
    }

    /// Parameters of all layers, and operations on one image; nothing if they are too many to be
    /// counted.
    pub(crate) fn counts(&self) -> Option<(usize, u64)> {
        let mut layers = self.layers.iter();
        layers.try_fold((0, 0), |(params, flops): (usize, u64), layer| {
            Some((
                params.checked_add(layer.params()?)?,
                flops.checked_add(layer.flops()?)?,
            ))
        })
    }

    /// What the network gives.
    pub(crate) fn given_away(&self) -> impl Iterator<Item = Value> {
        let taps = self.taps.iter().map(|(_, tap)| *tap);
        let outputs = self.outputs.iter();
        let outputs = outputs.flat_map(|output| [output.embedding, output.logits]);
        let taps = taps.flat_map(|tap| [Some(tap), self.before_relu(tap)]);
        taps.flatten().chain(outputs).chain(self.shared)
    }

    /// What the ReLU that ends a stage reads, if it is to be given and the stage ends in one.
    pub(crate) fn before_relu(&self, stage: Value) -> Option<Value> {
        let node = &self.nodes[stage];
        let given = self.gives_before_relu && matches!(node.op, Op::Relu | Op::Relu6);
        given.then_some(node.input)
    }
}
