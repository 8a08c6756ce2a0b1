//! Picking: from a pool of mixed candidates, the ones from which most is learnt.
//!
//! The pool holds `copies` mixes of one batch; a criterion scores every candidate; the best are trained on. From Wang,
//! Lohit, Jones, Fu, "What Makes a 'Good' Data Augmentation in Knowledge Distillation – A Statistical Perspective",
//! NeurIPS 2022, where CutMix with picking by the teacher's entropy is CutMixPick.

mod criterion;
mod cutmix_pick;
mod pool;
mod top_k;

pub use criterion::PickCriterion;
pub use cutmix_pick::CutMixPick;
pub use pool::{PickSize, Picked, Pool};
pub use top_k::top_k;
