//! Convolutions that are evaluated: batch norm is part of the weights. And a sequence of them image by image, so that what lies
//! between two convolutions never leaves the cache.

use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::activation::{Activation, numbers};
use super::forward::Numbers;
use super::sequence::{Addend, Conv, Group, Sequence};
use crate::kernels::batch_norm::{Scaling, pad, padded};
use crate::kernels::buffer::Buffer;
use crate::kernels::conv::{self, SCRATCH, TOGETHER};
use crate::kernels::fill::Transform;
use crate::kernels::geometry::Geometry;
use crate::kernels::isa::kernels;
use crate::kernels::pack;

/// Tasks into which a batch is cut at least, if it has as many images.
const TASKS: usize = 32;

/// A convolution and the batch norm behind it.
pub(super) struct Folded {
    pub(super) geometry: Geometry,
    weights: Buffer,
    shift: Vec<f32>,
}

impl Folded {
    /// With the fixed moments of `norm`, if there is one; `None` if it takes those of the batch.
    pub(super) fn new(conv: &Conv<FlexTensor>, norm: Option<&Numbers>) -> Option<Self> {
        let scaling = match norm {
            None => None,
            Some(norm) => {
                let fixed = norm.fixed.as_ref()?;
                Some(norm.scaling(&fixed.mean, &fixed.variance))
            }
        };
        let bias = conv.bias.as_ref().map(|bias| pad(&numbers(bias)));
        let geometry = conv.geometry;
        let (scale, shift) = match (scaling, bias) {
            (None, None) => (None, vec![0.0; padded(geometry.channels[1])]),
            (None, Some(bias)) => (None, bias),
            (Some(Scaling { scale, shift }), None) => (Some(scale), shift),
            (Some(Scaling { scale, mut shift }), Some(bias)) => {
                for c in 0..shift.len() {
                    shift[c] += bias[c] * scale[c];
                }
                (Some(scale), shift)
            }
        };
        Some(Self {
            geometry,
            weights: pack::forward(&geometry, &numbers(&conv.weight), scale.as_deref()),
            shift,
        })
    }

    /// The convolution of `images` images.
    pub(super) fn forward<'a>(
        &'a self,
        images: usize,
        input: &'a [f32],
        transform: Transform<'a>,
        addend: Option<&'a [f32]>,
        relu: bool,
    ) -> conv::Forward<'a> {
        conv::Forward {
            kernels: kernels(),
            geometry: Geometry {
                batch: images,
                ..self.geometry
            },
            input,
            transform,
            weights: &self.weights,
            shift: Some(&self.shift),
            addend,
            relu,
        }
    }

    /// Floats of one image of the output.
    pub(super) fn image(&self) -> usize {
        self.geometry.output_pixels() * self.geometry.channels[1]
    }
}

/// Weights of a sequence, at most: 2 MB. Every image passes all of them, and more would come from memory each time.
const WEIGHTS: usize = 512 << 10;

struct Step {
    conv: Folded,
    addend: Option<Source>,
    relu: bool,
}

enum Source {
    Tensor(Activation),
    Input(usize),
    Projection(usize, Folded),
}

impl Step {
    fn new(group: &Group<FlexTensor>) -> Option<Self> {
        let folded = |group: &Group<FlexTensor>| {
            let norm = group.norm.as_ref().map(Numbers::new);
            Folded::new(group.conv.as_ref()?, norm.as_ref())
        };
        Some(Self {
            conv: folded(group)?,
            addend: match &group.addend {
                None => None,
                Some(Addend::Tensor(tensor)) => {
                    Some(Source::Tensor(Activation::new(tensor.clone())))
                }
                Some(Addend::Shortcut(from)) => Some(Source::Input(*from)),
                Some(Addend::Projection(from, group)) => {
                    Some(Source::Projection(*from, folded(group)?))
                }
            },
            relu: group.relu,
        })
    }

    /// The step whose input this one needs, other than the one before it.
    fn source(&self) -> Option<usize> {
        match self.addend {
            Some(Source::Input(from) | Source::Projection(from, _)) => Some(from),
            _ => None,
        }
    }
}

/// The output of a sequence of several convolutions, if batch norms have fixed moments and images are small.
pub(super) fn image_by_image(sequence: &Sequence<FlexTensor>) -> Option<FlexTensor> {
    let groups = &sequence.groups;
    // An image, its output and what is added to it are to fit the second-level cache together.
    let small = |group: &Group<FlexTensor>| {
        group.conv.as_ref().is_some_and(|conv| {
            let g = &conv.geometry;
            let largest = (g.input_pixels() * g.channels[0]).max(g.output_pixels() * g.channels[1]);
            largest <= SCRATCH / 2
        })
    };
    let weights = |group: &Group<FlexTensor>| {
        let convs = group
            .with_projection()
            .filter_map(|group| group.conv.as_ref());
        convs
            .map(|conv| conv.weight.layout().num_elements())
            .sum::<usize>()
    };
    if groups.iter().map(weights).sum::<usize>() > WEIGHTS {
        return None;
    }
    if groups.len() < 2 || !groups.iter().all(small) {
        return None;
    }
    let steps = groups.iter().map(Step::new).collect::<Option<Vec<_>>>()?;
    let input = Activation::new(sequence.input.clone());
    let [batch, channels, height, width] = input.shape();
    let image = channels * height * width;
    let last = &steps[steps.len() - 1].conv;
    let shape = groups[groups.len() - 1].shape;
    let mut output = Buffer::new(batch * last.image());
    let largest = steps
        .iter()
        .map(|step| step.conv.image())
        .max()
        .unwrap_or(1);
    let together = (TOGETHER / largest).clamp(1, (batch / TASKS).max(1));
    output.as_mut_slice()[..batch * last.image()]
        .par_chunks_mut(together * last.image())
        .enumerate()
        .for_each(|(task, output)| {
            let first = task * together;
            let images = output.len() / last.image();
            let input = &input.data()[first * image..(first + images) * image];
            through(&steps, first, images, input, output);
        });
    Some(Activation::from_buffer(output, shape).tensor())
}

/// Takes `images` images from image `first` through all steps.
fn through(steps: &[Step], first: usize, images: usize, input: &[f32], output: &mut [f32]) {
    // What each step is given, but for the first. A buffer goes back when nobody needs it any more, and is the next step's.
    let mut inputs: Vec<Option<Buffer>> = Vec::new();
    inputs.resize_with(steps.len(), || None);
    for (index, step) in steps.iter().enumerate() {
        let given = |index: usize| match &inputs[index] {
            Some(buffer) => &buffer.as_slice()[..images * steps[index - 1].conv.image()],
            None => input,
        };
        let len = images * step.conv.image();
        let mut projected = None;
        if let Some(Source::Projection(from, conv)) = &step.addend {
            let mut buffer = Buffer::new(len);
            conv.forward(images, given(*from), Transform::None, None, false)
                .run_alone(&mut buffer.as_mut_slice()[..len]);
            projected = Some(buffer);
        }
        let addend = match &step.addend {
            None => None,
            Some(Source::Tensor(tensor)) => {
                Some(&tensor.data()[first * step.conv.image()..][..len])
            }
            Some(Source::Input(from)) => Some(given(*from)),
            Some(Source::Projection(..)) => projected.as_ref().map(|b| &b.as_slice()[..len]),
        };
        let forward = step
            .conv
            .forward(images, given(index), Transform::None, addend, step.relu);
        if index + 1 == steps.len() {
            forward.run_alone(output);
            return;
        }
        let mut buffer = Buffer::new(len);
        forward.run_alone(&mut buffer.as_mut_slice()[..len]);
        inputs[index + 1] = Some(buffer);
        for (from, input) in inputs.iter_mut().enumerate().take(index + 1) {
            if !steps[index + 1..]
                .iter()
                .any(|step| step.source() == Some(from))
            {
                *input = None;
            }
        }
    }
}
