//! Whether a network takes images of another size than it was written for.

use super::{Kind, Node, Op, Plan, Shape};
use kd_nn::Pool;

impl Plan {
    /// Walks through the network with images of this size (channels, height, width).
    ///
    /// A plan has no error for it: the names of its layers tell why the images do not fit.
    pub(crate) fn takes(&self, image: [usize; 3]) -> Result<(), String> {
        let mut shapes = vec![Shape::Map(image)];
        for node in &self.nodes[1..] {
            let shape = self.shape(node, &shapes)?;
            shapes.push(shape);
        }
        Ok(())
    }

    /// What a node gives, if the nodes before it give `shapes`.
    fn shape(&self, node: &Node, shapes: &[Shape]) -> Result<Shape, String> {
        let input = shapes[node.input];
        let [channels, height, width] = match input {
            Shape::Map(shape) => shape,
            Shape::Row(features) => [features, 1, 1],
        };
        Ok(match node.op {
            Op::Image => input,
            Op::Layer(layer) => {
                let layer = &self.layers[layer];
                let (expected, what) = match &layer.kind {
                    Kind::Conv { inputs, .. } => (*inputs, "channels"),
                    Kind::Norm { channels } => (*channels, "channels"),
                    Kind::Linear { inputs, .. } => (*inputs, "features"),
                };
                if channels != expected {
                    return Err(format!(
                        "of which {} would get {channels} {what} for {expected}",
                        layer.name
                    ));
                }
                match &layer.kind {
                    Kind::Conv { conv, .. } => {
                        let windows = Pool::square(conv.kernel, conv.stride, conv.padding);
                        let [height, width] = windows_of([height, width], windows)
                            .ok_or_else(|| format!("too small for {}", layer.name))?;
                        Shape::Map([conv.outputs, height, width])
                    }
                    Kind::Norm { .. } => input,
                    Kind::Linear { outputs, .. } => Shape::Row(*outputs),
                }
            }
            Op::Relu | Op::Relu6 => input,
            Op::Add(other) => match shapes[other] == input {
                true => input,
                false => return Err("of which two parts that are added would differ".into()),
            },
            Op::Arrange(other, ref arrangement) => {
                if let Some(other) = other
                    && let Shape::Map([_, sides @ ..]) = shapes[other]
                    && sides != [height, width]
                {
                    return Err("of which two parts that are joined would differ".into());
                }
                Shape::Map([arrangement.order().len(), height, width])
            }
            Op::PadChannels { channels, stride } => {
                Shape::Map([channels, height.div_ceil(stride), width.div_ceil(stride)])
            }
            Op::MaxPool(pool) | Op::AveragePool(pool) => {
                let [height, width] =
                    windows_of([height, width], pool).ok_or("too small for a pooling layer")?;
                Shape::Map([channels, height, width])
            }
            Op::MeanPixels => Shape::Row(channels),
            Op::AdaptiveAverage { side } => Shape::Map([channels, side, side]),
            Op::Flatten => Shape::Row(channels * height * width),
        })
    }
}

/// How many windows there are of each side; nothing if one is larger than the padded map.
pub(super) fn windows_of(sides: [usize; 2], pool: Pool) -> Option<[usize; 2]> {
    let mut windows = [0; 2];
    for axis in [0, 1] {
        let size = sides[axis].saturating_add(2 * pool.padding[axis]);
        windows[axis] = size.checked_sub(pool.kernel[axis])? / pool.stride[axis] + 1;
    }
    Some(windows)
}
