use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;

use crate::{BatchNorm, Conv2d};

/// Layers one after the other, as one operation: convolutions, batch norms, additions and ReLUs, in the order in which they are
/// called for.
///
/// `Fused` borrows the layers for one pass, so a network keeps them under whatever names its records have. The result is that of the
/// layers one by one, up to rounding; what differs is how often activations go through memory. The longer the sequence, the better:
/// a whole residual block is one.
///
/// In training, a convolution takes the moments of its output while that is in the cache; batch norm and ReLU that stand before
/// another convolution happen when it reads its input, and are never written; in the backward pass the gradient of a
/// convolution's output is never written either. In evaluation, batch norm is part of the weights, and addition and ReLU happen
/// before a sum leaves its register.
///
/// ```
/// use burn::tensor::activation::relu;
/// use burn::tensor::{Device, Distribution, Tensor};
/// use kd_nn::{BatchNormConfig, Conv2dConfig, Fused};
///
/// let device = Device::default();
/// let conv = Conv2dConfig::new([16, 16], [3, 3]).with_padding(burn::nn::PaddingConfig2d::Same).init(&device);
/// let norm = BatchNormConfig::new(16).init(&device);
/// let x = Tensor::<4>::random([8, 16, 32, 32], Distribution::Default, &device);
///
/// let y = Fused::new().conv(&conv).norm(&norm).add_shortcut().relu().forward(x.clone());
///
/// let apart = relu(norm.forward(conv.forward(x.clone())) + x);
/// assert!((y - apart).abs().max().into_scalar::<f32>() < 1e-5);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is computed before `forward`"]
pub struct Fused<'a> {
    groups: Vec<Layers<'a>>,
    /// The group whose input is the shortcut.
    shortcut: usize,
}

/// Convolution, batch norm, addition, ReLU, in this order.
#[derive(Clone, Debug, Default)]
struct Layers<'a> {
    conv: Option<&'a Conv2d>,
    norm: Option<&'a BatchNorm>,
    addend: Option<Addend<'a>>,
    relu: bool,
}

#[derive(Clone, Debug)]
enum Addend<'a> {
    Tensor(Box<Tensor<4>>),
    /// What the group of this index was given.
    Shortcut(usize),
    Projection(usize, &'a Conv2d, &'a BatchNorm),
}

impl<'a> Fused<'a> {
    /// No layers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A convolution.
    pub fn conv(mut self, conv: &'a Conv2d) -> Self {
        self.group(|last| !last.is_empty()).conv = Some(conv);
        self
    }

    /// Batch norm.
    pub fn norm(mut self, norm: &'a BatchNorm) -> Self {
        self.group(|last| last.norm.is_some() || last.addend.is_some() || last.relu)
            .norm = Some(norm);
        self
    }

    /// Adds `addend`, whose shape is that of what it is added to.
    pub fn add_tensor(self, addend: Tensor<4>) -> Self {
        self.addend(Addend::Tensor(Box::new(addend)))
    }

    /// A residual branch begins: what has been computed so far is its shortcut. At first that is the input of the sequence.
    pub fn branch(mut self) -> Self {
        self.group(|last| !last.is_empty());
        self.shortcut = self.groups.len() - 1;
        self
    }

    /// Adds the shortcut.
    pub fn add_shortcut(self) -> Self {
        let from = self.shortcut;
        self.addend(Addend::Shortcut(from))
    }

    /// Adds what a convolution and batch norm make of the shortcut, in a residual block that changes the shape.
    pub fn add_projection(self, conv: &'a Conv2d, norm: &'a BatchNorm) -> Self {
        let from = self.shortcut;
        self.addend(Addend::Projection(from, conv, norm))
    }

    /// `max(x, 0)`.
    pub fn relu(mut self) -> Self {
        self.group(|_| false).relu = true;
        self
    }

    fn addend(mut self, addend: Addend<'a>) -> Self {
        self.group(|last| last.addend.is_some() || last.relu).addend = Some(addend);
        self
    }

    /// The group that the next layer belongs to: the last one, unless that is `full`.
    fn group(&mut self, full: impl Fn(&Layers<'a>) -> bool) -> &mut Layers<'a> {
        if self.groups.last().is_none_or(full) {
            self.groups.push(Layers::default());
        }
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    /// # Shapes
    /// - `input`: `[batch, channels_in, height_in, width_in]`
    /// - output: `[batch, channels_out, height_out, width_out]`
    ///
    /// # Panics
    /// As Burn's layers, if the sizes do not fit together.
    pub fn forward(self, input: Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "flex")]
        if let Some(output) = self.on_flex(&input) {
            return output;
        }
        let mut x = input;
        let mut inputs = Vec::new();
        for group in self.groups {
            inputs.push(x.clone());
            x = group.forward_burn(x, &inputs);
        }
        x
    }
}

impl Layers<'_> {
    fn is_empty(&self) -> bool {
        self.conv.is_none() && self.norm.is_none() && self.addend.is_none() && !self.relu
    }

    /// By Burn's operations, where `inputs` are those of the groups so far.
    fn forward_burn(self, mut x: Tensor<4>, inputs: &[Tensor<4>]) -> Tensor<4> {
        if let Some(conv) = self.conv {
            x = conv.forward_burn(x);
        }
        if let Some(norm) = self.norm {
            x = norm.forward_burn(x);
        }
        x = match self.addend {
            None => x,
            Some(Addend::Tensor(addend)) => x + *addend,
            Some(Addend::Shortcut(from)) => x + inputs[from].clone(),
            Some(Addend::Projection(from, conv, norm)) => {
                x + norm.forward_burn(conv.forward_burn(inputs[from].clone()))
            }
        };
        if self.relu { relu(x) } else { x }
    }
}

impl Conv2d {
    /// By Burn's operation.
    fn forward_burn(&self, input: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = input.dims();
        let bias = self.bias.as_ref().map(|bias| bias.val());
        conv2d(
            input,
            self.weight.val(),
            bias,
            self.options([height, width]),
        )
    }
}

/// The way to the kernels. `None` leaves it to Burn, which computes what it can and explains what is wrong.
#[cfg(feature = "flex")]
mod on_flex {
    use burn::backend::DispatchTensor;
    use burn::tensor::Tensor;

    use super::{Addend, Fused, Layers};
    use crate::flex::{self, Conv, Group, Norm, Sequence};
    use crate::{BatchNorm, Conv2d};

    /// What the sequence has come to: the inputs of its groups, and the norms that train.
    struct Progress<'a> {
        /// Of the input of each group so far, and of the next.
        shapes: Vec<[usize; 4]>,
        /// Whether they are on an autodiff device, as Burn's operations would put them.
        autodiff: Vec<bool>,
        /// In the order in which the sequence gives their moments.
        trained: Vec<&'a BatchNorm>,
    }

    impl<'a> Fused<'a> {
        pub(super) fn on_flex(&self, input: &Tensor<4>) -> Option<Tensor<4>> {
            let mut progress = Progress {
                shapes: vec![input.dims()],
                autodiff: vec![input.device().is_autodiff()],
                trained: Vec::new(),
            };
            if self.groups.is_empty() || input.dims().contains(&0) {
                return None;
            }
            let mut groups = Vec::with_capacity(self.groups.len());
            for (index, layers) in self.groups.iter().enumerate() {
                let (group, autodiff) = progress.group(layers, index)?;
                progress.shapes.push(group.shape);
                progress.autodiff.push(autodiff);
                groups.push(group);
            }
            let done = flex::run(Sequence {
                input: dispatch(input),
                groups,
            })?;
            for (norm, batch) in progress.trained.into_iter().zip(done.moments) {
                let [mean, variance] = batch.tensors.map(Tensor::from_dispatch);
                norm.update(mean, variance, batch.numbers);
            }
            Some(Tensor::from_dispatch(done.output))
        }
    }

    impl<'a> Progress<'a> {
        /// The group whose input is that of group `from`, and whether its output is on an autodiff device.
        fn group(
            &mut self,
            layers: &Layers<'a>,
            from: usize,
        ) -> Option<(Group<DispatchTensor>, bool)> {
            let mut shape = self.shapes[from];
            let mut autodiff = self.autodiff[from];
            let mut conv = None;
            if let Some(layer) = layers.conv {
                let found = convolution(layer, shape)?;
                let g = found.geometry;
                shape = [g.batch, g.channels[1], g.output[0], g.output[1]];
                autodiff |= layer.weight.val().device().is_autodiff();
                conv = Some(found);
            }
            let mut norm = None;
            if let Some(layer) = layers.norm {
                let trains = autodiff && layer.training.is_enabled();
                norm = Some(normalisation(layer, trains, shape[1])?);
                self.trained.extend(trains.then_some(layer));
                autodiff |= layer.gamma.val().device().is_autodiff();
            }
            let addend = match &layers.addend {
                None => None,
                Some(Addend::Tensor(tensor)) if tensor.dims() == shape => {
                    autodiff |= tensor.device().is_autodiff();
                    Some(flex::Addend::Tensor(dispatch::<4>(tensor)))
                }
                Some(Addend::Shortcut(from)) if self.shapes[*from] == shape => {
                    autodiff |= self.autodiff[*from];
                    Some(flex::Addend::Shortcut(*from))
                }
                Some(Addend::Projection(from, conv, norm)) => {
                    let projection = Layers {
                        conv: Some(conv),
                        norm: Some(norm),
                        ..Layers::default()
                    };
                    let (group, on) = self.group(&projection, *from)?;
                    if group.shape != shape {
                        return None;
                    }
                    autodiff |= on;
                    Some(flex::Addend::Projection(*from, Box::new(group)))
                }
                Some(_) => return None,
            };
            let group = Group {
                conv,
                norm,
                addend,
                relu: layers.relu,
                shape,
            };
            Some((group, autodiff))
        }
    }

    fn convolution(conv: &Conv2d, shape: [usize; 4]) -> Option<Conv<DispatchTensor>> {
        let weight = conv.weight.val();
        let bias = conv.bias.as_ref().map(|bias| bias.val());
        let options = conv.options([shape[2], shape[3]]);
        let sizes = bias.as_ref().map(|bias| bias.dims());
        Some(Conv {
            geometry: flex::geometry(shape, weight.dims(), sizes, &options)?,
            weight: weight.into_dispatch(),
            bias: bias.map(Tensor::into_dispatch),
        })
    }

    fn normalisation(
        norm: &BatchNorm,
        trains: bool,
        channels: usize,
    ) -> Option<Norm<DispatchTensor>> {
        let fixed = (!trains).then(|| norm.running());
        let (gamma, beta) = (norm.gamma.val(), norm.beta.val());
        let fits = [&gamma, &beta]
            .into_iter()
            .chain(fixed.iter().flatten())
            .all(|tensor| tensor.dims() == [channels]);
        if !fits {
            return None;
        }
        Some(Norm {
            gamma: gamma.into_dispatch(),
            beta: beta.into_dispatch(),
            epsilon: norm.epsilon,
            fixed: fixed.map(|fixed| fixed.map(Tensor::into_dispatch)),
        })
    }

    fn dispatch<const D: usize>(tensor: &Tensor<D>) -> DispatchTensor {
        tensor.clone().into_dispatch()
    }
}
