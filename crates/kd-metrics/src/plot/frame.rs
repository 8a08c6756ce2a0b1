//! The part of a figure where the data stands.

use super::axis::Axis;

/// Where the curves are drawn.
pub(crate) struct Frame {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

impl Frame {
    /// The pixel of a point; nothing for one that cannot be shown.
    pub(crate) fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let (x, y) = (self.x.place(x)?, self.y.place(y)?);
        Some((
            self.left + x * (self.right - self.left),
            self.bottom - y * (self.bottom - self.top),
        ))
    }
}
