//! A small picture in float that things are painted on, one over the other.

use super::distance::Point;

/// The side of the picture, in pixels.
pub(super) const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;

/// Red, green and blue in [0, 1].
pub(super) type Colour = [f32; 3];

/// A 32×32 RGB picture, planar, in [0, 1].
pub(super) struct Canvas([f32; 3 * PLANE]);

impl Canvas {
    pub(super) fn new() -> Self {
        Self([0.0; 3 * PLANE])
    }

    /// Paints `colour(point)` with the opacity `coverage(point)` on every pixel; `point` is the pixel's centre in pixels
    /// from the middle of the picture.
    pub(super) fn paint(
        &mut self,
        coverage: impl Fn(Point) -> f32,
        colour: impl Fn(Point) -> Colour,
    ) {
        for row in 0..SIDE {
            for column in 0..SIDE {
                let middle = SIDE as f32 / 2.0 - 0.5;
                let point = [column as f32 - middle, row as f32 - middle];
                let opacity = coverage(point);
                if opacity <= 0.0 {
                    continue;
                }
                let colour = colour(point);
                for (channel, value) in colour.into_iter().enumerate() {
                    let pixel = &mut self.0[channel * PLANE + row * SIDE + column];
                    *pixel += opacity * (value - *pixel);
                }
            }
        }
    }

    /// Adds `noise()` to every value, clips to [0, 1] and rounds to bytes.
    pub(super) fn write(&self, pixels: &mut [u8], mut noise: impl FnMut() -> f32) {
        for (byte, value) in pixels.iter_mut().zip(&self.0) {
            // The clipped value is at most 255.5, and the cast truncates: round half up.
            *byte = ((value + noise()).clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        }
    }
}

/// The share of a pixel that lies inside an edge at signed distance `distance`, in pixels: a ramp one pixel wide.
pub(super) fn inside(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}
