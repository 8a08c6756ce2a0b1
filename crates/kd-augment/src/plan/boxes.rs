//! Boxes of pixels.

use serde::{Deserialize, Serialize};

/// The pixels with `x0 <= x < x1` and `y0 <= y < y1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelBox {
    /// First column.
    pub x0: u32,
    /// First row.
    pub y0: u32,
    /// Column after the last.
    pub x1: u32,
    /// Row after the last.
    pub y1: u32,
}

impl PixelBox {
    /// A box without pixels.
    pub const EMPTY: Self = Self {
        x0: 0,
        y0: 0,
        x1: 0,
        y1: 0,
    };

    /// All pixels of an image.
    pub(crate) fn full(height: usize, width: usize) -> Self {
        Self {
            x0: 0,
            y0: 0,
            x1: width as u32,
            y1: height as u32,
        }
    }

    /// The box around centre (x, y) that reaches `half_width`, `half_height` pixels to each side, upper ends excluded,
    /// clipped at the border of the image.
    pub(crate) fn around(
        (x, y): (usize, usize),
        (half_width, half_height): (usize, usize),
        (height, width): (usize, usize),
    ) -> Self {
        Self {
            x0: x.saturating_sub(half_width) as u32,
            y0: y.saturating_sub(half_height) as u32,
            x1: x.saturating_add(half_width).min(width) as u32,
            y1: y.saturating_add(half_height).min(height) as u32,
        }
        .or_empty()
    }

    /// The same box, in its canonical form if it has no pixels.
    pub(crate) fn or_empty(self) -> Self {
        if self.is_empty() { Self::EMPTY } else { self }
    }

    /// Whether there is no pixel in it.
    pub fn is_empty(&self) -> bool {
        self.x0 >= self.x1 || self.y0 >= self.y1
    }

    /// Number of pixels.
    pub fn area(&self) -> usize {
        if self.is_empty() {
            0
        } else {
            self.columns().len() * self.rows().len()
        }
    }

    /// Its columns.
    pub fn columns(&self) -> core::ops::Range<usize> {
        self.x0 as usize..self.x1 as usize
    }

    /// Its rows.
    pub fn rows(&self) -> core::ops::Range<usize> {
        self.y0 as usize..self.y1 as usize
    }

    /// Whether pixel (x, y) is in it.
    #[inline]
    pub fn contains(&self, x: usize, y: usize) -> bool {
        self.columns().contains(&x) && self.rows().contains(&y)
    }

    /// The pixels in both.
    pub fn intersect(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
        .or_empty()
    }

    /// Whether it lies inside an image of this size and its ends are in order.
    pub(crate) fn fits(&self, height: usize, width: usize) -> bool {
        self.x0 <= self.x1
            && self.y0 <= self.y1
            && self.x1 as usize <= width
            && self.y1 as usize <= height
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_centred_box_is_clipped() {
        let size = (10, 12);
        assert_eq!(
            PixelBox::around((5, 5), (2, 3), size),
            PixelBox {
                x0: 3,
                y0: 2,
                x1: 7,
                y1: 8
            }
        );
        assert_eq!(
            PixelBox::around((0, 9), (2, 3), size),
            PixelBox {
                x0: 0,
                y0: 6,
                x1: 2,
                y1: 10
            }
        );
        assert_eq!(PixelBox::around((0, 9), (0, 3), size), PixelBox::EMPTY);
        assert_eq!(
            PixelBox::around((4, 4), (usize::MAX, usize::MAX), size),
            PixelBox::full(10, 12)
        );
    }

    #[test]
    fn areas() {
        let a = PixelBox {
            x0: 1,
            y0: 2,
            x1: 4,
            y1: 4,
        };
        assert_eq!(a.area(), 6);
        assert_eq!(
            a.intersect(&PixelBox {
                x0: 3,
                y0: 0,
                x1: 9,
                y1: 3
            })
            .area(),
            1
        );
        assert_eq!(
            a.intersect(&PixelBox {
                x0: 4,
                y0: 0,
                x1: 9,
                y1: 9
            }),
            PixelBox::EMPTY
        );
    }
}
