use burn::config::Config;
use burn::module::{Content, DisplaySettings, Flag, Module, ModuleDisplay, Param, RunningState};
use burn::nn;
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor};

/// Configuration of a [`BatchNorm`]: Burn's [`BatchNormConfig`](nn::BatchNormConfig), field by field.
#[derive(Config, Debug)]
pub struct BatchNormConfig {
    /// Channels.
    pub num_features: usize,
    /// Added to the variance; finite and positive. Default: 1e-5.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Weight of a batch in the running statistics, in [0, 1]. Default: 0.1.
    #[config(default = 0.1)]
    pub momentum: f64,
}

/// Batch normalisation of `[batch, channels, …]` (Ioffe & Szegedy, 2015): `γ · (x - mean) / √(variance + ε) + β`, for each channel.
///
/// In training (on an autodiff device, with `training` enabled) mean and variance are the batch's, biased, and the running
/// statistics move towards them: `running = (1 - momentum) · running + momentum · batch`. As in PyTorch, what the running variance
/// moves towards is the *unbiased* variance of the batch, `n / (n - 1)` times the biased one, for n numbers a channel (for n = 1 the
/// biased one); Burn's own layer takes the biased. Otherwise the running statistics are used.
///
/// A drop-in for [`burn::nn::BatchNorm`]: the same parameters, the same record, and [`From`] both ways. On four-dimensional f32
/// tensors of the `flex` backend it is this crate's kernel; anything else is Burn's own operation.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BatchNorm {
    /// γ, `[channels]`.
    pub gamma: Param<Tensor<1>>,
    /// β, `[channels]`.
    pub beta: Param<Tensor<1>>,
    /// Whether the layer trains on an autodiff device.
    pub training: Param<Flag>,
    /// The running mean, `[channels]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// The running variance, `[channels]`.
    pub running_var: RunningState<Tensor<1>>,
    /// Weight of a batch in the running statistics.
    pub momentum: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

impl BatchNormConfig {
    /// A layer with γ = 1, β = 0, mean 0 and variance 1.
    ///
    /// # Panics
    /// As Burn's, on no channels, or an epsilon or a momentum out of range.
    pub fn init(&self, device: &Device) -> BatchNorm {
        nn::BatchNormConfig::new(self.num_features)
            .with_epsilon(self.epsilon)
            .with_momentum(self.momentum)
            .init(device)
            .into()
    }
}

impl From<nn::BatchNorm> for BatchNorm {
    fn from(layer: nn::BatchNorm) -> Self {
        Self {
            gamma: layer.gamma,
            beta: layer.beta,
            training: layer.training,
            running_mean: layer.running_mean,
            running_var: layer.running_var,
            momentum: layer.momentum,
            epsilon: layer.epsilon,
        }
    }
}

impl From<BatchNorm> for nn::BatchNorm {
    fn from(layer: BatchNorm) -> Self {
        Self {
            gamma: layer.gamma,
            beta: layer.beta,
            training: layer.training,
            running_mean: layer.running_mean,
            running_var: layer.running_var,
            momentum: layer.momentum,
            epsilon: layer.epsilon,
        }
    }
}

impl BatchNorm {
    /// # Shapes
    /// - `input` and output: `[batch, channels, …]`
    ///
    /// # Panics
    /// If the input has fewer than two dimensions or another number of channels.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        #[cfg(feature = "flex")]
        if D == 4 {
            // The same tensor under the type that says so.
            let input = Tensor::from_dispatch(input.into_dispatch());
            let output = crate::Fused::new().norm(self).forward(input);
            return Tensor::from_dispatch(output.into_dispatch());
        }
        self.forward_burn(input)
    }

    /// Running mean and variance.
    pub(crate) fn running(&self) -> [Tensor<1>; 2] {
        [&self.running_mean, &self.running_var].map(|state| state.value_sync())
    }

    /// By Burn's operations.
    pub(crate) fn forward_burn<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let channels = self.gamma.dims()[0];
        let dims = input.dims();
        assert!(
            D >= 2 && dims[1] == channels,
            "batch norm of {channels} channels was given an input of shape {dims:?}"
        );
        if input.device().is_autodiff() && self.training.is_enabled() {
            let numbers = dims.iter().product::<usize>() / channels;
            let done = batch_norm_train(input, self.gamma.val(), self.beta.val(), self.epsilon);
            self.update(done.mean, done.variance, numbers);
            return done.output;
        }
        let device = input.device();
        let [mean, variance] = self.running().map(|tensor| tensor.to_device(&device));
        batch_norm(
            input,
            self.gamma.val(),
            self.beta.val(),
            mean,
            variance,
            self.epsilon,
        )
    }

    /// Moves the running statistics towards those of a batch of `numbers` numbers a channel, whose variance is biased.
    pub(crate) fn update(&self, mean: Tensor<1>, variance: Tensor<1>, numbers: usize) {
        let unbiased = match numbers {
            0 | 1 => 1.0,
            n => n as f64 / (n - 1) as f64,
        };
        for (state, batch, factor) in [
            (&self.running_mean, mean, 1.0),
            (&self.running_var, variance, unbiased),
        ] {
            let batch = batch.detach();
            let running = state.value_sync().to_device(&batch.device());
            let moved =
                running.mul_scalar(1.0 - self.momentum) + batch.mul_scalar(self.momentum * factor);
            state.update(moved.detach());
        }
    }
}

impl ModuleDisplay for BatchNorm {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let content = content
            .add("num_features", &self.beta.dims()[0])
            .add("momentum", &self.momentum)
            .add("epsilon", &self.epsilon);
        match self.training.is_enabled() {
            true => content.optional(),
            false => content.add("training", &self.training).optional(),
        }
    }
}
