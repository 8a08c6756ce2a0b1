use serde::{Deserialize, Serialize};

use crate::error::{CoreError, check_weight};

/// How the weight of a term grows over the training: a factor in [0, 1] as a function of the epoch, as data.
///
/// ```
/// use kd_core::Ramp;
///
/// let ramp = Ramp::Linear { epochs: 20.0 };
/// assert_eq!([0.0, 10.0, 20.0, 99.0].map(|epoch| ramp.at(epoch)), [0.0, 0.5, 1.0, 1.0]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Ramp {
    /// 1 from the start.
    #[default]
    Constant,
    /// `epoch / epochs`, then 1: the warm-up of DKD (20 epochs).
    Linear {
        /// When 1 is reached.
        epochs: f64,
    },
    /// `exp(-5 (1 - epoch / epochs)^2)`, then 1: the ramp-up of ONE and OKDDip (80 epochs), after Laine and Aila (2017).
    Gaussian {
        /// When 1 is reached.
        epochs: f64,
    },
    /// `(1 - cos(pi epoch / epochs)) / 2`, then 1.
    Cosine {
        /// When 1 is reached.
        epochs: f64,
    },
    /// 0 before the epoch, 1 from it on: a term that joins later.
    Step {
        /// The first epoch of the term.
        epoch: f64,
    },
}

impl Ramp {
    /// The factor at an epoch, counted from 0; fractions are times within an epoch.
    pub fn at(&self, epoch: f64) -> f64 {
        let share = |epochs: f64| {
            if epoch >= epochs {
                1.0
            } else {
                epoch.max(0.0) / epochs
            }
        };
        match *self {
            Self::Constant => 1.0,
            Self::Linear { epochs } => share(epochs),
            Self::Gaussian { epochs } => (-5.0 * (1.0 - share(epochs)).powi(2)).exp(),
            Self::Cosine { epochs } => 0.5 * (1.0 - (std::f64::consts::PI * share(epochs)).cos()),
            Self::Step { epoch: first } => f64::from(u8::from(epoch >= first)),
        }
    }

    /// Checks that the length is a number of epochs.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if it is negative or not finite.
    pub fn check(&self) -> Result<(), CoreError> {
        match *self {
            Self::Constant => Ok(()),
            Self::Linear { epochs } | Self::Gaussian { epochs } | Self::Cosine { epochs } => {
                check_weight("epochs", epochs).map(drop)
            }
            Self::Step { epoch } => check_weight("epoch", epoch).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_ramp_rises_from_its_start_to_one_and_stays() {
        for (ramp, start) in [
            (Ramp::Linear { epochs: 8.0 }, 0.0),
            (Ramp::Gaussian { epochs: 8.0 }, (-5f64).exp()),
            (Ramp::Cosine { epochs: 8.0 }, 0.0),
            (Ramp::Step { epoch: 8.0 }, 0.0),
        ] {
            assert_eq!(ramp.at(0.0), start, "{ramp:?}");
            let values: Vec<f64> = (0..=100).map(|i| ramp.at(f64::from(i) / 10.0)).collect();
            assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "{ramp:?}");
            assert_eq!(ramp.at(8.0), 1.0);
            assert_eq!(ramp.at(1e9), 1.0);
        }
        assert_eq!(Ramp::Constant.at(0.0), 1.0);
    }

    #[test]
    fn a_ramp_of_no_length_is_constant() {
        for ramp in [
            Ramp::Linear { epochs: 0.0 },
            Ramp::Gaussian { epochs: 0.0 },
            Ramp::Cosine { epochs: 0.0 },
            Ramp::Step { epoch: 0.0 },
        ] {
            assert_eq!(ramp.at(0.0), 1.0, "{ramp:?}");
        }
    }

    #[test]
    fn the_gaussian_is_the_published_one() {
        // exp(-5 (1 - 40 / 80)^2)
        assert_eq!(Ramp::Gaussian { epochs: 80.0 }.at(40.0), (-1.25f64).exp());
    }

    #[test]
    fn it_is_data() {
        let ramp = Ramp::Gaussian { epochs: 80.0 };
        let text = serde_json::to_string(&ramp).unwrap();
        assert_eq!(text, r#"{"kind":"gaussian","epochs":80.0}"#);
        assert_eq!(serde_json::from_str::<Ramp>(&text).unwrap(), ramp);
        assert!(serde_json::from_str::<Ramp>(r#"{"kind":"linear","epoch":3}"#).is_err());
        for epochs in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(Ramp::Linear { epochs }.check().is_err(), "{epochs}");
        }
    }
}
