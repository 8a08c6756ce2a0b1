use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// What a network expects to be shown, and what it answers.
///
/// Images are planar, `[batch, channels, height, width]`, with pixels in `[0, 1]`. The network normalises them itself,
/// as its first step:
///
/// `x'[c] = (x[c] - mean[c]) / std[c]`
///
/// so a teacher and a student that were trained with different statistics are shown the same pixels. The spec is saved
/// with the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Channels, height and width of an image.
    pub size: [usize; 3],
    /// Mean of each channel, in units of pixels in `[0, 1]`.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, in the same units.
    pub std: Vec<f32>,
    /// Names of the classes, in the order of the logits.
    pub class_names: Vec<String>,
}

/// Channel means and standard deviations with a name in the field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Means of red, green and blue.
    pub mean: [f32; 3],
    /// Standard deviations of red, green and blue.
    pub std: [f32; 3],
}

impl Statistics {
    /// ImageNet: what torchvision's networks, and many CIFAR checkpoints, were trained with.
    pub const IMAGENET: Self = Self {
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };
    /// The CIFAR-10 training set.
    pub const CIFAR10: Self = Self {
        mean: [0.4914, 0.4822, 0.4465],
        std: [0.2470, 0.2435, 0.2616],
    };
    /// The CIFAR-100 training set.
    pub const CIFAR100: Self = Self {
        mean: [0.5071, 0.4867, 0.4408],
        std: [0.2675, 0.2565, 0.2761],
    };

    /// The statistics of that name: `imagenet`, `cifar10` or `cifar100`.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "imagenet" => Some(Self::IMAGENET),
            "cifar10" => Some(Self::CIFAR10),
            "cifar100" => Some(Self::CIFAR100),
            _ => None,
        }
    }
}

impl InputSpec {
    /// A checked spec.
    ///
    /// # Errors
    ///
    /// [`ModelError::InvalidInputSpec`] when a size is zero, there is not one finite mean and one finite, positive
    /// standard deviation a channel, or there is no class.
    pub fn new(
        size: [usize; 3],
        mean: impl Into<Vec<f32>>,
        std: impl Into<Vec<f32>>,
        class_names: Vec<String>,
    ) -> Result<Self, ModelError> {
        let spec = Self {
            size,
            mean: mean.into(),
            std: std.into(),
            class_names,
        };
        spec.check()?;
        Ok(spec)
    }

    /// A spec for 32×32 RGB images, with classes named by their numbers: the shortest way to a network.
    ///
    /// # Errors
    ///
    /// [`ModelError::InvalidInputSpec`] when `classes` is zero.
    pub fn cifar(classes: usize, statistics: Statistics) -> Result<Self, ModelError> {
        let names = (0..classes).map(|class| class.to_string()).collect();
        Self::new([3, 32, 32], statistics.mean, statistics.std, names)
    }

    /// How many classes the network tells apart.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// Check a spec that was not made by [`InputSpec::new`], for instance one that was read from a file.
    ///
    /// # Errors
    ///
    /// As [`InputSpec::new`].
    pub fn check(&self) -> Result<(), ModelError> {
        let invalid = |field, found: String, expected: String| {
            Err(ModelError::InvalidInputSpec {
                field,
                found,
                expected,
            })
        };
        if self.size.contains(&0) {
            return invalid(
                "size",
                format!("{:?}", self.size),
                "channels, height and width of at least 1".into(),
            );
        }
        let channels = self.size[0];
        if self.mean.len() != channels || self.mean.iter().any(|m| !m.is_finite()) {
            return invalid(
                "mean",
                format!("{:?}", self.mean),
                format!("{channels} finite numbers, one a channel"),
            );
        }
        if self.std.len() != channels || self.std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return invalid(
                "std",
                format!("{:?}", self.std),
                format!("{channels} positive numbers, one a channel"),
            );
        }
        if self.class_names.is_empty() {
            return invalid("class_names", "empty".into(), "at least one class".into());
        }
        Ok(())
    }

    /// Subtract the mean and divide by the standard deviation, a channel at a time. Images may have
    /// another height and width than [`size`](Self::size).
    ///
    /// # Shapes
    ///
    /// `[batch, channels, height, width] -> [batch, channels, height, width]`
    ///
    /// # Panics
    ///
    /// If the images have another number of channels than the network is made for. A single one
    /// would otherwise be repeated for all of them, without a word.
    pub fn normalize(&self, images: Tensor<4>) -> Tensor<4> {
        let device = images.device();
        let channels = self.size[0];
        let found = images.dims()[1];
        assert!(
            found == channels,
            "the network takes images of {channels} channels, found {found}"
        );
        let row = |values: Vec<f32>, device: &Device| {
            Tensor::<4>::from_data(TensorData::new(values, [1, channels, 1, 1]), device)
        };
        let mean = row(self.mean.clone(), &device);
        let std = row(self.std.clone(), &device);
        images.sub(mean).div(std)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn normalises_each_channel_by_its_own_statistics() {
        let spec = InputSpec::new([2, 1, 1], [0.5, 0.25], [0.5, 0.125], vec!["a".into()]).unwrap();
        let images = Tensor::<4>::from_data([[[[1.0]], [[0.5]]]], &Device::flex());
        let normalised = spec.normalize(images).into_data();
        assert_eq!(normalised.try_to_vec::<f32>().unwrap(), vec![1.0, 2.0]);
    }

    #[test]
    fn refuses_what_would_divide_by_zero() {
        let error = InputSpec::new([1, 1, 1], [0.0], [0.0], vec!["a".into()]).unwrap_err();
        assert!(error.to_string().contains("`std` is [0.0]"), "{error}");
        let error = InputSpec::new([3, 1, 1], [0.0], [1.0; 3], vec!["a".into()]).unwrap_err();
        assert!(error.to_string().contains("3 finite numbers"), "{error}");
    }
}
