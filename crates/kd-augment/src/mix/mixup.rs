//! mixup.

use serde::{Deserialize, Serialize};

use super::{Pairing, one, permutation};
use crate::error::{self, AugmentError};

/// With probability `p`, x' = λ·x + (1 − λ)·x\[partner\] with λ ~ Beta(alpha, alpha).
///
/// Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018, Eq. 2. With the labels left
/// to a teacher this is TLmixup.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixup {
    /// Both parameters of the Beta distribution, above 0 and at most 10⁶; 1 (uniform) if not given.
    #[serde(default = "one")]
    pub alpha: f64,
    /// The share that is kept, in [0, 1], instead of a draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// Who is mixed with whom; a plain permutation if not given, as in the authors' code.
    #[serde(default = "permutation")]
    pub pairing: Pairing,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "one")]
    pub p: f64,
}

impl Default for Mixup {
    fn default() -> Self {
        Self {
            alpha: one(),
            lambda: None,
            pairing: permutation(),
            p: one(),
        }
    }
}

impl Mixup {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        error::probability("mixup.p", self.p)
    }
}
