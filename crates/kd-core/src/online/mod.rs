//! Losses of networks that learn from each other: each peer's targets are the others.

mod dml;
mod kdcl;
mod mmd;
mod okddip;
mod one;
mod peer_teacher;

pub use dml::{DmlLoss, DmlLossConfig, DmlTarget};
pub use kdcl::{EnsembleErrors, KdclEnsemble, KdclLoss, KdclLossConfig};
pub use mmd::MmdLoss;
pub use okddip::{Okddip, OkddipConfig, OkddipTerms};
pub use one::{One, OneConfig, OneTerms};
pub use peer_teacher::{PeerTeacher, PeerTeacherConfig, PeerTeacherTerms};

use burn::tensor::Tensor;

use crate::divergence::{constant_like, kl, widen};

/// At least two peers, all of one shape.
fn check_peers(what: &str, peers: &[Tensor<2>]) {
    assert!(
        peers.len() > 1,
        "{what} of {} peers: two are needed",
        peers.len()
    );
    let shape = peers[0].dims();
    for (j, peer) in peers.iter().enumerate() {
        assert_eq!(
            peer.dims(),
            shape,
            "{what} of peer {j} and of peer 0 must have the same shape"
        );
    }
}

/// All peers in the number type in which losses compute.
fn widened(peers: &[Tensor<2>]) -> Vec<Tensor<2>> {
    peers.iter().cloned().map(widen).collect()
}

/// `tau^2 KL(target || peer)`, averaged over the batch, for each peer: `[1]` each. The target is a constant.
fn distill(target: &Tensor<2>, peers: &[Tensor<2>], temperature: f32) -> Vec<Tensor<1>> {
    let scale = f64::from(temperature).powi(2);
    peers
        .iter()
        .map(|peer| {
            kl(target.clone(), peer.clone(), temperature)
                .mean()
                .mul_scalar(scale)
        })
        .collect()
}

/// The mean of the tensors, as a constant beside the first.
fn mean_of(tensors: impl ExactSizeIterator<Item = Tensor<2>>, like: &Tensor<2>) -> Tensor<2> {
    let count = tensors.len() as f64;
    let sum = tensors.fold(None, |sum: Option<Tensor<2>>, x| {
        let x = constant_like(x, like);
        Some(match sum {
            Some(sum) => sum + x,
            None => x,
        })
    });
    match sum {
        Some(sum) => sum.mul_scalar(1.0 / count),
        None => constant_like(like.clone(), like),
    }
}
