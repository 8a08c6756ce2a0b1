//! Colours.

use serde::{Deserialize, Serialize};

/// A colour, in u8 levels. In a configuration: a number, or a list of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Fill {
    /// The same level in every channel, however many.
    Level(u8),
    /// A level for each of three channels.
    Rgb([u8; 3]),
}

impl Fill {
    /// The level in a channel.
    #[inline]
    pub(crate) fn level(&self, channel: usize) -> u8 {
        match self {
            Self::Level(level) => *level,
            Self::Rgb(levels) => levels[channel % 3],
        }
    }

    /// Whether it fits images of this many channels.
    pub(crate) fn fits(&self, channels: usize) -> bool {
        matches!(self, Self::Level(_)) || channels == 3
    }
}

impl Default for Fill {
    /// Black.
    fn default() -> Self {
        Self::Level(0)
    }
}
