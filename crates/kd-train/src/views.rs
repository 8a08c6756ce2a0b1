use kd_augment::{Augmentation, CutMix, Mix, ParamSharing, Pool};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// Which views of a batch exist, and what is asked of the student on each.
///
/// Both networks always see the same pixels. With `x` the original view, `x'` the mixed one, and `KL` the divergence of
/// the student from the teacher at temperature `tau`, times `tau²` unless `tau_squared` is off:
///
/// `loss = original.ce · CE(x) + original.kl · KL(x) + mixed.kl · KL(x')`
///
/// which is TLmixup and TLCutMix of *Understanding the Success of Knowledge Distillation – A Data Augmentation Perspective*:
/// the mixed view is labelled by the teacher alone. The reference experiments use 0.1, 0.9 and 0.9, so the weights of the divergence sum to 1.8.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ViewPlan {
    /// Softens both distributions. Default 4.
    pub temperature: f64,
    /// Whether the divergence is multiplied by the temperature squared, which keeps the size of its gradient. Default
    /// true.
    pub tau_squared: bool,
    /// How the divergences of the views are put together.
    pub reduction: ViewReduction,
    /// The batch after its image operations.
    pub original: OriginalView,
    /// The original view, mixed. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixed: Option<MixedView>,
}

/// How the divergences of the views are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewReduction {
    /// Each view's weight as it stands, as in the reference experiments.
    #[default]
    Sum,
    /// Each view's weight divided by the number of views.
    Mean,
}

/// The batch after its image operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OriginalView {
    /// Operations on each image. A mix has its place in the mixed view, where the teacher labels it.
    pub augmentation: Augmentation,
    /// Weight of the cross-entropy with the labels. Default 0.1.
    pub ce: f64,
    /// Weight of the divergence from the teacher. Default 0.9.
    pub kl: f64,
}

/// The original view, mixed: either one mix of the batch, or the best of a pool of mixes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MixedView {
    /// How pairs are mixed. Default: CutMix.
    pub mix: Mix,
    /// For whom the parameters of the mix are drawn.
    pub sharing: ParamSharing,
    /// Several mixes, of which the best are picked. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// Weight of the divergence from the teacher. Default 0.9.
    pub kl: f64,
}

impl Default for ViewPlan {
    fn default() -> Self {
        Self {
            temperature: 4.0,
            tau_squared: true,
            reduction: ViewReduction::Sum,
            original: OriginalView::default(),
            mixed: None,
        }
    }
}

impl Default for OriginalView {
    fn default() -> Self {
        Self {
            augmentation: Augmentation::crop_flip(4),
            ce: 0.1,
            kl: 0.9,
        }
    }
}

impl Default for MixedView {
    fn default() -> Self {
        Self {
            mix: CutMix::default().into(),
            sharing: ParamSharing::default(),
            pool: None,
            kl: 0.9,
        }
    }
}

/// The weights that the terms of the loss have in the sum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Of the cross-entropy on the original view.
    pub ce: f64,
    /// Of the divergence on the original view.
    pub kl: f64,
    /// Of the divergence on the mixed view.
    pub kl_mixed: f64,
}

impl ViewPlan {
    /// The weights after the [reduction](ViewReduction).
    pub fn weights(&self) -> Weights {
        let mixed = self.mixed.as_ref().map_or(0.0, |mixed| mixed.kl);
        let views = 1.0 + f64::from(u8::from(self.mixed.is_some()));
        let share = match self.reduction {
            ViewReduction::Sum => 1.0,
            ViewReduction::Mean => 1.0 / views,
        };
        Weights {
            ce: self.original.ce,
            kl: self.original.kl * share,
            kl_mixed: mixed * share,
        }
    }

    /// Whether any term asks a teacher.
    pub fn needs_teacher(&self) -> bool {
        let Weights { kl, kl_mixed, .. } = self.weights();
        kl > 0.0 || kl_mixed > 0.0
    }

    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let refuse = |place: &str, reason: String| {
            Err(TrainError::Recipe {
                place: place.to_string(),
                reason,
            })
        };
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            let reason = format!("is {}, expected a positive number", self.temperature);
            return refuse("views.temperature", reason);
        }
        let mixed = self.mixed.as_ref().map_or(0.0, |mixed| mixed.kl);
        let weights = [
            ("views.original.ce", self.original.ce),
            ("views.original.kl", self.original.kl),
            ("views.mixed.kl", mixed),
        ];
        for (key, weight) in weights {
            if !(weight.is_finite() && weight >= 0.0) {
                let reason = format!("is {weight}, expected 0 or a positive number");
                return refuse(key, reason);
            }
        }
        if weights.iter().all(|(_, weight)| *weight == 0.0) {
            let reason = "every weight is 0, expected at least one positive".into();
            return refuse("views", reason);
        }
        if self.original.augmentation.mix.is_some() {
            let reason =
                "has a mix, expected image operations alone; a mix belongs to `views.mixed`";
            return refuse("views.original.augmentation", reason.into());
        }
        if let Err(error) = self.original.augmentation.build() {
            return refuse("views.original.augmentation", error.to_string());
        }
        if let Some(mixed) = &self.mixed {
            if let Err(error) = kd_augment::Mixer::new(mixed.mix, mixed.sharing) {
                return refuse("views.mixed.mix", error.to_string());
            }
            if let Some(Err(error)) = mixed.pool.as_ref().map(Pool::check) {
                return refuse("views.mixed.pool", error.to_string());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_weighs_the_divergence_with_1_8_in_sum_and_the_mean_with_half_of_it() {
        let mut plan = ViewPlan {
            mixed: Some(MixedView::default()),
            ..ViewPlan::default()
        };
        let sum = plan.weights();
        assert_eq!((sum.ce, sum.kl + sum.kl_mixed), (0.1, 1.8));
        plan.reduction = ViewReduction::Mean;
        let mean = plan.weights();
        assert_eq!((mean.ce, mean.kl, mean.kl_mixed), (0.1, 0.45, 0.45));
    }
}
