//! Colour jitter.

use serde::{Deserialize, Serialize};

use super::{Operation, Range, always, brightness, color, contrast, hue};
use crate::error::{self, AugmentError};
use crate::plan::ImagePlan;
use crate::stream::Stream;

/// With probability `p`, changes brightness, contrast, saturation and hue, in an order drawn for each image.
///
/// torchvision's `ColorJitter`: a factor is uniform in [max(0, 1 − strength), 1 + strength], the turn of the hue in
/// [−hue, hue]. A strength of 0 leaves its property alone. Exact, see [`Brightness`](crate::Brightness),
/// [`Contrast`](crate::Contrast), [`Color`](crate::Color) and [`Hue`](crate::Hue).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorJitter {
    /// Strength, in [0, 99]; 0 if not given.
    #[serde(default)]
    pub brightness: f64,
    /// Strength, in [0, 99]; 0 if not given.
    #[serde(default)]
    pub contrast: f64,
    /// Strength, in [0, 99]; 0 if not given.
    #[serde(default)]
    pub saturation: f64,
    /// Largest part of a turn, in [0, 0.5]; 0 if not given.
    #[serde(default)]
    pub hue: f64,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl ColorJitter {
    /// Always; the order is torchvision's.
    pub fn new(brightness: f64, contrast: f64, saturation: f64, hue: f64) -> Self {
        Self {
            brightness,
            contrast,
            saturation,
            hue,
            p: always(),
        }
    }
}

impl Operation for ColorJitter {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("color_jitter.p", self.p)?;
        for (field, strength) in [
            ("color_jitter.brightness", self.brightness),
            ("color_jitter.contrast", self.contrast),
            ("color_jitter.saturation", self.saturation),
        ] {
            Range::from(strength).check(field, [0.0, 99.0], "between 0 and 99")?;
        }
        Range::from(self.hue).check("color_jitter.hue", [0.0, 0.5], "between 0 and 0.5")
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        error::grey_or_colour("color_jitter", shape)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if !stream.chance(self.p) {
            return;
        }
        let factor = |strength: f64| Range::new((1.0 - strength).max(0.0), 1.0 + strength);
        let mut order = [0, 1, 2, 3];
        for last in (1..order.len()).rev() {
            order.swap(last, stream.below(last + 1));
        }
        for property in order {
            match property {
                0 => brightness::push(factor(self.brightness).draw(stream), plan),
                1 => contrast::push(factor(self.contrast).draw(stream), plan),
                2 => color::push(factor(self.saturation).draw(stream), plan),
                _ => hue::push(Range::new(-self.hue, self.hue).draw(stream), plan),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;
    use crate::key::DrawKey;
    use crate::plan::Segment;
    use crate::stream::Purpose;

    #[test]
    fn every_order_comes() {
        let jitter = ColorJitter::new(0.4, 0.4, 0.4, 0.5);
        let mut orders = HashSet::new();
        for id in 0..600 {
            let mut plan = ImagePlan::new([3, 4, 4]).unwrap();
            plan.add_image();
            jitter.draw(
                &mut Stream::new(&DrawKey::new(0), Purpose::ImageOp(0), id),
                &mut plan,
            );
            let kinds: Vec<u8> = plan
                .image(0)
                .iter()
                .map(|segment| match segment {
                    Segment::Point(_) => 0,
                    Segment::Adapt(_) => 1,
                    Segment::Color(_) => 2,
                    _ => 3,
                })
                .collect();
            if kinds.len() == 4 {
                orders.insert(kinds);
            }
        }
        assert_eq!(orders.len(), 24);
    }

    #[test]
    fn strengths_are_bounded() {
        assert!(ColorJitter::new(0.4, 0.4, 0.4, 0.1).check().is_ok());
        assert!(ColorJitter::new(-0.1, 0.0, 0.0, 0.0).check().is_err());
        let message = ColorJitter::new(0.0, 0.0, 0.0, 0.6).check().unwrap_err();
        assert_eq!(
            message.to_string(),
            "color_jitter.hue is 0.6, but must be between 0 and 0.5"
        );
    }
}
