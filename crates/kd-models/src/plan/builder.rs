use super::{Kind, Layer, Node, Op, Output, Plan, Pool, Shape, Value, schedule};

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
    /// The first layer whose input is too small for it.
    too_small: Option<String>,
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
            too_small: None,
        }
    }

    /// The plan, or the name of the layer for which nothing is left of the image.
    pub(crate) fn finish(self) -> Result<Plan, String> {
        if let Some(layer) = self.too_small {
            return Err(layer);
        }
        let mut plan = Plan {
            nodes: self.nodes,
            layers: self.layers,
            taps: self.taps,
            outputs: self.outputs,
            steps: Vec::new(),
        };
        plan.steps = schedule::steps(&plan);
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

    /// Numbers of the branches in which the last stage is to end: one without a number, or those from 0 on.
    pub(crate) fn branches(&self) -> Vec<Option<usize>> {
        match self.branches {
            0 => vec![None],
            branches => (0..branches).map(Some).collect(),
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

    /// How many windows there are along a side.
    fn windows(&mut self, size: usize, pool: Pool, name: &str) -> usize {
        let Pool {
            kernel,
            stride,
            padding,
        } = pool;
        match (size + 2 * padding).checked_sub(kernel) {
            Some(rest) => rest / stride + 1,
            None => {
                self.too_small.get_or_insert_with(|| name.to_string());
                1
            }
        }
    }

    fn layer(&mut self, x: Value, name: String, kind: Kind, shape: Shape) -> Value {
        self.layers.push(Layer { name, kind, shape });
        self.push(x, Op::Layer(self.layers.len() - 1), shape)
    }

    pub(crate) fn conv(&mut self, x: Value, name: impl Into<String>, conv: Conv) -> Value {
        let name = name.into();
        let [inputs, height, width] = self.map(x);
        let windows = Pool {
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
        };
        let [height, width] = [height, width].map(|size| self.windows(size, windows, &name));
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

    pub(crate) fn shuffle(&mut self, x: Value, groups: usize) -> Value {
        self.same(x, Op::Shuffle { groups })
    }

    fn with_channels(&mut self, x: Value, channels: usize, op: Op) -> Value {
        let [_, height, width] = self.map(x);
        self.push(x, op, Shape::Map([channels, height, width]))
    }

    pub(crate) fn concat(&mut self, x: Value, behind: Value) -> Value {
        let channels = self.channels(x) + self.channels(behind);
        self.with_channels(x, channels, Op::Concat(behind))
    }

    /// The first half of the channels, and the second.
    pub(crate) fn halves(&mut self, x: Value) -> [Value; 2] {
        let channels = self.channels(x);
        let half = channels / 2;
        [(0, half), (half, channels - half)]
            .map(|(first, count)| self.with_channels(x, count, Op::Channels { first, count }))
    }

    pub(crate) fn pad_channels(&mut self, x: Value, channels: usize, stride: usize) -> Value {
        let [_, height, width] = self.map(x);
        let shape = [channels, height.div_ceil(stride), width.div_ceil(stride)];
        self.push(x, Op::PadChannels { channels, stride }, Shape::Map(shape))
    }

    fn pool(&mut self, x: Value, pool: Pool, op: Op, name: &str) -> Value {
        let [channels, height, width] = self.map(x);
        let [height, width] = [height, width].map(|size| self.windows(size, pool, name));
        self.push(x, op, Shape::Map([channels, height, width]))
    }

    pub(crate) fn max_pool(&mut self, x: Value, pool: Pool) -> Value {
        self.pool(x, pool, Op::MaxPool(pool), "a pooling layer")
    }

    pub(crate) fn average_pool(&mut self, x: Value, pool: Pool) -> Value {
        self.pool(x, pool, Op::AveragePool(pool), "a pooling layer")
    }

    /// The mean of windows that divide the image into `side` × `side`.
    pub(crate) fn adaptive_average(&mut self, x: Value, side: usize) -> Value {
        let channels = self.channels(x);
        let shape = Shape::Map([channels, side, side]);
        self.push(x, Op::AdaptiveAverage { side }, shape)
    }

    pub(crate) fn flatten(&mut self, x: Value) -> Value {
        let features = self.map(x).iter().product();
        self.push(x, Op::Flatten, Shape::Row(features))
    }

    /// The mean over the pixels.
    pub(crate) fn pooled(&mut self, x: Value) -> Value {
        let x = self.adaptive_average(x, 1);
        self.flatten(x)
    }

    /// What is given to losses as a stage of the network.
    pub(crate) fn tap(&mut self, name: impl Into<String>, x: Value) {
        self.taps.push((name.into(), x));
    }

    /// The classifying layer.
    pub(crate) fn head(&mut self, embedding: Value, name: impl Into<String>) {
        let logits = self.linear(embedding, name, self.classes);
        self.outputs.push(Output { embedding, logits });
    }
}
