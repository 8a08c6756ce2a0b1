use std::fmt;

use serde::Serialize;

use crate::plan::{Kind, Layer, Plan, Shape};
use crate::{Architecture, InputSpec};

/// What a network consists of. Known without building it, so that a loss can be made to its measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The network.
    pub architecture: Architecture,
    /// Channels, height and width of the images.
    pub image: [usize; 3],
    /// Classes that it tells apart.
    pub classes: usize,
    /// Its layers, in order.
    pub layers: Vec<LayerSummary>,
    /// The stages that [`Features::stages`](crate::Features::stages) holds: name, and channels, height, width.
    pub stages: Vec<(String, [usize; 3])>,
    /// Width of the embedding.
    pub embedding: usize,
    /// Weights and biases of convolutions and linear layers, as papers count them.
    pub params: usize,
    /// The same with those of batch norms: all that is learnt.
    pub params_all: usize,
    /// Operations on one image: two for each multiply-add of convolutions and linear layers.
    pub flops: u64,
}

/// A layer with weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerSummary {
    /// Its name in weight files.
    pub name: String,
    /// What it is: `conv 3×3 /2`, `batch norm`, `linear`.
    pub kind: String,
    /// What it gives, without the batch: channels, height and width, or features.
    pub output: Vec<usize>,
    /// Weights and biases.
    pub params: usize,
    /// Operations on one image.
    pub flops: u64,
}

impl Summary {
    pub(crate) fn new(architecture: Architecture, spec: &InputSpec, plan: &Plan) -> Self {
        let papers = |kind: &Kind| !matches!(kind, Kind::Norm { .. });
        let layers = plan.layers.iter();
        // A plan is only finished if all can be counted.
        let (params_all, flops) = plan.counts().unwrap_or_default();
        let counted = layers.clone().filter(|layer| papers(&layer.kind));
        let map = |value: usize| match plan.nodes[value].shape {
            Shape::Map(shape) => shape,
            Shape::Row(features) => [features, 1, 1],
        };
        Self {
            architecture,
            image: spec.size,
            classes: spec.classes(),
            stages: plan
                .taps
                .iter()
                .map(|(name, tap)| (name.clone(), map(*tap)))
                .collect(),
            embedding: map(plan.outputs[0].embedding)[0],
            params: counted.filter_map(Layer::params).sum(),
            params_all,
            flops,
            layers: layers
                .map(|layer| LayerSummary {
                    name: layer.name.clone(),
                    kind: kind(&layer.kind),
                    output: match layer.shape {
                        Shape::Map(shape) => shape.to_vec(),
                        Shape::Row(features) => vec![features],
                    },
                    params: layer.params().unwrap_or_default(),
                    flops: layer.flops().unwrap_or_default(),
                })
                .collect(),
        }
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Conv { conv, .. } => {
            let stride = match conv.stride {
                1 => String::new(),
                stride => format!(" /{stride}"),
            };
            let groups = match conv.groups {
                1 => String::new(),
                groups if groups == conv.outputs => " depthwise".into(),
                groups => format!(" in {groups} groups"),
            };
            format!("conv {0}×{0}{stride}{groups}", conv.kernel)
        }
        Kind::Norm { .. } => "batch norm".into(),
        Kind::Linear { .. } => "linear".into(),
    }
}

/// A table of the layers, then of the stages, then the sums.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = |shape: &[usize]| {
            let parts: Vec<_> = shape.iter().map(ToString::to_string).collect();
            parts.join("×")
        };
        let width = self.layers.iter().map(|layer| layer.name.len()).max();
        let width = width.unwrap_or(0).max(5);
        let [channels, height, side] = self.image;
        writeln!(
            f,
            "{} for {channels}×{height}×{side}, {} classes\n",
            self.architecture, self.classes
        )?;
        writeln!(
            f,
            "{:width$}  {:22} {:>12} {:>12} {:>14}",
            "layer", "kind", "output", "parameters", "operations"
        )?;
        for layer in &self.layers {
            writeln!(
                f,
                "{:width$}  {:22} {:>12} {:>12} {:>14}",
                layer.name,
                layer.kind,
                shape(&layer.output),
                layer.params,
                layer.flops
            )?;
        }
        let stages: Vec<_> = self
            .stages
            .iter()
            .map(|(name, of)| format!("{name} {}", shape(of)))
            .collect();
        writeln!(
            f,
            "\nstages: {}; embedding {}",
            stages.join(", "),
            self.embedding
        )?;
        write!(
            f,
            "parameters: {} ({} with batch norms); operations: {:.4} G an image",
            self.params,
            self.params_all,
            self.flops as f64 / 1e9
        )
    }
}
