//! A borrowed batch of images.

use crate::error::AugmentError;

/// The largest side of an image, in pixels.
pub const MAX_SIDE: usize = 1 << 20;

/// A borrowed batch of planar u8 images: `[n, channels, height, width]`, rows without gaps.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    pixels: &'a [u8],
    shape: [usize; 4],
}

impl<'a> Images<'a> {
    /// Borrows `pixels` as images of `shape` = `[n, channels, height, width]`.
    ///
    /// # Errors
    /// `pixels` does not hold n·channels·height·width bytes, a side is 0 or above [`MAX_SIDE`].
    pub fn new(pixels: &'a [u8], shape: [usize; 4]) -> Result<Self, AugmentError> {
        let [n, c, h, w] = shape;
        let expected =
            elements([c, h, w])?
                .checked_mul(n)
                .ok_or_else(|| AugmentError::TooLarge {
                    shape: shape.to_vec(),
                    max_side: MAX_SIDE,
                })?;
        if pixels.len() != expected {
            return Err(AugmentError::Length {
                what: "pixels",
                expected,
                found: pixels.len(),
            });
        }
        Ok(Self { pixels, shape })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[n, channels, height, width]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// `[channels, height, width]`.
    pub fn image_shape(&self) -> [usize; 3] {
        let [_, c, h, w] = self.shape;
        [c, h, w]
    }

    /// All pixels.
    pub fn pixels(&self) -> &'a [u8] {
        self.pixels
    }

    /// The pixels of image `i`.
    ///
    /// # Panics
    /// `i` is not below [`Images::len`].
    pub fn image(&self, i: usize) -> &'a [u8] {
        let size = self.shape[1..].iter().product::<usize>();
        &self.pixels[i * size..][..size]
    }
}

/// Elements of an image of `shape` = `[channels, height, width]`, if that is a possible image.
pub(crate) fn elements(shape: [usize; 3]) -> Result<usize, AugmentError> {
    let [c, h, w] = shape;
    if shape.contains(&0) {
        return Err(AugmentError::OutOfRange {
            field: "a side of the image shape",
            value: 0.0,
            range: "at least 1",
        });
    }
    let too_large = || AugmentError::TooLarge {
        shape: shape.to_vec(),
        max_side: MAX_SIDE,
    };
    if h > MAX_SIDE || w > MAX_SIDE {
        return Err(too_large());
    }
    // Engines count the pixels of a plane in 32 bits.
    let plane = h
        .checked_mul(w)
        .filter(|pixels| *pixels <= i32::MAX as usize);
    plane
        .and_then(|pixels| pixels.checked_mul(c))
        .ok_or_else(too_large)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lengths_are_checked() {
        assert!(Images::new(&[0; 12], [1, 3, 2, 2]).is_ok());
        assert!(Images::new(&[], [0, 3, 2, 2]).unwrap().is_empty());
        assert!(matches!(
            Images::new(&[0; 11], [1, 3, 2, 2]),
            Err(AugmentError::Length {
                expected: 12,
                found: 11,
                ..
            })
        ));
        assert!(matches!(
            Images::new(&[], [1, 0, 2, 2]),
            Err(AugmentError::OutOfRange { .. })
        ));
        assert!(matches!(
            Images::new(&[], [1, usize::MAX, 2, 2]),
            Err(AugmentError::TooLarge { .. })
        ));
        assert!(matches!(
            Images::new(&[], [usize::MAX, 3, 2, 2]),
            Err(AugmentError::TooLarge { .. })
        ));
        assert!(matches!(
            Images::new(&[], [0, 1, 1 << 16, 1 << 16]),
            Err(AugmentError::TooLarge { .. })
        ));
    }

    #[test]
    fn images_are_slices() {
        let pixels: Vec<u8> = (0..8).collect();
        let images = Images::new(&pixels, [2, 1, 2, 2]).unwrap();
        assert_eq!(images.image(1), [4, 5, 6, 7]);
    }
}
