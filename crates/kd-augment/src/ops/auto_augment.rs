//! AutoAugment.

use serde::{Deserialize, Serialize};

use super::policy::PolicyOp::{
    self, AutoContrast, Brightness, Color, Contrast, Equalize, Invert, Posterize, Rotate,
    Sharpness, ShearX, ShearY, Solarize, TranslateX, TranslateY,
};
use super::policy::{self, Space, SpaceEntry, Style};
use super::{Operation, always};
use crate::error::{self, AugmentError};
use crate::plan::{Fill, ImagePlan, Interpolation};
use crate::stream::Stream;

/// With probability `p`, applies one of a policy's sub-policies, drawn uniformly: operations in order, each with its own
/// probability and magnitude.
///
/// Cubuk, Zoph, Mané, Vasudevan, Le, "AutoAugment: Learning Augmentation Strategies from Data", CVPR 2019, in torchvision's
/// form: relative translations, black outside, factors around 1 with a random sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoAugment {
    /// The table.
    pub policy: AutoAugmentPolicy,
    /// How levels between pixels are found; the nearest if not given.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What stands outside; black if not given.
    #[serde(default)]
    pub fill: Fill,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

/// The table of AutoAugment: one of the published ones, by name, or your own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AutoAugmentPolicy {
    /// Learnt on CIFAR-10, used for CIFAR-100 as well.
    Cifar10,
    /// Learnt on ImageNet.
    ImageNet,
    /// Learnt on SVHN.
    Svhn,
    /// A table of your own.
    #[serde(untagged)]
    Custom(Policy),
}

/// A table of sub-policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Bins that the magnitudes of an operation are divided into; 10 if not given.
    #[serde(default = "ten")]
    pub bins: usize,
    /// The magnitudes of the operations; AutoAugment's if not given.
    #[serde(default = "space")]
    pub space: Vec<SpaceEntry>,
    /// Each a list of steps.
    pub sub_policies: Vec<Vec<PolicyStep>>,
}

/// A step of a sub-policy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyStep {
    /// The operation.
    pub op: PolicyOp,
    /// Its probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
    /// The bin of its magnitude, counted from 0; none for operations without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub magnitude: Option<usize>,
}

fn ten() -> usize {
    BINS
}

fn space() -> Vec<SpaceEntry> {
    policy::AUTO_AUGMENT.to_vec()
}

impl AutoAugment {
    /// Nearest neighbours, black outside, always.
    pub fn new(policy: AutoAugmentPolicy) -> Self {
        Self {
            policy,
            interpolation: Interpolation::default(),
            fill: Fill::default(),
            p: always(),
        }
    }
}

impl AutoAugmentPolicy {
    /// The table as data, to start your own from.
    pub fn table(&self) -> Policy {
        let published = |table: &[[PolicyStep; 2]]| Policy {
            bins: BINS,
            space: space(),
            sub_policies: table.iter().map(|steps| steps.to_vec()).collect(),
        };
        match self {
            Self::Cifar10 => published(&CIFAR10),
            Self::ImageNet => published(&IMAGENET),
            Self::Svhn => published(&SVHN),
            Self::Custom(policy) => policy.clone(),
        }
    }

    fn space(&self) -> &[SpaceEntry] {
        match self {
            Self::Custom(policy) => &policy.space,
            _ => &policy::AUTO_AUGMENT,
        }
    }

    fn bins(&self) -> usize {
        match self {
            Self::Custom(policy) => policy.bins,
            _ => BINS,
        }
    }

    fn sub_policies(&self) -> usize {
        match self {
            Self::Custom(policy) => policy.sub_policies.len(),
            _ => CIFAR10.len(),
        }
    }

    fn sub_policy(&self, index: usize) -> &[PolicyStep] {
        match self {
            Self::Cifar10 => &CIFAR10[index],
            Self::ImageNet => &IMAGENET[index],
            Self::Svhn => &SVHN[index],
            Self::Custom(policy) => &policy.sub_policies[index],
        }
    }

    fn entry(&self, op: PolicyOp) -> Option<&SpaceEntry> {
        self.space().iter().find(|entry| entry.op == op)
    }

    fn check(&self) -> Result<(), AugmentError> {
        let policy = "auto_augment";
        Space(self.space()).check(policy, self.bins())?;
        let refuse = |reason| Err(AugmentError::Policy { policy, reason });
        if self.sub_policies() == 0 {
            return refuse("it holds no sub-policy, expected at least one".into());
        }
        for sub_policy in 0..self.sub_policies() {
            for (position, step) in self.sub_policy(sub_policy).iter().enumerate() {
                let PolicyStep { op, p, magnitude } = step;
                let place = format!("step {position} of sub-policy {sub_policy}");
                if !(0.0..=1.0).contains(p) {
                    return refuse(format!("p of {place} is {p}, expected 0 to 1"));
                }
                if self.entry(*op).is_none() && op.has_magnitude() {
                    return refuse(format!("{op:?}, {place}, is not in its space"));
                }
                let bins = self.bins();
                match magnitude {
                    None if op.has_magnitude() => {
                        return refuse(format!("{op:?}, {place}, has no magnitude"));
                    }
                    Some(bin) if *bin >= bins => {
                        return refuse(format!(
                            "the magnitude of {place} is bin {bin}, expected below {bins}"
                        ));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl Operation for AutoAugment {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("auto_augment.p", self.p)?;
        self.policy.check()
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        Space(self.policy.space()).check_shape("auto_augment", self.fill, shape)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if !stream.chance(self.p) {
            return;
        }
        let style = Style {
            interpolation: self.interpolation,
            fill: self.fill,
        };
        let index = stream.below(self.policy.sub_policies());
        for step in self.policy.sub_policy(index) {
            if !stream.chance(step.p) {
                continue;
            }
            let magnitude = match (self.policy.entry(step.op), step.magnitude) {
                (Some(entry), Some(bin)) => entry.draw(bin, self.policy.bins(), stream, plan),
                _ => 0.0,
            };
            policy::push(step.op, magnitude, style, plan);
        }
    }
}

const BINS: usize = 10;
const NONE: usize = usize::MAX;

const fn step(op: PolicyOp, p: f64, bin: usize) -> PolicyStep {
    let magnitude = if bin == NONE { None } else { Some(bin) };
    PolicyStep { op, p, magnitude }
}

/// Learnt on CIFAR-10.
#[rustfmt::skip]
const CIFAR10: [[PolicyStep; 2]; 25] = [
    [step(Invert, 0.1, NONE), step(Contrast, 0.2, 6)],
    [step(Rotate, 0.7, 2), step(TranslateX, 0.3, 9)],
    [step(Sharpness, 0.8, 1), step(Sharpness, 0.9, 3)],
    [step(ShearY, 0.5, 8), step(TranslateY, 0.7, 9)],
    [step(AutoContrast, 0.5, NONE), step(Equalize, 0.9, NONE)],
    [step(ShearY, 0.2, 7), step(Posterize, 0.3, 7)],
    [step(Color, 0.4, 3), step(Brightness, 0.6, 7)],
    [step(Sharpness, 0.3, 9), step(Brightness, 0.7, 9)],
    [step(Equalize, 0.6, NONE), step(Equalize, 0.5, NONE)],
    [step(Contrast, 0.6, 7), step(Sharpness, 0.6, 5)],
    [step(Color, 0.7, 7), step(TranslateX, 0.5, 8)],
    [step(Equalize, 0.3, NONE), step(AutoContrast, 0.4, NONE)],
    [step(TranslateY, 0.4, 3), step(Sharpness, 0.2, 6)],
    [step(Brightness, 0.9, 6), step(Color, 0.2, 8)],
    [step(Solarize, 0.5, 2), step(Invert, 0.0, NONE)],
    [step(Equalize, 0.2, NONE), step(AutoContrast, 0.6, NONE)],
    [step(Equalize, 0.2, NONE), step(Equalize, 0.6, NONE)],
    [step(Color, 0.9, 9), step(Equalize, 0.6, NONE)],
    [step(AutoContrast, 0.8, NONE), step(Solarize, 0.2, 8)],
    [step(Brightness, 0.1, 3), step(Color, 0.7, 0)],
    [step(Solarize, 0.4, 5), step(AutoContrast, 0.9, NONE)],
    [step(TranslateY, 0.9, 9), step(TranslateY, 0.7, 9)],
    [step(AutoContrast, 0.9, NONE), step(Solarize, 0.8, 3)],
    [step(Equalize, 0.8, NONE), step(Invert, 0.1, NONE)],
    [step(TranslateY, 0.7, 9), step(AutoContrast, 0.9, NONE)],
];

/// Learnt on ImageNet.
#[rustfmt::skip]
const IMAGENET: [[PolicyStep; 2]; 25] = [
    [step(Posterize, 0.4, 8), step(Rotate, 0.6, 9)],
    [step(Solarize, 0.6, 5), step(AutoContrast, 0.6, NONE)],
    [step(Equalize, 0.8, NONE), step(Equalize, 0.6, NONE)],
    [step(Posterize, 0.6, 7), step(Posterize, 0.6, 6)],
    [step(Equalize, 0.4, NONE), step(Solarize, 0.2, 4)],
    [step(Equalize, 0.4, NONE), step(Rotate, 0.8, 8)],
    [step(Solarize, 0.6, 3), step(Equalize, 0.6, NONE)],
    [step(Posterize, 0.8, 5), step(Equalize, 1.0, NONE)],
    [step(Rotate, 0.2, 3), step(Solarize, 0.6, 8)],
    [step(Equalize, 0.6, NONE), step(Posterize, 0.4, 6)],
    [step(Rotate, 0.8, 8), step(Color, 0.4, 0)],
    [step(Rotate, 0.4, 9), step(Equalize, 0.6, NONE)],
    [step(Equalize, 0.0, NONE), step(Equalize, 0.8, NONE)],
    [step(Invert, 0.6, NONE), step(Equalize, 1.0, NONE)],
    [step(Color, 0.6, 4), step(Contrast, 1.0, 8)],
    [step(Rotate, 0.8, 8), step(Color, 1.0, 2)],
    [step(Color, 0.8, 8), step(Solarize, 0.8, 7)],
    [step(Sharpness, 0.4, 7), step(Invert, 0.6, NONE)],
    [step(ShearX, 0.6, 5), step(Equalize, 1.0, NONE)],
    [step(Color, 0.4, 0), step(Equalize, 0.6, NONE)],
    [step(Equalize, 0.4, NONE), step(Solarize, 0.2, 4)],
    [step(Solarize, 0.6, 5), step(AutoContrast, 0.6, NONE)],
    [step(Invert, 0.6, NONE), step(Equalize, 1.0, NONE)],
    [step(Color, 0.6, 4), step(Contrast, 1.0, 8)],
    [step(Equalize, 0.8, NONE), step(Equalize, 0.6, NONE)],
];

/// Learnt on SVHN.
#[rustfmt::skip]
const SVHN: [[PolicyStep; 2]; 25] = [
    [step(ShearX, 0.9, 4), step(Invert, 0.2, NONE)],
    [step(ShearY, 0.9, 8), step(Invert, 0.7, NONE)],
    [step(Equalize, 0.6, NONE), step(Solarize, 0.6, 6)],
    [step(Invert, 0.9, NONE), step(Equalize, 0.6, NONE)],
    [step(Equalize, 0.6, NONE), step(Rotate, 0.9, 3)],
    [step(ShearX, 0.9, 4), step(AutoContrast, 0.8, NONE)],
    [step(ShearY, 0.9, 8), step(Invert, 0.4, NONE)],
    [step(ShearY, 0.9, 5), step(Solarize, 0.2, 6)],
    [step(Invert, 0.9, NONE), step(AutoContrast, 0.8, NONE)],
    [step(Equalize, 0.6, NONE), step(Rotate, 0.9, 3)],
    [step(ShearX, 0.9, 4), step(Solarize, 0.3, 3)],
    [step(ShearY, 0.8, 8), step(Invert, 0.7, NONE)],
    [step(Equalize, 0.9, NONE), step(TranslateY, 0.6, 6)],
    [step(Invert, 0.9, NONE), step(Equalize, 0.6, NONE)],
    [step(Contrast, 0.3, 3), step(Rotate, 0.8, 4)],
    [step(Invert, 0.8, NONE), step(TranslateY, 0.0, 2)],
    [step(ShearY, 0.7, 6), step(Solarize, 0.4, 8)],
    [step(Invert, 0.6, NONE), step(Rotate, 0.8, 4)],
    [step(ShearY, 0.3, 7), step(TranslateX, 0.9, 3)],
    [step(ShearX, 0.1, 6), step(Invert, 0.6, NONE)],
    [step(Solarize, 0.7, 2), step(TranslateY, 0.6, 7)],
    [step(ShearY, 0.8, 4), step(Invert, 0.8, NONE)],
    [step(ShearX, 0.7, 9), step(TranslateY, 0.8, 3)],
    [step(ShearY, 0.8, 5), step(AutoContrast, 0.7, NONE)],
    [step(ShearX, 0.7, 2), step(Invert, 0.1, NONE)],
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn policies_are_named_or_written_out() {
        for (name, policy) in [
            ("cifar10", AutoAugmentPolicy::Cifar10),
            ("imagenet", AutoAugmentPolicy::ImageNet),
            ("svhn", AutoAugmentPolicy::Svhn),
        ] {
            let text = format!(r#"{{"policy":"{name}"}}"#);
            let named: AutoAugment = serde_json::from_str(&text).unwrap();
            assert_eq!(named, AutoAugment::new(policy.clone()));
            // As a table of one's own it survives the way through text, and draws the same.
            let own = AutoAugment::new(AutoAugmentPolicy::Custom(policy.table()));
            let text = serde_json::to_string(&own).unwrap();
            assert_eq!(serde_json::from_str::<AutoAugment>(&text).unwrap(), own);
            assert!(own.check().is_ok() && named.check().is_ok());
            for id in 0..50 {
                let plans = [&named, &own].map(|op| {
                    let mut plan = ImagePlan::new([3, 8, 8]).unwrap();
                    plan.add_image();
                    let key = crate::DrawKey::new(1);
                    let purpose = crate::stream::Purpose::ImageOp(0);
                    op.draw(&mut Stream::new(&key, purpose, id), &mut plan);
                    plan
                });
                assert_eq!(plans[0], plans[1]);
            }
        }
        assert!(serde_json::from_str::<AutoAugment>(r#"{"policy":"mnist"}"#).is_err());
    }

    #[test]
    fn impossible_tables_are_refused() {
        let with = |steps: Vec<PolicyStep>| {
            AutoAugment::new(AutoAugmentPolicy::Custom(Policy {
                sub_policies: vec![steps],
                ..AutoAugmentPolicy::Cifar10.table()
            }))
        };
        assert!(with(vec![step(Invert, 0.5, NONE)]).check().is_ok());
        for (steps, complaint) in [
            (step(Rotate, 0.5, NONE), "has no magnitude"),
            (step(Rotate, 0.5, 10), "bin 10, expected below 10"),
            (step(Rotate, 1.5, 1), "p of step 0 of sub-policy 0 is 1.5"),
        ] {
            let message = with(vec![steps]).check().unwrap_err().to_string();
            assert!(message.contains(complaint), "{message}");
        }
        let mut table = AutoAugmentPolicy::Svhn.table();
        table.sub_policies.clear();
        let none = AutoAugment::new(AutoAugmentPolicy::Custom(table));
        assert!(none.check().is_err());
    }
}
