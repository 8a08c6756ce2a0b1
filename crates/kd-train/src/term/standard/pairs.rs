//! What a student and the teacher have in common: pairs of maps and of embeddings.

use burn::tensor::Tensor;
use kd_models::Features;

use crate::TrainError;
use crate::term::{Losses, Setting, Shapes, Step};

/// What is after the stem, from the last backwards as much as both have.
pub(super) fn after_stem<T: Clone>(student: &[T], teacher: &[T]) -> Vec<[T; 2]> {
    let backwards = |stages: &[T]| stages.iter().skip(1).rev().cloned().collect::<Vec<_>>();
    let pairs = backwards(student).into_iter().zip(backwards(teacher));
    let mut pairs: Vec<_> = pairs.map(|(s, t)| [s, t]).collect();
    pairs.reverse();
    pairs
}

/// Pairs the maps of the stages after the stem.
pub(super) fn stages(student: &Features, teacher: &Features) -> Vec<[Tensor<4>; 2]> {
    after_stem(&student.stages, &teacher.stages)
}

/// Computes a loss of each network's features and the teacher's.
pub(super) fn each(
    step: &Step<'_>,
    loss: impl Fn(&Features, &Features) -> Result<Tensor<1>, TrainError>,
) -> Result<(Losses, ()), TrainError> {
    let seen = step.view(0);
    let teacher = seen.teacher()?;
    let losses = seen.peers().iter().map(|network| loss(network, teacher));
    Ok((Losses::of_peers(losses.collect::<Result<Vec<_>, _>>()?), ()))
}

/// Sums over the stages.
pub(super) fn sum(terms: impl IntoIterator<Item = Tensor<1>>) -> Result<Tensor<1>, TrainError> {
    let sum = terms.into_iter().reduce(|sum, term| sum + term);
    sum.ok_or(NO_STAGES)
}

pub(super) const NO_STAGES: TrainError = TrainError::Unread {
    what: "the maps of stages, which a network that is trained or the teacher does not give",
};

pub(super) const NO_EMBEDDING: TrainError = TrainError::Unread {
    what: "an embedding, which a network that is trained or the teacher does not give",
};

/// Seed of the parts of a network.
pub(super) fn seed(setting: &Setting<'_>, network: usize) -> u64 {
    setting.seed.wrapping_add((network as u64) << 32)
}

/// The embeddings of a student and the teacher.
pub(super) fn embeddings(
    student: &Features,
    teacher: &Features,
) -> Result<[Tensor<2>; 2], TrainError> {
    match (&student.embedding, &teacher.embedding) {
        (Some(student), Some(teacher)) => Ok([student.clone(), teacher.clone()]),
        _ => Err(NO_EMBEDDING),
    }
}

impl Setting<'_> {
    /// Returns the widths of the embeddings of each peer and the teacher.
    ///
    /// # Errors
    ///
    /// [`TrainError::Unread`] if one of them gives no embedding.
    pub fn embeddings(&self) -> Result<Vec<[usize; 2]>, TrainError> {
        let of = |student: &Shapes| {
            let teacher = self.teacher.as_ref()?;
            Some([student.embedding?, teacher.embedding?])
        };
        let pairs = self.peers.iter().map(of).collect::<Option<Vec<_>>>();
        pairs.ok_or(NO_EMBEDDING)
    }

    /// Returns the shapes of the stages after the stem of each peer and the teacher, paired from the
    /// last backwards as many as both have.
    ///
    /// # Errors
    ///
    /// [`TrainError::Unread`] if a peer and the teacher have no such stage in common.
    pub fn stages(&self) -> Result<Vec<Vec<[[usize; 3]; 2]>>, TrainError> {
        let teacher = self.teacher.as_ref().ok_or(NO_STAGES)?;
        let of = |student: &Shapes| match after_stem(&student.stages, &teacher.stages) {
            pairs if pairs.is_empty() => Err(NO_STAGES),
            pairs => Ok(pairs),
        };
        self.peers.iter().map(of).collect()
    }
}
