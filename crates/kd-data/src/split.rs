use serde::{Deserialize, Serialize};

/// The part of a data set that a network learns from, or the part that it is judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To learn from.
    Train,
    /// To be judged on.
    Test,
}
