use burn::tensor::{Int, Tensor};
use kd_models::Features;

use super::{Depth, LabelKind, Labels, Reads};
use crate::TrainError;

/// What a term is given of a step.
#[derive(Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// The epoch, from 0.
    pub epoch: usize,
    /// Epochs of the run.
    pub epochs: usize,
    /// The step in the epoch, from 0.
    pub index: usize,
    /// The number of each image of the batch in the training set.
    pub ids: &'a [u64],
    pub(crate) views: Vec<&'a Seen>,
}

impl<'a> Step<'a> {
    /// Returns what was seen of the term's view of this number, in the order of [`Term::reads`].
    ///
    /// [`Term::reads`]: super::Term::reads
    ///
    /// # Panics
    ///
    /// If the term reads fewer views.
    pub fn view(&self, number: usize) -> &'a Seen {
        self.views[number]
    }
}

/// A view of the batch, with what the networks make of it.
///
/// A term finds here what it [reads](super::Term::reads), and may find more.
#[derive(Debug, Default)]
pub struct Seen {
    /// One for all networks, or one for each.
    pub(crate) images: Vec<Tensor<4>>,
    pub(crate) labels: Option<Labels>,
    pub(crate) teacher: Option<Features>,
    pub(crate) peers: Vec<Features>,
    pub(crate) shared: Vec<Option<Tensor<2>>>,
    /// Where mixed images were picked: mean score of those picked over the mean score of the pool.
    pub(crate) score_ratio: Option<f32>,
}

impl Seen {
    /// A view of these images, with nothing read of it yet.
    pub fn new(images: Tensor<4>) -> Self {
        Self {
            images: vec![images],
            ..Self::default()
        }
    }

    /// Adds the labels of the images.
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = Some(labels);
        self
    }

    /// Adds what the teacher makes of the images, without autodiff.
    pub fn with_teacher(mut self, features: Features) -> Self {
        self.teacher = Some(features);
        self
    }

    /// Adds what each head of the networks in training makes of the images, with their graphs.
    pub fn with_peers(mut self, features: Vec<Features>) -> Self {
        self.peers = features;
        self
    }

    /// Adds what the heads of each network in training share: one entry for each network.
    pub fn with_shared(mut self, shared: Vec<Option<Tensor<2>>>) -> Self {
        self.shared = shared;
        self
    }

    /// Returns the images: `[batch, channels, height, width]`, pixels in `[0, 1]`, without autodiff.
    /// Where each network is shown its own, those of the first.
    pub fn images(&self) -> Option<&Tensor<4>> {
        self.images.first()
    }

    /// Returns the images that a network is shown.
    pub(crate) fn images_of(&self, network: usize) -> Option<&Tensor<4>> {
        self.images.get(network).or(self.images.first())
    }

    /// Returns what each head of each network in training makes of the view, with the graphs.
    /// Empty unless it is read.
    pub fn peers(&self) -> &[Features] {
        &self.peers
    }

    /// Returns the logits of each peer, with their graphs.
    pub fn logits(&self) -> Vec<Tensor<2>> {
        let logits = self.peers.iter().map(|peer| peer.logits.clone());
        logits.collect()
    }

    /// Returns what the heads of a network in training share: `[batch, features]`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Unread`] if the network has no branches.
    pub fn shared(&self, network: usize) -> Result<&Tensor<2>, TrainError> {
        let shared = self.shared.get(network).and_then(Option::as_ref);
        shared.ok_or(TrainError::Unread {
            what: "what branches share, and the network has no branches",
        })
    }

    /// Returns what the teacher makes of the view, without autodiff.
    ///
    /// # Errors
    ///
    /// [`TrainError::Unread`] if the term does not read it.
    pub fn teacher(&self) -> Result<&Features, TrainError> {
        let unread = TrainError::Unread {
            what: "the teacher",
        };
        self.teacher.as_ref().ok_or(unread)
    }

    /// Returns the teacher's logits, without autodiff: `[batch, classes]`.
    ///
    /// # Errors
    ///
    /// As [`Seen::teacher`].
    pub fn teacher_logits(&self) -> Result<&Tensor<2>, TrainError> {
        Ok(&self.teacher()?.logits)
    }

    /// Returns the labels of a view whose images are not mixed: `[batch]`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Unread`] if the term does not read them, or the images are mixed.
    pub fn hard_labels(&self) -> Result<&Tensor<1, Int>, TrainError> {
        match self.labels()? {
            Labels::Hard(labels) => Ok(labels),
            Labels::Mixed(_) => Err(TrainError::Unread {
                what: "one label an image, and the images are mixed",
            }),
        }
    }

    /// Returns the labels of the view.
    ///
    /// # Errors
    ///
    /// [`TrainError::Unread`] if the term does not read them.
    pub fn labels(&self) -> Result<&Labels, TrainError> {
        let unread = TrainError::Unread { what: "the labels" };
        self.labels.as_ref().ok_or(unread)
    }
}

impl Reads {
    /// The networks with a graph, and the teacher.
    pub const TEACHER: Self = Self {
        networks: super::Ask::WithGraph,
        teacher: Depth::Logits,
        labels: LabelKind::Nothing,
    };
    /// The networks with a graph, and the labels.
    pub const LABELS: Self = Self {
        networks: super::Ask::WithGraph,
        teacher: Depth::Nothing,
        labels: LabelKind::Any,
    };
    /// The networks with a graph, and the maps and the embedding of the teacher.
    pub const FEATURES: Self = Self {
        networks: super::Ask::WithGraph,
        teacher: Depth::Features,
        labels: LabelKind::Nothing,
    };
}
