use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::{Initializer, PaddingConfig2d, conv};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use crate::Fused;

/// Configuration of a [`Conv2d`]: Burn's [`Conv2dConfig`](conv::Conv2dConfig), field by field.
#[derive(Config, Debug)]
pub struct Conv2dConfig {
    /// Channels of the input and of the output.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: [usize; 2],
    /// Vertical and horizontal stride. Default: 1.
    #[config(default = "[1, 1]")]
    pub stride: [usize; 2],
    /// Distance between the taps of the kernel. Default: 1.
    #[config(default = "[1, 1]")]
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other. Default: 1.
    #[config(default = "1")]
    pub groups: usize,
    /// Zeros around the input. Default: none.
    #[config(default = "PaddingConfig2d::Valid")]
    pub padding: PaddingConfig2d,
    /// Whether a number is added to each output channel. Default: yes.
    #[config(default = true)]
    pub bias: bool,
    /// How weights and bias are drawn. Default: uniform, as Burn and PyTorch do.
    #[config(
        default = "Initializer::KaimingUniform{gain: 1.0 / 3.0_f64.sqrt(), fan_out_only: false}"
    )]
    pub initializer: Initializer,
}

/// A 2D convolution: `y[n, o, i, j] = bias[o] + Σ over c, a, b of weight[o, c, a, b] · x[n, c, i·stride + a·dilation - padding, …]`.
///
/// A drop-in for [`burn::nn::conv::Conv2d`]: the same parameters, the same record, and [`From`] both ways.
///
/// On f32 tensors of the `flex` backend it is this crate's kernel, and its output lies in memory with channels innermost (the shape
/// is what it always is); anything else is Burn's own operation.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Conv2d {
    /// `[channels_out, channels_in / groups, kernel_height, kernel_width]`
    pub weight: Param<Tensor<4>>,
    /// `[channels_out]`
    pub bias: Option<Param<Tensor<1>>>,
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: [usize; 2],
    /// Distance between the taps of the kernel.
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Zeros around the input.
    #[module(skip)]
    pub padding: PaddingConfig2d,
}

impl Conv2dConfig {
    /// A layer with weights from the initializer.
    ///
    /// # Panics
    /// If the channels cannot be divided into the groups.
    pub fn init(&self, device: &Device) -> Conv2d {
        conv::Conv2dConfig::new(self.channels, self.kernel_size)
            .with_stride(self.stride)
            .with_dilation(self.dilation)
            .with_groups(self.groups)
            .with_padding(self.padding.clone())
            .with_bias(self.bias)
            .with_initializer(self.initializer.clone())
            .init(device)
            .into()
    }
}

impl From<conv::Conv2d> for Conv2d {
    fn from(layer: conv::Conv2d) -> Self {
        Self {
            weight: layer.weight,
            bias: layer.bias,
            stride: layer.stride,
            kernel_size: layer.kernel_size,
            dilation: layer.dilation,
            groups: layer.groups,
            padding: layer.padding,
        }
    }
}

impl From<Conv2d> for conv::Conv2d {
    fn from(layer: Conv2d) -> Self {
        Self {
            weight: layer.weight,
            bias: layer.bias,
            stride: layer.stride,
            kernel_size: layer.kernel_size,
            dilation: layer.dilation,
            groups: layer.groups,
            padding: layer.padding,
        }
    }
}

impl Conv2d {
    /// # Shapes
    /// - `input`: `[batch, channels_in, height_in, width_in]`
    /// - output: `[batch, channels_out, height_out, width_out]`
    ///
    /// # Panics
    /// As Burn's layer, if the input's channels are not the layer's. (A kernel larger than the padded input gives an empty output, as
    /// Burn's does.)
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        Fused::new().conv(self).forward(input)
    }

    /// What Burn's operation is told, for an input of this height and width.
    pub(crate) fn options(&self, [height, width]: [usize; 2]) -> ConvOptions<2> {
        let padding = match self.padding {
            PaddingConfig2d::Valid => [(0, 0), (0, 0)],
            PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)],
            PaddingConfig2d::Same => [
                same(self.kernel_size[0], self.stride[0], height),
                same(self.kernel_size[1], self.stride[1], width),
            ],
        };
        ConvOptions::new_with_padding(self.stride, padding, self.dilation, self.groups)
    }
}

/// Zeros before and after, so that `size` pixels give `size / stride` rounded up. What is odd goes behind.
fn same(kernel: usize, stride: usize, size: usize) -> (usize, usize) {
    let needed = (size.div_ceil(stride).max(1) - 1) * stride + kernel;
    let zeros = needed.saturating_sub(size);
    (zeros / 2, zeros - zeros / 2)
}

impl ModuleDisplay for Conv2d {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [outputs, inputs, _, _] = self.weight.dims();
        content
            .add("ch_in", &(inputs * self.groups))
            .add("ch_out", &outputs)
            .add("stride", &format!("{:?}", self.stride))
            .add("kernel_size", &format!("{:?}", self.kernel_size))
            .add("dilation", &format!("{:?}", self.dilation))
            .add("groups", &self.groups)
            .add_debug_attribute("padding", &self.padding)
            .optional()
    }
}
