use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The loss of a step, or its mean over an epoch, with each of its terms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Values<T = f32> {
    /// The weighted sum.
    pub loss: T,
    /// Each term, not weighted, by its name. Of several networks, term `kl` of network 1 is `kl.1`; a
    /// loss of a term's own layers is `term.name`. A term whose weight is 0 in this epoch is absent.
    #[serde(flatten)]
    pub terms: BTreeMap<String, T>,
}

impl Values {
    /// Returns the first value that is not finite, a term before the sum.
    pub fn non_finite(&self) -> Option<(&str, f32)> {
        let terms = self.terms.iter().map(|(name, value)| (&name[..], *value));
        let mut all = terms.chain([("loss", self.loss)]);
        all.find(|(_, value)| !value.is_finite())
    }
}

/// Running sums of the terms, weighted by images, in the order of the steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    images: u64,
    sums: Values<f64>,
}

impl Sums {
    pub(crate) fn add(&mut self, values: &Values, images: usize) {
        let weight = images as f64;
        self.images += images as u64;
        self.sums.loss += weight * f64::from(values.loss);
        for (name, value) in &values.terms {
            let sum = self.sums.terms.entry(name.clone()).or_default();
            *sum += weight * f64::from(*value);
        }
    }

    pub(crate) fn mean(&self) -> Values<f64> {
        let share = |sum: f64| sum / self.images.max(1) as f64;
        let terms = self.sums.terms.iter();
        Values {
            loss: share(self.sums.loss),
            terms: terms
                .map(|(name, sum)| (name.clone(), share(*sum)))
                .collect(),
        }
    }
}
