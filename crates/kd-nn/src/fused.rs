use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;

use crate::{BatchNorm, Conv2d};

/// A group of layers as one operation: convolution, batch norm, addition, ReLU, in this order, each of them optional.
///
/// `Fused` borrows the layers for one pass, so a network keeps them under whatever names its records have. The result is that of the
/// layers one after the other, up to rounding; what differs is how often activations go through memory. In training, the
/// convolution takes the batch's moments while its output is in the cache, and normalisation, addition and ReLU are one pass; in
/// the backward pass the gradient of the convolution's output is never written. In evaluation, batch norm is part of the weights,
/// and addition and ReLU happen before a sum leaves its register.
///
/// ```
/// use kd_nn::{BatchNormConfig, Conv2dConfig, Fused};
/// use burn::tensor::{Device, Distribution, Tensor};
///
/// let device = Device::default();
/// let conv = Conv2dConfig::new([16, 16], [3, 3]).with_bias(false).init(&device);
/// let norm = BatchNormConfig::new(16).init(&device);
/// let x = Tensor::random([8, 16, 32, 32], Distribution::Default, &device);
///
/// let y = Fused::new().conv(&conv).norm(&norm).relu().forward(x.clone());
///
/// let apart = burn::tensor::activation::relu(norm.forward(conv.forward(x)));
/// assert!((y - apart).abs().max().into_scalar::<f32>() < 1e-5);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is computed before `forward`"]
pub struct Fused<'a> {
    conv: Option<&'a Conv2d>,
    norm: Option<&'a BatchNorm>,
    addend: Option<Tensor<4>>,
    relu: bool,
}

impl<'a> Fused<'a> {
    /// A group of no layers, which changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// First, a convolution.
    pub fn conv(mut self, conv: &'a Conv2d) -> Self {
        self.conv = Some(conv);
        self
    }

    /// Then, batch norm.
    pub fn norm(mut self, norm: &'a BatchNorm) -> Self {
        self.norm = Some(norm);
        self
    }

    /// Then, `addend` is added: the shortcut of a residual block. Its shape is that of the output.
    pub fn add(mut self, addend: Tensor<4>) -> Self {
        self.addend = Some(addend);
        self
    }

    /// Last, `max(x, 0)`.
    pub fn relu(mut self) -> Self {
        self.relu = true;
        self
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
        if let Some(conv) = self.conv {
            let [_, _, height, width] = x.dims();
            let bias = conv.bias.as_ref().map(|bias| bias.val());
            x = conv2d(x, conv.weight.val(), bias, conv.options([height, width]));
        }
        if let Some(norm) = self.norm {
            x = norm.forward_burn(x);
        }
        if let Some(addend) = self.addend {
            x = x + addend;
        }
        if self.relu { relu(x) } else { x }
    }

    #[cfg(feature = "flex")]
    fn on_flex(&self, input: &Tensor<4>) -> Option<Tensor<4>> {
        use crate::flex::{self, Conv, Norm, Operands, dispatch};

        if self.conv.is_none() && self.norm.is_none() {
            return None;
        }
        let dims = input.dims();
        let mut shape = dims;
        let conv = match self.conv {
            None => None,
            Some(conv) => {
                let bias = conv.bias.as_ref().map(|bias| bias.val());
                let weight = conv.weight.val();
                let options = conv.options([dims[2], dims[3]]);
                let sizes = bias.as_ref().map(|bias| bias.dims());
                let geometry = flex::geometry(dims, weight.dims(), sizes, &options)?;
                shape = [
                    dims[0],
                    geometry.channels[1],
                    geometry.output[0],
                    geometry.output[1],
                ];
                Some(Conv {
                    weight: dispatch(&weight),
                    bias: bias.as_ref().map(dispatch),
                    geometry,
                })
            }
        };
        let fits = |channels: usize| channels == shape[1];
        let trains = self.norm.is_some_and(|norm| norm.trains(input));
        let norm = match self.norm {
            None => None,
            Some(norm) => {
                let fixed = (!trains).then(|| norm.running(input));
                let all = [norm.gamma.val(), norm.beta.val()];
                if !all
                    .iter()
                    .chain(fixed.iter().flatten())
                    .all(|t| fits(t.dims()[0]))
                {
                    return None;
                }
                let [gamma, beta] = all.each_ref().map(dispatch);
                Some(Norm {
                    gamma,
                    beta,
                    epsilon: norm.epsilon,
                    fixed: fixed.map(|fixed| fixed.each_ref().map(dispatch)),
                })
            }
        };
        if shape.contains(&0)
            || self
                .addend
                .as_ref()
                .is_some_and(|addend| addend.dims() != shape)
        {
            return None;
        }
        let done = flex::group(Operands {
            input: dispatch(input),
            conv,
            norm,
            addend: self.addend.as_ref().map(dispatch),
            relu: self.relu,
        })?;
        if let (Some(norm), Some([mean, variance])) = (self.norm, done.moments) {
            let numbers = shape[0] * shape[2] * shape[3];
            norm.update(
                Tensor::from_dispatch(mean),
                Tensor::from_dispatch(variance),
                numbers,
            );
        }
        Some(Tensor::from_dispatch(done.output))
    }
}
