//! Terms: losses as data, which a recipe names and a step sums.
//!
//! A [`Term`] is the configuration of a loss, as a recipe writes it, with what the loss needs to run:
//! which passes of the networks it [reads](Term::reads), layers that are trained with the networks and
//! memories that are kept ([`Term::Parts`]), and the loss of a step ([`Term::losses`]). Each view of
//! a term is one [`Seen`] of the [`Step`]; the recipe says which of its views that is.
//!
//! [`Terms`] knows terms by their names. [`Terms::standard`] has those of kd; a crate adds its own:
//!
//! ```
//! use burn::tensor::Tensor;
//! use kd_train::{Ask, Depth, LabelKind, Losses, NoParts, Reads, Recipe, Setting, Step, Term, Terms, TrainError};
//! use serde::{Deserialize, Serialize};
//!
//! /// The mean squared error of probabilities, called the Brier loss.
//! #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
//! struct Brier {}
//!
//! impl Term for Brier {
//!     const NAME: &'static str = "brier";
//!     type Parts = NoParts;
//!     type Update = ();
//!     fn defaults() -> Self {
//!         Self {}
//!     }
//!     fn reads(&self) -> Vec<Reads> {
//!         vec![Reads { networks: Ask::WithGraph, teacher: Depth::Logits, labels: LabelKind::Nothing }]
//!     }
//!     fn init(&self, _: &Setting) -> Result<NoParts, TrainError> {
//!         Ok(NoParts::default())
//!     }
//!     fn losses(&self, _: &NoParts, step: &Step) -> Result<(Losses, ()), TrainError> {
//!         let seen = step.view(0);
//!         let softmax = |logits: Tensor<2>| burn::tensor::activation::softmax(logits, 1);
//!         let target = Tensor::from_inner(softmax(seen.teacher()?.logits.clone()));
//!         let loss = |student: &kd_models::Features| {
//!             (softmax(student.logits.clone()) - target.clone()).powi_scalar(2).mean()
//!         };
//!         Ok((Losses::of_peers(seen.peers().iter().map(loss)), ()))
//!     }
//! }
//!
//! let terms = Terms::standard().with::<Brier>();
//! let recipe = Recipe::from_toml_with("[terms]\nce = {}\nbrier = { weight = 2.0 }", &terms)?;
//! assert_eq!(recipe.terms["brier"].weight, 2.0);
//! # Ok::<(), TrainError>(())
//! ```

mod part;
mod registry;
mod standard;
mod step;

use std::fmt::Debug;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use kd_models::Features;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use part::Part;
pub use registry::Terms;
pub use standard::{
    Cc, Ce, Crd, CrdParts, FitNet, Fsp, Ft, FtParts, Mmd, Nst, Okddip, One, PeerTeacher, Pkt, PsKd,
    Vid,
};
pub use step::{Seen, Step};

use crate::TrainError;

/// A loss as configuration, and how it is computed.
pub trait Term:
    Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static
{
    /// The name in recipes.
    const NAME: &'static str;
    /// Layers that are trained with the networks, and memories. [`NoParts`] for most.
    type Parts: Module + 'static;
    /// What an accepted step leaves to [remember](Term::remember). `()` for most.
    type Update: Send + 'static;

    /// Returns the settings of a recipe that gives none.
    fn defaults() -> Self;

    /// Returns what the term reads of each of its views. Their number is the number of views that
    /// the key `on` of a recipe must name.
    fn reads(&self) -> Vec<Reads>;

    /// Returns what the term reads in an epoch of a run. By default what it reads in all of them.
    fn reads_at(&self, epoch: usize, epochs: usize) -> Vec<Reads> {
        let _ = (epoch, epochs);
        self.reads()
    }

    /// Checks every value against the setting, and makes the parts.
    ///
    /// # Errors
    ///
    /// When a value is out of its range, or does not fit the networks. Nothing fails later that can
    /// fail here.
    fn init(&self, setting: &Setting<'_>) -> Result<Self::Parts, TrainError>;

    /// Computes the losses of a step. Changes nothing, since the step may be refused.
    ///
    /// # Errors
    ///
    /// What a loss reports.
    fn losses(
        &self,
        parts: &Self::Parts,
        step: &Step<'_>,
    ) -> Result<(Losses, Self::Update), TrainError>;

    /// Takes in what an accepted step left to remember.
    fn remember(&self, parts: Self::Parts, update: Self::Update) -> Self::Parts {
        let _ = update;
        parts
    }
}

/// What a term reads of one of its views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// How the networks in training pass over the view.
    pub networks: Ask,
    /// What is read of the teacher.
    pub teacher: Depth,
    /// What is read of the labels.
    pub labels: LabelKind,
}

/// How the networks in training pass over a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Not at all.
    #[default]
    Never,
    /// In training mode, without a gradient: a target that the networks give themselves.
    Detached,
    /// In training mode, with a graph.
    WithGraph,
}

/// What is read of the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// Nothing.
    #[default]
    Nothing,
    /// Labels of either kind.
    Any,
    /// One label an image, so the images must not be mixed.
    Hard,
}

/// What is read of the teacher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Nothing.
    #[default]
    Nothing,
    /// Its logits.
    Logits,
    /// Its logits, the maps of its stages and its embedding.
    Features,
    /// The same, and the maps of its stages before their ReLU. The networks in training must give
    /// them too.
    BeforeRelu,
}

/// The shapes of what a network makes of an image, without the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shapes {
    /// Channels, height and width of each stage.
    pub stages: Vec<[usize; 3]>,
    /// Width of the embedding.
    pub embedding: Option<usize>,
    /// Channels, height and width of each stage before its ReLU.
    pub before_relu: Vec<[usize; 3]>,
}

impl Shapes {
    /// The shapes of these features.
    pub fn of(features: &Features) -> Self {
        let stage = |map: &Tensor<4>| {
            let [_, channels, height, width] = map.dims();
            [channels, height, width]
        };
        Self {
            stages: features.stages.iter().map(stage).collect(),
            embedding: features.embedding.as_ref().map(|x| x.dims()[1]),
            before_relu: features.before_relu.iter().map(stage).collect(),
        }
    }
}

/// What is known before the first step.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setting<'a> {
    /// Classes of the data.
    pub classes: usize,
    /// The label of each training image, in the order of the set.
    pub labels: &'a [u16],
    /// Seed for initial weights of parts: the recipe's.
    pub seed: u64,
    /// Where the networks are, without autodiff.
    pub device: Device,
    /// Of each peer: each head of each network that is trained.
    pub peers: Vec<Shapes>,
    /// Of each network that is trained, the width of what its heads share, if it has branches.
    pub shared: Vec<Option<usize>>,
    /// Of the teacher, if there is one.
    pub teacher: Option<Shapes>,
}

impl<'a> Setting<'a> {
    /// A setting of seed 0.
    pub fn new(classes: usize, labels: &'a [u16], device: &Device) -> Self {
        Self {
            classes,
            labels,
            seed: 0,
            device: device.clone().inner(),
            peers: Vec::new(),
            shared: Vec::new(),
            teacher: None,
        }
    }

    /// Adds what each head of the networks that are trained makes of an image.
    pub fn with_peers(mut self, shapes: Vec<Shapes>) -> Self {
        self.peers = shapes;
        self
    }

    /// Adds, for each network that is trained, the width of what its heads share.
    pub fn with_shared(mut self, widths: Vec<Option<usize>>) -> Self {
        self.shared = widths;
        self
    }

    /// Adds what the teacher makes of an image.
    pub fn with_teacher(mut self, shapes: Shapes) -> Self {
        self.teacher = Some(shapes);
        self
    }

    /// Changes the seed.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// The labels of a view.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Labels {
    /// One class an image: `[batch]`.
    Hard(Tensor<1, Int>),
    /// A probability for each class: `[batch, classes]`.
    Mixed(Tensor<2>),
}

/// The losses of a step.
#[derive(Debug)]
#[non_exhaustive]
pub struct Losses {
    /// One for each peer: weighted by the recipe's weight and ramp.
    pub peers: Vec<Tensor<1>>,
    /// Losses of the term's own layers, with a name each: of weight 1.
    pub own: Vec<(&'static str, Tensor<1>)>,
}

impl Losses {
    /// Losses of the peers, without any of the term's own layers.
    pub fn of_peers(losses: impl IntoIterator<Item = Tensor<1>>) -> Self {
        Self {
            peers: losses.into_iter().collect(),
            own: Vec::new(),
        }
    }

    /// Adds a loss of the term's own layers: of weight 1.
    pub fn with_own(mut self, name: &'static str, loss: Tensor<1>) -> Self {
        self.own.push((name, loss));
        self
    }
}

/// The parts of a term that has none.
#[derive(Module, Debug, Default)]
pub struct NoParts {
    #[module(skip)]
    nothing: (),
}
