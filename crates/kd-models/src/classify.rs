use burn::module::Module;
use burn::tensor::Tensor;

use crate::InputSpec;

/// An image classifier: what every method and every measure asks of a teacher or a student.
///
/// A network of your own becomes a first-class teacher or student by implementing [`forward`](Classify::forward) and
/// [`input_spec`](Classify::input_spec); feature losses also need [`forward_features`](Classify::forward_features).
///
/// ```
/// use burn::{module::Module, nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
/// use kd_models::{Classify, InputSpec, Statistics};
///
/// #[derive(Module, Debug)]
/// struct Flat {
///     linear: Linear,
///     #[module(skip)]
///     spec: InputSpec,
/// }
///
/// impl Classify for Flat {
///     fn forward(&self, images: Tensor<4>) -> Tensor<2> {
///         self.linear.forward(self.spec.normalize(images).flatten(1, 3))
///     }
///     fn input_spec(&self) -> &InputSpec {
///         &self.spec
///     }
/// }
///
/// let device = Device::flex();
/// let spec = InputSpec::cifar(10, Statistics::CIFAR10)?;
/// let network = Flat { linear: LinearConfig::new(3 * 32 * 32, 10).init(&device), spec };
/// let logits = network.forward(Tensor::zeros([2, 3, 32, 32], &device));
/// assert_eq!(logits.dims(), [2, 10]);
/// # Ok::<(), kd_models::ModelError>(())
/// ```
pub trait Classify: Module {
    /// Logits of a batch of images with pixels in `[0, 1]`; the network normalises them itself.
    ///
    /// # Shapes
    ///
    /// `[batch, channels, height, width] -> [batch, classes]`
    ///
    /// # Panics
    ///
    /// If the images are not ones for the network: of another number of channels than
    /// [`input_spec`](Classify::input_spec) says, or of a height and width that one of its layers
    /// cannot take. Networks that end in a mean over all pixels take most sizes, others their own alone.
    /// Like the layers of Burn, a pass returns no error; whoever is given images from outside compares
    /// their size with [`InputSpec::size`] before the first.
    fn forward(&self, images: Tensor<4>) -> Tensor<2>;

    /// The same pass with what it computed on the way. By default the logits alone.
    fn forward_features(&self, images: Tensor<4>) -> Features {
        Features::new(self.forward(images))
    }

    /// The same pass with what every head makes of the images. By default there is one head, whose
    /// features are those of [`forward_features`](Classify::forward_features).
    fn forward_heads(&self, images: Tensor<4>) -> Heads {
        self.forward_features(images).into()
    }

    /// What the network expects to be shown.
    fn input_spec(&self) -> &InputSpec;
}

/// Everything that one forward pass gives to a loss.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kd_models::Features;
///
/// let device = Device::flex();
/// let features = Features::new(Tensor::zeros([2, 10], &device))
///     .with_embedding(Tensor::zeros([2, 64], &device));
/// assert!(features.stages.is_empty());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Features {
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// The output of each stage, from the input to the head: `[batch, channels, height, width]` each.
    pub stages: Vec<Tensor<4>>,
    /// What the classifying layer reads: `[batch, features]`.
    pub embedding: Option<Tensor<2>>,
    /// Each stage before the ReLU that ends it, of the shape of the stage: what the loss of
    /// activation boundaries compares. Empty unless the network was made to give it
    /// ([`Classifier::with_before_relu`](crate::Classifier::with_before_relu)).
    pub before_relu: Vec<Tensor<4>>,
}

impl Features {
    /// Features of logits alone: `[batch, classes]`.
    pub fn new(logits: Tensor<2>) -> Self {
        Self {
            logits,
            stages: Vec::new(),
            embedding: None,
            before_relu: Vec::new(),
        }
    }

    /// Adds the output of each stage, from the input to the head.
    pub fn with_stages(mut self, stages: Vec<Tensor<4>>) -> Self {
        self.stages = stages;
        self
    }

    /// Adds what the classifying layer reads: `[batch, features]`.
    pub fn with_embedding(mut self, embedding: Tensor<2>) -> Self {
        self.embedding = Some(embedding);
        self
    }

    /// Adds each stage before its ReLU.
    pub fn with_before_relu(mut self, maps: Vec<Tensor<4>>) -> Self {
        self.before_relu = maps;
        self
    }
}

/// What the heads of a network make of a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Heads {
    /// Logits, embedding and stages of each head. Of the stages of a branched network, all but the
    /// last are the trunk's, and the same for every head.
    pub heads: Vec<Features>,
    /// What the heads of a branched network share, averaged over its pixels: `[batch, features]`.
    pub shared: Option<Tensor<2>>,
}

impl Heads {
    /// Several heads, and what they share.
    pub fn new(heads: Vec<Features>, shared: Tensor<2>) -> Self {
        Self {
            heads,
            shared: Some(shared),
        }
    }
}

impl From<Features> for Heads {
    fn from(features: Features) -> Self {
        Self {
            heads: vec![features],
            shared: None,
        }
    }
}
