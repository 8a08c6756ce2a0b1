//! What `distill` asks of a student, with one head or with several.

use kd::models::{BranchedClassifier, Summary};
use kd::prelude::*;

/// A network of kd that can be trained and saved.
pub trait Student: Classify + 'static {
    /// Its layers and what they cost.
    fn summary(&self) -> Summary;
    /// What is saved: a network with one head.
    fn deployed(&self) -> Classifier;
}

impl Student for Classifier {
    fn summary(&self) -> Summary {
        self.summary()
    }

    fn deployed(&self) -> Classifier {
        self.clone()
    }
}

/// The last head is deployed: the leader of OKDDip, any branch of ONE.
impl Student for BranchedClassifier {
    fn summary(&self) -> Summary {
        self.summary()
    }

    fn deployed(&self) -> Classifier {
        self.head(self.branches() - 1)
    }
}
