use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::error::{CoreError, check_weight};
use crate::ramp::Ramp;

/// A term of a [`WeightedSum`]: its name, its weight and how the weight grows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The name, as logs have it.
    pub name: String,
    /// The weight at the end of the ramp, in [0, inf).
    pub weight: f64,
    /// How the weight grows. Default: constant.
    #[serde(default)]
    pub ramp: Ramp,
}

/// A loss of several named terms, each with a weight that may grow over the training.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kd_core::{Ramp, WeightedSum};
///
/// let sum = WeightedSum::new()
///     .with("ce", 1.0)?
///     .with_ramp("dkd", 1.0, Ramp::Linear { epochs: 20.0 })?;
///
/// let device = Device::flex();
/// let (ce, dkd) = (Tensor::from_data([2.0], &device), Tensor::from_data([4.0], &device));
/// let total = sum.at(5.0, [("ce", ce), ("dkd", dkd)])?;
/// assert_eq!(total.loss.clone().into_scalar::<f32>(), 2.0 + 0.25 * 4.0);
/// let values: Vec<_> = total.read().into_iter().map(|term| (term.name, term.weight, term.value)).collect();
/// assert_eq!(values, [("ce".to_string(), 1.0, 2.0), ("dkd".to_string(), 0.25, 4.0)]);
/// # Ok::<(), kd_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Term>", into = "Vec<Term>")]
pub struct WeightedSum {
    terms: Vec<Term>,
}

/// What a [`WeightedSum`] comes to in one step.
#[derive(Debug, Clone)]
pub struct Total {
    /// The weighted sum, with the graph behind it: `[1]`.
    pub loss: Tensor<1>,
    names: Vec<(String, f64)>,
    values: Tensor<1>,
}

/// A term of a [`Total`] on the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TermValue {
    /// The term's name.
    pub name: String,
    /// Its weight in this step.
    pub weight: f64,
    /// Its value, not weighted.
    pub value: f64,
}

impl TryFrom<Vec<Term>> for WeightedSum {
    type Error = CoreError;

    fn try_from(terms: Vec<Term>) -> Result<Self, CoreError> {
        terms.into_iter().try_fold(Self::new(), |sum, term| {
            sum.with_ramp(&term.name, term.weight, term.ramp)
        })
    }
}

impl From<WeightedSum> for Vec<Term> {
    fn from(sum: WeightedSum) -> Self {
        sum.terms
    }
}

impl WeightedSum {
    /// Without terms.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more term, of constant weight.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if the weight is negative or not finite, [`CoreError::Term`] if the name is taken.
    pub fn with(self, name: &str, weight: f64) -> Result<Self, CoreError> {
        self.with_ramp(name, weight, Ramp::Constant)
    }

    /// One more term, whose weight grows.
    ///
    /// # Errors
    ///
    /// As for [`with`](Self::with), and if the ramp's length is no number of epochs.
    pub fn with_ramp(mut self, name: &str, weight: f64, ramp: Ramp) -> Result<Self, CoreError> {
        if self.terms.iter().any(|term| term.name == name) {
            return Err(self.wrong(name, "is there already"));
        }
        ramp.check()?;
        self.terms.push(Term {
            name: name.to_string(),
            weight: check_weight("weight", weight)?,
            ramp,
        });
        Ok(self)
    }

    /// The terms, in the order in which they were added.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The weight of each term at an epoch (from 0; fractions are times within it).
    pub fn weights(&self, epoch: f64) -> impl Iterator<Item = (&str, f64)> {
        self.terms
            .iter()
            .map(move |term| (term.name.as_str(), term.weight * term.ramp.at(epoch)))
    }

    /// The sum at an epoch (from 0; fractions are times within it) of values given by name, in any order.
    ///
    /// A term whose weight is 0 is reported, and is no part of the graph: a value that is not finite does not reach the loss.
    /// (To save the work of computing it, ask [`weights`](Self::weights) first, and give a constant.)
    ///
    /// # Errors
    ///
    /// [`CoreError::Term`] if the sum has no terms, if one lacks its value, has two, or a value is for none.
    pub fn at<'a>(
        &self,
        epoch: f64,
        values: impl IntoIterator<Item = (&'a str, Tensor<1>)>,
    ) -> Result<Total, CoreError> {
        let mut given: Vec<Option<Tensor<1>>> = vec![None; self.terms.len()];
        for (name, value) in values {
            let place = self
                .terms
                .iter()
                .position(|term| term.name == name)
                .ok_or_else(|| self.wrong(name, "is not a term of the sum"))?;
            if given[place].replace(value).is_some() {
                return Err(self.wrong(name, "was given twice"));
            }
        }
        let mut loss: Option<Tensor<1>> = None;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for ((name, weight), value) in self.weights(epoch).zip(given) {
            let value = value.ok_or_else(|| self.wrong(name, "was not given"))?;
            values.push(value.clone().without_autodiff());
            names.push((name.to_string(), weight));
            let weighted = if weight == 0.0 {
                value.zeros_like()
            } else {
                value.mul_scalar(weight)
            };
            loss = Some(match loss {
                Some(loss) => loss + weighted,
                None => weighted,
            });
        }
        let loss = loss.ok_or_else(|| self.wrong("", "is missing"))?;
        Ok(Total {
            loss,
            names,
            values: Tensor::cat(values, 0),
        })
    }

    fn wrong(&self, name: &str, problem: &'static str) -> CoreError {
        let names: Vec<&str> = self.terms.iter().map(|term| term.name.as_str()).collect();
        CoreError::Term {
            name: name.to_string(),
            problem,
            expected: if names.is_empty() {
                "no terms".to_string()
            } else {
                names.join(", ")
            },
        }
    }
}

impl Total {
    /// The terms on the host, in the order of the sum: one transfer.
    ///
    /// # Panics
    ///
    /// If the device cannot be read.
    pub fn read(&self) -> Vec<TermValue> {
        let values: TensorData = self.values.clone().into_data();
        self.names
            .iter()
            .zip(values.iter::<f64>())
            .map(|((name, weight), value)| TermValue {
                name: name.clone(),
                weight: *weight,
                value,
            })
            .collect()
    }

    /// The first term whose value is not finite, if any: what to name when a run is stopped.
    pub fn non_finite(&self) -> Option<TermValue> {
        self.read().into_iter().find(|term| !term.value.is_finite())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::Device;

    fn number(value: f32) -> Tensor<1> {
        Tensor::from_data([value], &Device::flex())
    }

    fn sum() -> WeightedSum {
        WeightedSum::new()
            .with("ce", 0.5)
            .unwrap()
            .with_ramp("kl", 2.0, Ramp::Linear { epochs: 4.0 })
            .unwrap()
    }

    #[test]
    fn values_may_come_in_any_order() {
        let a = sum().at(1.0, [("ce", number(3.0)), ("kl", number(5.0))]);
        let b = sum().at(1.0, [("kl", number(5.0)), ("ce", number(3.0))]);
        for total in [a, b] {
            let total = total.unwrap();
            assert_eq!(
                total.loss.clone().into_scalar::<f32>(),
                0.5 * 3.0 + 0.5 * 5.0
            );
            assert_eq!(total.read()[1].name, "kl");
        }
    }

    #[test]
    fn the_gradient_is_weighted() {
        let device = Device::flex().autodiff();
        let x = Tensor::<1>::from_data([1.0], &device).require_grad();
        let total = sum()
            .at(2.0, [("ce", x.clone()), ("kl", x.clone() * x.clone())])
            .unwrap();
        let gradient = x.grad(&total.loss.backward()).unwrap();
        assert_eq!(gradient.into_scalar::<f32>(), 0.5 + 1.0 * 2.0);
    }

    #[test]
    fn a_term_without_weight_does_not_reach_the_loss() {
        let total = sum()
            .at(0.0, [("ce", number(3.0)), ("kl", number(f32::NAN))])
            .unwrap();
        assert_eq!(total.loss.clone().into_scalar::<f32>(), 1.5);
        let named = total.non_finite().unwrap();
        assert_eq!((named.name.as_str(), named.weight), ("kl", 0.0));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let message =
            |values: Vec<(&'static str, Tensor<1>)>| sum().at(0.0, values).unwrap_err().to_string();
        assert_eq!(
            message(vec![("ce", number(1.0))]),
            r#"term "kl" was not given; the sum has ce, kl"#
        );
        assert_eq!(
            message(vec![("at", number(1.0))]),
            r#"term "at" is not a term of the sum; the sum has ce, kl"#
        );
        assert_eq!(
            message(vec![("ce", number(1.0)), ("ce", number(1.0))]),
            r#"term "ce" was given twice; the sum has ce, kl"#
        );
        assert!(sum().with("ce", 1.0).is_err());
        assert!(sum().with("at", -1.0).is_err());
        assert!(sum().with("at", f64::NAN).is_err());
        assert!(WeightedSum::new().at(0.0, []).is_err());
    }

    #[test]
    fn it_is_data() {
        let text = serde_json::to_string(&sum()).unwrap();
        assert_eq!(serde_json::from_str::<WeightedSum>(&text).unwrap(), sum());
        let short: WeightedSum =
            serde_json::from_str(r#"[{"name": "ce", "weight": 1.0}]"#).unwrap();
        assert_eq!(short.terms()[0].ramp, Ramp::Constant);
        for bad in [
            r#"[{"name": "ce", "weight": -1.0}]"#,
            r#"[{"name": "ce", "weight": 1.0}, {"name": "ce", "weight": 1.0}]"#,
            r#"[{"name": "ce", "weights": 1.0}]"#,
        ] {
            assert!(serde_json::from_str::<WeightedSum>(bad).is_err(), "{bad}");
        }
    }
}
