//! What the learnt and random policies have in common: operations by name, and how strong their magnitudes are.

use serde::{Deserialize, Serialize};

use super::{
    brightness, color, contrast, posterize, rotate, sharpness, shear, solarize, translate,
};
use crate::error::{self, AugmentError};
use crate::plan::{Adaptive, Fill, ImagePlan, Interpolation, PointOp, Segment};
use crate::stream::Stream;

/// An operation of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PolicyOp {
    /// Nothing.
    Identity,
    /// [`ShearX`](crate::ShearX); the magnitude is the slope.
    ShearX,
    /// [`ShearY`](crate::ShearY); the magnitude is the slope.
    ShearY,
    /// [`TranslateX`](crate::TranslateX); the magnitude is in pixels.
    TranslateX,
    /// [`TranslateY`](crate::TranslateY); the magnitude is in pixels.
    TranslateY,
    /// [`Rotate`](crate::Rotate); the magnitude is in degrees.
    Rotate,
    /// [`Brightness`](crate::Brightness); the magnitude is the factor − 1.
    Brightness,
    /// [`Color`](crate::Color); the magnitude is the factor − 1.
    Color,
    /// [`Contrast`](crate::Contrast); the magnitude is the factor − 1.
    Contrast,
    /// [`Sharpness`](crate::Sharpness); the magnitude is the factor − 1.
    Sharpness,
    /// [`Posterize`](crate::Posterize); the magnitude is the number of bits, rounded.
    Posterize,
    /// [`Solarize`](crate::Solarize); the magnitude is the threshold over 255.
    Solarize,
    /// [`AutoContrast`](crate::AutoContrast), which has no magnitude.
    AutoContrast,
    /// [`Equalize`](crate::Equalize), which has no magnitude.
    Equalize,
    /// [`Invert`](crate::Invert), which has no magnitude.
    Invert,
}

impl PolicyOp {
    /// Whether it looks at colours.
    fn needs_colour(self) -> bool {
        matches!(self, Self::Color | Self::Contrast)
    }

    /// Whether a magnitude means anything.
    pub fn has_magnitude(self) -> bool {
        !matches!(
            self,
            Self::Identity | Self::AutoContrast | Self::Equalize | Self::Invert
        )
    }

    /// What the magnitude may be.
    fn limits(self) -> ([f64; 2], &'static str) {
        match self {
            Self::ShearX | Self::ShearY => ([-100.0, 100.0], "between -100 and 100"),
            Self::TranslateX | Self::TranslateY => ([-1e6, 1e6], "between -1000000 and 1000000"),
            Self::Rotate => ([-360.0, 360.0], "between -360 and 360"),
            Self::Posterize => ([0.0, 8.0], "between 0 and 8"),
            Self::Solarize => ([0.0, 1.0], "between 0 and 1"),
            _ => ([-1.0, 99.0], "between -1 and 99"),
        }
    }
}

/// The magnitudes that an operation can have: equal steps from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpaceEntry {
    /// The operation.
    pub op: PolicyOp,
    /// The magnitude of the first bin; 0 if not given.
    #[serde(default)]
    pub low: f64,
    /// The magnitude of the last bin; 0 if not given.
    #[serde(default)]
    pub high: f64,
    /// Whether the opposite magnitude is as likely.
    #[serde(default)]
    pub signed: bool,
    /// Whether both ends are parts of the side that the operation moves along.
    #[serde(default)]
    pub relative: bool,
}

impl SpaceEntry {
    /// The magnitude of bin `index` of `bins` for an image of `[height, width]`, before its sign.
    ///
    /// The steps are taken in f32 as `torch.linspace` takes them, from both ends towards the middle, rounded once; bits are rounded, halves
    /// to even. A single bin is `low`; `index` lies below `bins`. So tables equal torchvision's to the last bit.
    pub fn magnitude(&self, index: usize, bins: usize, [height, width]: [usize; 2]) -> f64 {
        if !self.op.has_magnitude() {
            return 0.0;
        }
        let side = match self.op {
            _ if !self.relative => 1.0,
            PolicyOp::TranslateY => height as f64,
            _ => width as f64,
        };
        let (low, high) = (self.low * side, self.high * side);
        if bins <= 1 {
            return low;
        }
        let steps = bins - 1;
        if self.op == PolicyOp::Posterize {
            let lost = index as f32 / (steps as f64 / (low - high)) as f32;
            return f64::from((low as f32 - lost).round_ties_even());
        }
        let (low, high) = (low as f32, high as f32);
        let step = (high - low) / steps as f32;
        f64::from(if index < bins / 2 {
            step.mul_add(index as f32, low)
        } else {
            (-step).mul_add(steps.saturating_sub(index) as f32, high)
        })
    }

    /// The magnitude with its sign, which takes one draw if there is one.
    pub(super) fn draw(
        &self,
        index: usize,
        bins: usize,
        stream: &mut Stream,
        plan: &ImagePlan,
    ) -> f64 {
        let [_, h, w] = plan.shape();
        let magnitude = self.magnitude(index, bins, [h, w]);
        match self.signed && stream.chance(0.5) {
            true => -magnitude,
            false => magnitude,
        }
    }
}

/// A table of operations and their magnitudes.
pub(super) struct Space<'a>(pub(super) &'a [SpaceEntry]);

impl Space<'_> {
    /// Checks every entry of the policy that is named.
    pub(super) fn check(&self, policy: &'static str, bins: usize) -> Result<(), AugmentError> {
        let refuse = |reason| Err(AugmentError::Policy { policy, reason });
        if self.0.is_empty() {
            return refuse("its space holds no operation, expected at least one".into());
        }
        if bins == 0 || bins > 1 << 20 {
            return refuse(format!("bins is {bins}, expected 1 to 1048576"));
        }
        for (position, entry) in self.0.iter().enumerate() {
            let SpaceEntry { op, low, high, .. } = entry;
            if !op.has_magnitude() {
                continue;
            }
            let (limits, words) = match entry.relative {
                true => ([-1.0, 1.0], "between -1 and 1"),
                false => op.limits(),
            };
            let moves = matches!(op, PolicyOp::TranslateX | PolicyOp::TranslateY);
            if entry.relative && !moves {
                return refuse(format!(
                    "{op:?}, entry {position} of its space, is relative, which only translations can be"
                ));
            }
            let sign = if entry.signed { -1.0 } else { 1.0 };
            for value in [*low, *high, sign * low, sign * high] {
                if !(limits[0]..=limits[1]).contains(&value) {
                    return refuse(format!(
                        "the magnitude of {op:?}, entry {position} of its space, reaches {value}, expected {words}"
                    ));
                }
            }
            if *op == PolicyOp::Posterize && low <= high {
                return refuse(format!(
                    "the bits of Posterize, entry {position} of its space, go from {low} to {high}, expected fewer from bin to bin"
                ));
            }
        }
        Ok(())
    }

    /// Checks that images of `shape` can be treated.
    pub(super) fn check_shape(
        &self,
        policy: &'static str,
        fill: Fill,
        shape: [usize; 3],
    ) -> Result<(), AugmentError> {
        error::fill(
            "the channels of images that a policy fills with rgb",
            fill,
            shape,
        )?;
        match self.0.iter().any(|entry| entry.op.needs_colour()) {
            true => error::grey_or_colour(policy, shape),
            false => Ok(()),
        }
    }
}

/// How policies treat what lies between pixels and outside images.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) interpolation: Interpolation,
    pub(super) fill: Fill,
}

/// Appends `op` of this magnitude for the image that `plan` got last.
pub(super) fn push(op: PolicyOp, magnitude: f64, style: Style, plan: &mut ImagePlan) {
    let Style {
        interpolation,
        fill,
    } = style;
    match op {
        PolicyOp::Identity => {}
        PolicyOp::ShearX => shear::push_x(magnitude, interpolation, fill, plan),
        PolicyOp::ShearY => shear::push_y(magnitude, interpolation, fill, plan),
        PolicyOp::TranslateX => translate::push((magnitude as i32, 0), fill, plan),
        PolicyOp::TranslateY => translate::push((0, magnitude as i32), fill, plan),
        PolicyOp::Rotate => rotate::push(magnitude, interpolation, fill, plan),
        PolicyOp::Brightness => brightness::push(1.0 + magnitude, plan),
        PolicyOp::Color => color::push(1.0 + magnitude, plan),
        PolicyOp::Contrast => contrast::push(1.0 + magnitude, plan),
        PolicyOp::Sharpness => sharpness::push(1.0 + magnitude, plan),
        PolicyOp::Posterize => posterize::push(magnitude as u8, plan),
        PolicyOp::Solarize => solarize::push(255.0 * magnitude, plan),
        PolicyOp::AutoContrast => plan.push(Segment::Adapt(Adaptive::AutoContrast)),
        PolicyOp::Equalize => plan.push(Segment::Adapt(Adaptive::Equalize)),
        PolicyOp::Invert => plan.push(Segment::Point(PointOp::Invert)),
    }
}

const fn entry(op: PolicyOp, low: f64, high: f64, signed: bool) -> SpaceEntry {
    SpaceEntry {
        op,
        low,
        high,
        signed,
        relative: false,
    }
}

const fn relative(op: PolicyOp, high: f64) -> SpaceEntry {
    SpaceEntry {
        relative: true,
        ..entry(op, 0.0, high, true)
    }
}

const fn without(op: PolicyOp) -> SpaceEntry {
    entry(op, 0.0, 0.0, false)
}

/// Part of a side that AutoAugment and RandAugment move by at most.
const SHIFT: f64 = 150.0 / 331.0;

/// Magnitudes of AutoAugment, in torchvision's form.
pub(super) const AUTO_AUGMENT: [SpaceEntry; 14] = [
    entry(PolicyOp::ShearX, 0.0, 0.3, true),
    entry(PolicyOp::ShearY, 0.0, 0.3, true),
    relative(PolicyOp::TranslateX, SHIFT),
    relative(PolicyOp::TranslateY, SHIFT),
    entry(PolicyOp::Rotate, 0.0, 30.0, true),
    entry(PolicyOp::Brightness, 0.0, 0.9, true),
    entry(PolicyOp::Color, 0.0, 0.9, true),
    entry(PolicyOp::Contrast, 0.0, 0.9, true),
    entry(PolicyOp::Sharpness, 0.0, 0.9, true),
    entry(PolicyOp::Posterize, 8.0, 4.0, false),
    entry(PolicyOp::Solarize, 1.0, 0.0, false),
    without(PolicyOp::AutoContrast),
    without(PolicyOp::Equalize),
    without(PolicyOp::Invert),
];

/// Operations and magnitudes of RandAugment, in torchvision's form.
pub(super) const RAND_AUGMENT: [SpaceEntry; 14] = [
    without(PolicyOp::Identity),
    entry(PolicyOp::ShearX, 0.0, 0.3, true),
    entry(PolicyOp::ShearY, 0.0, 0.3, true),
    relative(PolicyOp::TranslateX, SHIFT),
    relative(PolicyOp::TranslateY, SHIFT),
    entry(PolicyOp::Rotate, 0.0, 30.0, true),
    entry(PolicyOp::Brightness, 0.0, 0.9, true),
    entry(PolicyOp::Color, 0.0, 0.9, true),
    entry(PolicyOp::Contrast, 0.0, 0.9, true),
    entry(PolicyOp::Sharpness, 0.0, 0.9, true),
    entry(PolicyOp::Posterize, 8.0, 4.0, false),
    entry(PolicyOp::Solarize, 1.0, 0.0, false),
    without(PolicyOp::AutoContrast),
    without(PolicyOp::Equalize),
];

/// Operations and magnitudes of TrivialAugment's wide space, in torchvision's form.
pub(super) const TRIVIAL_AUGMENT_WIDE: [SpaceEntry; 14] = [
    without(PolicyOp::Identity),
    entry(PolicyOp::ShearX, 0.0, 0.99, true),
    entry(PolicyOp::ShearY, 0.0, 0.99, true),
    entry(PolicyOp::TranslateX, 0.0, 32.0, true),
    entry(PolicyOp::TranslateY, 0.0, 32.0, true),
    entry(PolicyOp::Rotate, 0.0, 135.0, true),
    entry(PolicyOp::Brightness, 0.0, 0.99, true),
    entry(PolicyOp::Color, 0.0, 0.99, true),
    entry(PolicyOp::Contrast, 0.0, 0.99, true),
    entry(PolicyOp::Sharpness, 0.0, 0.99, true),
    entry(PolicyOp::Posterize, 8.0, 2.0, false),
    entry(PolicyOp::Solarize, 1.0, 0.0, false),
    without(PolicyOp::AutoContrast),
    without(PolicyOp::Equalize),
];
