//! A [`Plan`] with weights: a Burn module whose parameters have the names of the published checkpoints.

use std::sync::Arc;

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::nn::{Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor, s};
use kd_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Fused, mean_pixels};

use crate::Features;
use crate::plan::{Conv, Kind, Link, Op, Plan, Step, Value};

#[derive(Clone, Debug)]
pub(crate) struct Network {
    plan: Arc<Plan>,
    /// As in the plan.
    layers: Vec<Layer>,
}

/// What a pass gives.
pub(crate) struct Passed {
    pub(crate) branches: Vec<Features>,
    pub(crate) shared: Option<Tensor<2>>,
}

// The variants are of one size class: a layer is its parameters, which live on the heap.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
enum Layer {
    Conv(Conv2d),
    Norm(BatchNorm),
    Linear(Linear),
}

/// Calls a method of the module that a layer is.
macro_rules! each {
    ($layer:expr, $module:ident => $call:expr) => {
        match $layer {
            Layer::Conv($module) => $call,
            Layer::Norm($module) => $call,
            Layer::Linear($module) => $call,
        }
    };
}

/// The same layer, made anew by a method.
macro_rules! again {
    ($layer:expr, $module:ident => $call:expr) => {
        match $layer {
            Layer::Conv($module) => Layer::Conv($call),
            Layer::Norm($module) => Layer::Norm($call),
            Layer::Linear($module) => Layer::Linear($call),
        }
    };
}

impl Layer {
    /// The values are drawn later, by [`kd_nn::initialize`].
    fn init(kind: &Kind, device: &Device) -> Self {
        match *kind {
            Kind::Conv { inputs, conv } => {
                let Conv {
                    outputs,
                    kernel,
                    stride,
                    padding: pad,
                    groups,
                    bias,
                } = conv;
                let conv = Conv2dConfig::new([inputs, outputs], [kernel, kernel])
                    .with_stride([stride, stride])
                    .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                    .with_groups(groups)
                    .with_bias(bias)
                    .with_initializer(Initializer::Zeros);
                Self::Conv(conv.init(device))
            }
            Kind::Norm { channels } => Self::Norm(BatchNormConfig::new(channels).init(device)),
            Kind::Linear { inputs, outputs } => {
                let linear = LinearConfig::new(inputs, outputs);
                Self::Linear(linear.with_initializer(Initializer::Zeros).init(device))
            }
        }
    }
}

impl Network {
    pub(crate) fn init(plan: Plan, device: &Device) -> Self {
        let layers = plan.layers.iter();
        Self {
            layers: layers
                .map(|layer| Layer::init(&layer.kind, device))
                .collect(),
            plan: Arc::new(plan),
        }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The same layers, whose passes also give the stages as they are before their ReLU.
    pub(crate) fn giving_before_relu(self) -> Self {
        Self {
            plan: Arc::new(Plan::clone(&self.plan).giving_before_relu()),
            layers: self.layers,
        }
    }

    /// One head with the trunk before it, as the network without branches that `plan` is.
    pub(crate) fn head(&self, plan: Plan, head: usize) -> Self {
        let (all, plain) = (self.layers.len(), plan.layers.len());
        // The layers of the trunk come first, then those of each branch, as many for each.
        let heads = self.plan.outputs.len();
        let each = match heads {
            1 => plain,
            heads => (all - plain) / (heads - 1),
        };
        let trunk = all - heads * each;
        let start = trunk + head * each;
        let layers = self.layers[..trunk]
            .iter()
            .chain(&self.layers[start..start + each]);
        Self {
            layers: layers.cloned().collect(),
            plan: Arc::new(plan),
        }
    }

    /// Panics if the images are not ones for the network, which is called `name`.
    pub(crate) fn check(&self, name: &str, images: &Tensor<4>) {
        let [_, found @ ..] = images.dims();
        let made_for = self.plan.image();
        if found == made_for {
            return;
        }
        if let Err(reason) = self.plan.takes(found) {
            panic!(
                "{name} for images of {made_for:?} (channels, height, width): \
                 found {found:?}, {reason}"
            );
        }
    }

    /// Normalised images to what each branch makes of them, with all stages, and what the branches share.
    pub(crate) fn forward(&self, images: Tensor<4>) -> Passed {
        let plan = &*self.plan;
        let mut values = Values::new(plan, images);
        for (number, step) in plan.steps.iter().enumerate() {
            let value = match step {
                Step::Node(node) => self.node(*node, &values),
                Step::Fused { input, links, .. } => Any::Map(self.fused(links, *input, &values)),
            };
            values.set(step.output(), value);
            values.forget(number);
        }
        let ends: Vec<Value> = plan.outputs.iter().map(|output| output.stage).collect();
        let taps = plan.taps.iter().map(|(_, tap)| *tap);
        let trunk: Vec<Value> = taps.filter(|tap| !ends.contains(tap)).collect();
        let branches = plan.outputs.iter().map(|output| {
            let stages = || trunk.iter().copied().chain([output.stage]);
            let before = stages().map_while(|stage| plan.before_relu(stage));
            Features::new(values.row(output.logits))
                .with_stages(stages().map(|stage| values.map(stage)).collect())
                .with_embedding(values.row(output.embedding))
                .with_before_relu(before.map(|value| values.map(value)).collect())
        });
        Passed {
            branches: branches.collect(),
            shared: plan.shared.map(|shared| values.row(shared)),
        }
    }

    fn fused(&self, links: &[Link], input: Value, values: &Values) -> Tensor<4> {
        let fused = links.iter().fold(Fused::new(), |fused, link| match *link {
            Link::Conv(layer) => fused.conv(self.conv(layer)),
            Link::Norm(layer) => fused.norm(self.norm(layer)),
            Link::Relu => fused.relu(),
            Link::Branch => fused.branch(),
            Link::AddShortcut => fused.add_shortcut(),
            Link::AddProjection { conv, norm } => {
                fused.add_projection(self.conv(conv), self.norm(norm))
            }
            Link::AddValue(value) => fused.add_tensor(values.map(value)),
        });
        fused.forward(values.map(input))
    }

    fn conv(&self, layer: usize) -> &Conv2d {
        match &self.layers[layer] {
            Layer::Conv(conv) => conv,
            _ => unreachable!("the plan says that layer {layer} is a convolution"),
        }
    }

    fn norm(&self, layer: usize) -> &BatchNorm {
        match &self.layers[layer] {
            Layer::Norm(norm) => norm,
            _ => unreachable!("the plan says that layer {layer} is a batch norm"),
        }
    }

    fn node(&self, node: Value, values: &Values) -> Any {
        let node = &self.plan.nodes[node];
        let map = || values.map(node.input);
        match node.op {
            Op::Image => Any::Map(map()),
            Op::Layer(layer) => match &self.layers[layer] {
                Layer::Conv(conv) => Any::Map(conv.forward(map())),
                Layer::Norm(norm) => Any::Map(norm.forward(map())),
                Layer::Linear(linear) => Any::Row(linear.forward(values.row(node.input))),
            },
            Op::Relu => match values.any(node.input) {
                Any::Map(x) => Any::Map(relu(x)),
                Any::Row(x) => Any::Row(relu(x)),
            },
            Op::Relu6 => Any::Map(map().clamp(0.0, 6.0)),
            Op::Add(other) => Any::Map(map() + values.map(other)),
            Op::Arrange(other, ref arrangement) => Any::Map(match other {
                None => arrangement.of([map()]),
                Some(other) => arrangement.of([map(), values.map(other)]),
            }),
            Op::PadChannels { channels, stride } => Any::Map(pad_channels(map(), channels, stride)),
            Op::MaxPool(pool) => Any::Map(pool.largest(map())),
            Op::AveragePool(pool) => Any::Map(pool.mean(map())),
            Op::MeanPixels => Any::Row(mean_pixels(map())),
            Op::AdaptiveAverage { side } => Any::Map(adaptive_avg_pool2d(map(), [side; 2])),
            Op::Flatten => Any::Row(map().flatten(1, 3)),
        }
    }
}

/// Half of the zeros before and half behind.
fn pad_channels(x: Tensor<4>, channels: usize, stride: usize) -> Tensor<4> {
    let x = match stride {
        1 => x,
        step => {
            let step = step as isize;
            x.slice(s![.., .., 0..;step, 0..;step])
        }
    };
    let [batch, inputs, height, width] = x.dims();
    if inputs == channels {
        return x;
    }
    let before = (channels - inputs) / 2;
    let zeros = |n| Tensor::zeros([batch, n, height, width], &x.device());
    let behind = zeros(channels - inputs - before);
    Tensor::cat(vec![zeros(before), x.clone(), behind], 1)
}

#[derive(Clone)]
enum Any {
    Map(Tensor<4>),
    Row(Tensor<2>),
}

/// What has been computed and is still needed.
struct Values {
    values: Vec<Option<Any>>,
    /// The last step that reads each; none for what is given away in the end.
    last: Vec<Option<usize>>,
    inputs: Vec<Vec<Value>>,
}

impl Values {
    fn new(plan: &Plan, images: Tensor<4>) -> Self {
        let mut last = vec![None; plan.nodes.len()];
        let inputs: Vec<_> = plan.steps.iter().map(|step| step.inputs(plan)).collect();
        for (number, inputs) in inputs.iter().enumerate() {
            inputs.iter().for_each(|&input| last[input] = Some(number));
        }
        plan.given_away().for_each(|value| last[value] = None);
        let mut values = vec![None; plan.nodes.len()];
        values[0] = Some(Any::Map(images));
        Self {
            values,
            last,
            inputs,
        }
    }

    fn set(&mut self, value: Value, any: Any) {
        self.values[value] = Some(any);
    }

    /// Drops what no later step reads.
    fn forget(&mut self, number: usize) {
        for &input in &self.inputs[number] {
            if self.last[input] == Some(number) {
                self.values[input] = None;
            }
        }
    }

    fn any(&self, value: Value) -> Any {
        match &self.values[value] {
            Some(any) => any.clone(),
            None => unreachable!("steps are in the order in which they need each other"),
        }
    }

    fn map(&self, value: Value) -> Tensor<4> {
        match self.any(value) {
            Any::Map(x) => x,
            Any::Row(_) => unreachable!("the plan says that value {value} is a map"),
        }
    }

    fn row(&self, value: Value) -> Tensor<2> {
        match self.any(value) {
            Any::Row(x) => x,
            Any::Map(_) => unreachable!("the plan says that value {value} is a row"),
        }
    }
}

const CONTAINER: &str = "Network";

impl Network {
    fn again(self, mut f: impl FnMut(&str, Layer) -> Layer) -> Self {
        let named = self.plan.layers.iter().zip(self.layers);
        let layers = named.map(|(spec, layer)| f(&spec.name, layer)).collect();
        Self {
            plan: self.plan,
            layers,
        }
    }
}

impl Module for Network {
    fn collect_devices(&self, devices: Devices) -> Devices {
        let layers = self.layers.iter();
        layers.fold(
            devices,
            |devices, layer| each!(layer, m => m.collect_devices(devices)),
        )
    }

    fn fork(self, device: &Device) -> Self {
        self.again(|_, layer| again!(layer, m => m.fork(device)))
    }

    fn to_device(self, device: &Device) -> Self {
        self.again(|_, layer| again!(layer, m => m.to_device(device)))
    }

    fn train(self) -> Self {
        self.again(|_, layer| again!(layer, m => m.train()))
    }

    fn valid(&self) -> Self {
        let layers = self.layers.iter();
        Self {
            plan: Arc::clone(&self.plan),
            layers: layers.map(|layer| again!(layer, m => m.valid())).collect(),
        }
    }

    fn materialize(self) -> Self {
        self.again(|_, layer| again!(layer, m => m.materialize()))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (spec, layer) in self.plan.layers.iter().zip(&self.layers) {
            let parts = || spec.name.split('.');
            parts().for_each(|part| visitor.enter_module(part, CONTAINER));
            each!(layer, m => m.visit(visitor));
            parts()
                .rev()
                .for_each(|part| visitor.exit_module(part, CONTAINER));
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.again(|name, layer| {
            let parts = || name.split('.');
            parts().for_each(|part| mapper.enter_module(part, CONTAINER));
            let layer = again!(layer, m => m.map(mapper));
            parts()
                .rev()
                .for_each(|part| mapper.exit_module(part, CONTAINER));
            layer
        })
    }
}

impl ModuleDisplayDefault for Network {
    fn content(&self, content: Content) -> Option<Content> {
        let named = self.plan.layers.iter().zip(&self.layers);
        named
            .fold(
                content,
                |content, (spec, layer)| each!(layer, m => content.add(&spec.name, m)),
            )
            .optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for Network {}
