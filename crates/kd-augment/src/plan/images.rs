//! The part of a plan that treats each image by itself.

use serde::{Deserialize, Serialize};

use super::{Gather, PixelBox};
use crate::error::AugmentError;
use crate::images::elements;

/// One step on one image. Between steps pixels are u8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Segment {
    /// Pixels move.
    Gather(Gather),
    /// A box is painted over.
    Erase(Erase),
}

/// Paints `area` with `fill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erase {
    /// The pixels that go.
    pub area: PixelBox,
    /// What comes in their place.
    pub fill: Fill,
}

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

/// For each image of a batch its ordered list of [`Segment`]s.
///
/// Images may share a list: under batch sharing there is one for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePlan {
    /// `[channels, height, width]` of every image, before and after.
    shape: [usize; 3],
    /// The segments of all lists, one list after the other.
    segments: Vec<Segment>,
    /// For each image, where its list begins and ends in `segments`.
    spans: Vec<(u32, u32)>,
}

impl ImagePlan {
    /// A plan for images of `shape` = `[channels, height, width]`, to which images are added.
    ///
    /// # Errors
    /// An impossible shape.
    pub fn new(shape: [usize; 3]) -> Result<Self, AugmentError> {
        elements(shape)?;
        Ok(Self {
            shape,
            segments: Vec::new(),
            spans: Vec::new(),
        })
    }

    /// Adds an image with an empty list: it stays as it is until [`ImagePlan::push`] gives it segments.
    pub fn add_image(&mut self) {
        let end = self.segments.len() as u32;
        self.spans.push((end, end));
    }

    /// Adds an image that shares the list of the image before it. The list must be complete.
    pub(crate) fn repeat_image(&mut self) {
        if let Some(&last) = self.spans.last() {
            self.spans.push(last);
        }
    }

    /// Appends a segment to the list of the image added last. A movement after a movement becomes one movement; what
    /// changes nothing is left out.
    pub fn push(&mut self, segment: Segment) {
        let Some(span) = self.spans.last_mut() else {
            return;
        };
        let [_, h, w] = self.shape;
        match segment {
            Segment::Gather(next) => {
                let before = match self.segments.last_mut() {
                    Some(Segment::Gather(before)) if span.0 < span.1 => Some(before),
                    _ => None,
                };
                let fused = match &before {
                    Some(before) => before.then(&next),
                    None => next,
                };
                match (before, fused.is_identity(h, w)) {
                    (Some(before), false) => *before = fused,
                    (Some(_), true) => {
                        self.segments.pop();
                        span.1 -= 1;
                    }
                    (None, false) => {
                        self.segments.push(Segment::Gather(fused));
                        span.1 += 1;
                    }
                    (None, true) => {}
                }
            }
            Segment::Erase(erase) if erase.area.is_empty() => {}
            other => {
                self.segments.push(other);
                span.1 += 1;
            }
        }
    }

    /// `[channels, height, width]` of every image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// `[n, channels, height, width]`.
    pub fn batch_shape(&self) -> [usize; 4] {
        let [c, h, w] = self.shape;
        [self.len(), c, h, w]
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// What happens to image `i`, in order.
    ///
    /// # Panics
    /// `i` is not below [`ImagePlan::len`].
    pub fn image(&self, i: usize) -> &[Segment] {
        let (start, end) = self.spans[i];
        &self.segments[start as usize..end as usize]
    }

    /// Whether no image changes.
    pub fn is_identity(&self) -> bool {
        self.spans.iter().all(|(start, end)| start == end)
    }

    /// Whether it can be applied to images of its shape. Plans that were pushed together can; plans that were read need
    /// the look.
    pub(crate) fn check(&self) -> Result<(), AugmentError> {
        elements(self.shape)?;
        let [c, h, w] = self.shape;
        for (image, &(start, end)) in self.spans.iter().enumerate() {
            let invalid = |reason| Err(AugmentError::InvalidPlan { image, reason });
            let Some(segments) = self.segments.get(start as usize..end as usize) else {
                return invalid("its segments are not there");
            };
            for segment in segments {
                match segment {
                    Segment::Gather(gather) if !gather.fits(h, w) => {
                        return invalid("a movement reads outside the image");
                    }
                    Segment::Erase(erase) if !erase.area.fits(h, w) => {
                        return invalid("an erased box lies outside the image");
                    }
                    Segment::Erase(erase) if !erase.fill.fits(c) => {
                        return invalid("a fill of three channels on an image of another number");
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn erase(x1: u32) -> Segment {
        let area = PixelBox {
            x0: 0,
            y0: 0,
            x1,
            y1: 1,
        };
        Segment::Erase(Erase {
            area,
            fill: Fill::default(),
        })
    }

    #[test]
    fn movements_fuse_within_an_image_only() {
        let flip = Segment::Gather(Gather::mirrored(2, 4));
        let shift = Segment::Gather(Gather::shifted(1, 0, 2, 4));
        let mut plan = ImagePlan::new([1, 2, 4]).unwrap();
        plan.add_image();
        plan.push(flip);
        plan.push(shift);
        plan.add_image();
        plan.push(flip);
        plan.push(flip);
        plan.add_image();
        plan.push(flip);
        plan.push(erase(0));
        plan.push(erase(1));
        plan.push(flip);
        assert_eq!(plan.image(0).len(), 1);
        assert!(plan.image(1).is_empty());
        assert_eq!(plan.image(2), [flip, erase(1), flip]);
        assert!(plan.check().is_ok());
    }

    #[test]
    fn broken_plans_are_refused() {
        let mut plan = ImagePlan::new([1, 2, 4]).unwrap();
        plan.add_image();
        plan.push(erase(5));
        assert!(matches!(
            plan.check(),
            Err(AugmentError::InvalidPlan { image: 0, .. })
        ));
        plan.spans[0] = (0, 9);
        assert!(plan.check().is_err());
        plan.spans[0] = (1, 0);
        assert!(plan.check().is_err());
        plan.segments[0] = Segment::Erase(Erase {
            area: PixelBox::full(1, 1),
            fill: Fill::Rgb([1; 3]),
        });
        plan.spans[0] = (0, 1);
        assert!(plan.check().is_err());
    }
}
