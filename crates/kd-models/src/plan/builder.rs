use kd_nn::{Arrangement, Pool};

use super::{Kind, Layer, Node, Op, Output, Plan, Shape, Value, arrange, takes};

/// A convolution with a square kernel; padded so that stride 1 keeps the size, unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conv {
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) groups: usize,
    pub(crate) bias: bool,
}

impl Conv {
    pub(crate) fn new(outputs: usize, kernel: usize) -> Self {
        Self {
            outputs,
            kernel,
            stride: 1,
            padding: kernel / 2,
            groups: 1,
            bias: false,
        }
    }

    /// 3×3, each channel for itself.
    pub(crate) fn depthwise(channels: usize) -> Self {
        Self::new(channels, 3).groups(channels)
    }

    pub(crate) fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub(crate) fn padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    pub(crate) fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    pub(crate) fn bias(self) -> Self {
        Self { bias: true, ..self }
    }
}

/// Writes a [`Plan`] down, operation by operation.
pub(crate) struct Builder {
    nodes: Vec<Node>,
    layers: Vec<Layer>,
    taps: Vec<(String, Value)>,
    outputs: Vec<Output>,
    classes: usize,
    branches: usize,
    shared: Option<Value>,
    /// Why there is no such network: the first reason.
    unfit: Option<Unfit>,
}

/// Why there is no network for images of a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Nothing is left of the image for the layer of this name.
    TooSmall(String),
    /// There are more parameters or operations than can be counted.
    TooLarge,
}

impl Builder {
    /// For images of this size.
    pub(crate) fn new(image: [usize; 3], classes: usize, branches: usize) -> Self {
        Self {
            nodes: vec![Node {
                op: Op::Image,
                input: 0,
                shape: Shape::Map(image),
            }],
            layers: Vec::new(),
            taps: Vec::new(),
            outputs: Vec::new(),
            classes,
            branches,
            shared: None,
            unfit: None,
        }
    }

    /// The plan, or why there is none.
    pub(crate) fn finish(self) -> Result<Plan, Unfit> {
        if let Some(reason) = self.unfit {
            return Err(reason);
        }
        let mut plan = Plan {
            nodes: self.nodes,
            layers: self.layers,
            taps: self.taps,
            outputs: self.outputs,
            shared: self.shared,
            gives_before_relu: false,
            steps: Vec::new(),
        };
        if plan.counts().is_none() {
            return Err(Unfit::TooLarge);
        }
        let mut seen = vec![false; plan.nodes.len()];
        plan.given_away().for_each(|value| seen[value] = true);
        arrange::merge(&mut plan.nodes, &seen);
        plan.schedule();
        Ok(plan)
    }

    pub(crate) fn image(&self) -> Value {
        0
    }

    /// Height of the images.
    pub(crate) fn height(&self) -> usize {
        self.map(0)[1]
    }

    pub(crate) fn channels(&self, x: Value) -> usize {
        self.map(x)[0]
    }

    /// Numbers of the branches that begin at `trunk` with the last stage: one without a number, or those from 0 on.
    pub(crate) fn branches(&mut self, trunk: Value) -> Vec<Option<usize>> {
        match self.branches {
            0 => vec![None],
            branches => {
                self.shared = Some(self.pooled(trunk));
                (0..branches).map(Some).collect()
            }
        }
    }

    fn map(&self, x: Value) -> [usize; 3] {
        match self.nodes[x].shape {
            Shape::Map(shape) => shape,
            Shape::Row(features) => [features, 1, 1],
        }
    }

    fn push(&mut self, input: Value, op: Op, shape: Shape) -> Value {
        self.nodes.push(Node { op, input, shape });
        self.nodes.len() - 1
    }

    /// How many windows there are of each side.
    fn windows(&mut self, x: Value, pool: Pool, name: &str) -> [usize; 2] {
        let [_, sides @ ..] = self.map(x);
        takes::windows_of(sides, pool).unwrap_or_else(|| {
            self.refuse(Unfit::TooSmall(name.to_string()));
            [1, 1]
        })
    }

    fn refuse(&mut self, reason: Unfit) {
        self.unfit.get_or_insert(reason);
    }

    fn layer(&mut self, x: Value, name: String, kind: Kind, shape: Shape) -> Value {
        self.layers.push(Layer { name, kind, shape });
        self.push(x, Op::Layer(self.layers.len() - 1), shape)
    }

    pub(crate) fn conv(&mut self, x: Value, name: impl Into<String>, conv: Conv) -> Value {
        let name = name.into();
        let inputs = self.channels(x);
        let windows = Pool::square(conv.kernel, conv.stride, conv.padding);
        let [height, width] = self.windows(x, windows, &name);
        let shape = Shape::Map([conv.outputs, height, width]);
        self.layer(x, name, Kind::Conv { inputs, conv }, shape)
    }

    /// Batch norm.
    pub(crate) fn norm(&mut self, x: Value, name: impl Into<String>) -> Value {
        let (channels, shape) = (self.channels(x), self.nodes[x].shape);
        self.layer(x, name.into(), Kind::Norm { channels }, shape)
    }

    /// A convolution and its batch norm.
    pub(crate) fn normed(
        &mut self,
        x: Value,
        [conv, norm]: [impl Into<String>; 2],
        config: Conv,
    ) -> Value {
        let x = self.conv(x, conv, config);
        self.norm(x, norm)
    }

    /// The same, and ReLU.
    pub(crate) fn activated(
        &mut self,
        x: Value,
        names: [impl Into<String>; 2],
        config: Conv,
    ) -> Value {
        let x = self.normed(x, names, config);
        self.relu(x)
    }

    pub(crate) fn linear(&mut self, x: Value, name: impl Into<String>, outputs: usize) -> Value {
        let inputs = self.channels(x);
        let kind = Kind::Linear { inputs, outputs };
        self.layer(x, name.into(), kind, Shape::Row(outputs))
    }

    fn same(&mut self, x: Value, op: Op) -> Value {
        self.push(x, op, self.nodes[x].shape)
    }

    pub(crate) fn relu(&mut self, x: Value) -> Value {
        self.same(x, Op::Relu)
    }

    pub(crate) fn relu6(&mut self, x: Value) -> Value {
        self.same(x, Op::Relu6)
    }

    pub(crate) fn add(&mut self, x: Value, shortcut: Value) -> Value {
        self.same(x, Op::Add(shortcut))
    }

    /// Channel `c` of the result is channel `(c mod groups) (channels / groups) + c / groups`.
    pub(crate) fn shuffle(&mut self, x: Value, groups: usize) -> Value {
        let channels = self.channels(x);
        let from = |c| (0, (c % groups) * (channels / groups) + c / groups);
        self.arrange(x, None, (0..channels).map(from).collect())
    }

    fn arrange(&mut self, x: Value, other: Option<Value>, order: Vec<(usize, usize)>) -> Value {
        let [_, height, width] = self.map(x);
        let shape = Shape::Map([order.len(), height, width]);
        self.push(x, Op::Arrange(other, Arrangement::new(order)), shape)
    }

    /// The channels of both.
    pub(crate) fn concat(&mut self, x: Value, behind: Value) -> Value {
        let first = (0..self.channels(x)).map(|c| (0, c));
        let second = (0..self.channels(behind)).map(|c| (1, c));
        self.arrange(x, Some(behind), first.chain(second).collect())
    }

    /// The first half of the channels, and the second.
    pub(crate) fn halves(&mut self, x: Value) -> [Value; 2] {
        let channels = self.channels(x);
        [0..channels / 2, channels / 2..channels]
            .map(|half| self.arrange(x, None, half.map(|c| (0, c)).collect()))
    }

    pub(crate) fn pad_channels(&mut self, x: Value, channels: usize, stride: usize) -> Value {
        let [_, height, width] = self.map(x);
        let shape = [channels, height.div_ceil(stride), width.div_ceil(stride)];
        self.push(x, Op::PadChannels { channels, stride }, Shape::Map(shape))
    }

    fn pool(&mut self, x: Value, pool: Pool, op: Op) -> Value {
        let channels = self.channels(x);
        let [height, width] = self.windows(x, pool, "a pooling layer");
        self.push(x, op, Shape::Map([channels, height, width]))
    }

    pub(crate) fn max_pool(&mut self, x: Value, pool: Pool) -> Value {
        self.pool(x, pool, Op::MaxPool(pool))
    }

    pub(crate) fn average_pool(&mut self, x: Value, pool: Pool) -> Value {
        self.pool(x, pool, Op::AveragePool(pool))
    }

    /// The mean of windows that divide the image into `side` × `side`.
    pub(crate) fn adaptive_average(&mut self, x: Value, side: usize) -> Value {
        let channels = self.channels(x);
        let shape = Shape::Map([channels, side, side]);
        self.push(x, Op::AdaptiveAverage { side }, shape)
    }

    pub(crate) fn flatten(&mut self, x: Value) -> Value {
        let features = super::product(self.map(x)).unwrap_or_else(|| {
            self.refuse(Unfit::TooLarge);
            1
        });
        self.push(x, Op::Flatten, Shape::Row(features))
    }

    /// The mean over the pixels.
    pub(crate) fn pooled(&mut self, x: Value) -> Value {
        let channels = self.channels(x);
        self.push(x, Op::MeanPixels, Shape::Row(channels))
    }

    /// What is given to losses as a stage of the network.
    pub(crate) fn tap(&mut self, name: impl Into<String>, x: Value) {
        self.taps.push((name.into(), x));
    }

    /// The classifying layer.
    pub(crate) fn head(&mut self, embedding: Value, name: impl Into<String>) {
        let logits = self.linear(embedding, name, self.classes);
        let stage = self.taps.last().map_or(0, |(_, tap)| *tap);
        self.outputs.push(Output {
            embedding,
            logits,
            stage,
        });
    }
}
