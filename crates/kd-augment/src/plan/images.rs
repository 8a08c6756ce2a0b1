//! The part of a plan that treats each image by itself.

use serde::{Deserialize, Serialize};

use super::{Gather, Segment};
use crate::error::AugmentError;
use crate::images::elements;

/// For each image of a batch its ordered list of [`Segment`]s.
///
/// Images may share a list: under batch sharing there is one for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePlan {
    /// `[channels, height, width]` of every image, before and after.
    shape: [usize; 3],
    /// The segments of all lists, one list after the other.
    segments: Vec<Segment>,
    /// For each image, where its list begins and ends in `segments`.
    spans: Vec<(u32, u32)>,
    /// Whether consecutive affine maps become one.
    #[serde(default)]
    fuse_affine: bool,
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
            fuse_affine: false,
        })
    }

    /// A plan for no image.
    pub(crate) fn empty() -> Self {
        Self {
            shape: [1; 3],
            segments: Vec::new(),
            spans: Vec::new(),
            fuse_affine: false,
        }
    }

    /// The same plan, where consecutive affine maps with one interpolation and one fill become one resampling. That is faster
    /// and blurs less, but the pixels are not those of the maps one after the other.
    #[must_use]
    pub fn fusing_affine(mut self, fuse: bool) -> Self {
        self.fuse_affine = fuse;
        self
    }

    pub(crate) fn fuses_affine(&self) -> bool {
        self.fuse_affine
    }

    /// Takes all images away and keeps the memory, for images of another shape.
    ///
    /// # Errors
    /// An impossible shape.
    pub(crate) fn reset(
        &mut self,
        shape: [usize; 3],
        fuse_affine: bool,
    ) -> Result<(), AugmentError> {
        elements(shape)?;
        self.shape = shape;
        self.fuse_affine = fuse_affine;
        self.segments.clear();
        self.spans.clear();
        Ok(())
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
        self.own_last_list();
        let Some(span) = self.spans.last_mut() else {
            return;
        };
        if span.1 as usize != self.segments.len() {
            // Not a list of this plan, which no engine will take.
            return;
        }
        let before = match span.0 < span.1 {
            true => self.segments.last().copied(),
            false => None,
        };
        let fused = match (before, segment) {
            (Some(Segment::Gather(before)), Segment::Gather(next)) => {
                Some(Segment::Gather(Gather::then(&before, &next)))
            }
            (Some(Segment::Warp(before)), Segment::Warp(next)) if self.fuse_affine => {
                let fused = before.then(&next).map(Segment::Warp);
                fused.filter(|fused| fused.misfit(self.shape).is_none())
            }
            _ => None,
        };
        if fused.is_some() {
            self.segments.pop();
            span.1 -= 1;
        }
        let segment = fused.unwrap_or(segment);
        if !segment.is_identity(self.shape) {
            self.segments.push(segment);
            span.1 += 1;
        }
    }

    /// Copies the list of the last image to the end if other images share it, or other lists come after it.
    fn own_last_list(&mut self) {
        let [.., before, last] = &mut self.spans[..] else {
            return;
        };
        let (start, end) = *last;
        let shared = before.1 > start || end as usize != self.segments.len();
        if shared && start <= end && end as usize <= self.segments.len() {
            let first = self.segments.len() as u32;
            self.segments
                .extend_from_within(start as usize..end as usize);
            *last = (first, self.segments.len() as u32);
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
    /// `i` is not below [`ImagePlan::len`]; or the plan was read from elsewhere and its segments are not there.
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
        for (image, &(start, end)) in self.spans.iter().enumerate() {
            let invalid = |reason| Err(AugmentError::InvalidPlan { image, reason });
            let Some(segments) = self.segments.get(start as usize..end as usize) else {
                return invalid("its segments are not there");
            };
            if let Some(reason) = segments
                .iter()
                .find_map(|segment| segment.misfit(self.shape))
            {
                return invalid(reason);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plan::{Erase, Fill, Interpolation, PixelBox, PointOp, Warp};

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
    fn a_shared_list_is_copied_before_it_grows() {
        let flip = Segment::Gather(Gather::mirrored(2, 4));
        let mut plan = ImagePlan::new([1, 2, 4]).unwrap();
        plan.add_image();
        plan.push(flip);
        plan.repeat_image();
        plan.repeat_image();
        plan.push(flip);
        assert_eq!(plan.image(0), [flip]);
        assert_eq!(plan.image(1), [flip]);
        assert!(plan.image(2).is_empty());
        plan.push(erase(1));
        assert_eq!(plan.image(1), [flip]);
        assert_eq!(plan.image(2), [erase(1)]);
        assert!(plan.check().is_ok());
        plan.spans = vec![(0, u32::MAX)];
        plan.push(flip);
        assert!(plan.check().is_err());
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

    #[test]
    fn affine_maps_fuse_only_when_asked() {
        let warp = |fill| {
            Segment::Warp(Warp {
                matrix: [1.0, 0.5, 0.0, 0.0, 1.0, 0.0],
                interpolation: Interpolation::Bilinear,
                fill,
            })
        };
        let black = Fill::default();
        for (fuse, lengths) in [(false, [2, 2]), (true, [1, 2])] {
            let mut plan = ImagePlan::new([1, 2, 4]).unwrap().fusing_affine(fuse);
            for (second, length) in [black, Fill::Level(9)].into_iter().zip(lengths) {
                plan.add_image();
                plan.push(warp(black));
                plan.push(warp(second));
                assert_eq!(plan.image(plan.len() - 1).len(), length);
            }
            assert!(plan.check().is_ok());
        }
    }

    #[test]
    fn what_changes_nothing_is_left_out() {
        let mut plan = ImagePlan::new([1, 2, 4]).unwrap();
        plan.add_image();
        for segment in [
            Segment::Point(PointOp::Brightness(1.0)),
            Segment::Point(PointOp::Posterize(8)),
            Segment::Point(PointOp::Solarize(256)),
            Segment::Grayscale,
        ] {
            plan.push(segment);
        }
        assert!(plan.is_identity());
        plan.push(Segment::Point(PointOp::Invert));
        assert_eq!(plan.image(0).len(), 1);
    }
}
