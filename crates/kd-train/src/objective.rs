use std::any::Any;
use std::collections::BTreeMap;

use burn::optim::ModuleOptimizer;
use burn::tensor::{Gradients, Tensor};

use crate::TrainError;
use crate::dry_run::Reading;
use crate::gradients::Trainable;
use crate::recipe::{Recipe, TermRecipe};
use crate::step::{Needs, needs};
use crate::term::{Part, Seen, Setting, Step, Terms};
use crate::values::Values;

/// The terms of a recipe with their parts: the loss of a step, for runs and for loops of your own.
pub struct Objective {
    terms: Vec<Placed>,
    epochs: usize,
}

/// A term of a recipe.
struct Placed {
    name: String,
    part: Box<dyn Part>,
    recipe: TermRecipe,
}

/// The loss of a step. Nothing has been changed by it yet.
pub struct Loss {
    /// The weighted sum, with the graph behind it: `[1]`.
    pub total: Tensor<1>,
    /// Every term on the host.
    pub values: Values,
    updates: Updates,
}

/// Losses with their names and weights.
type Weighted = Vec<(String, f64, Tensor<1>)>;
/// What terms leave to remember, by their places.
type Updates = Vec<(usize, Box<dyn Any>)>;

impl Objective {
    /// Makes the terms of a recipe.
    ///
    /// # Errors
    ///
    /// When a loss is unknown, or a value of a term is out of its range.
    pub fn new(recipe: &Recipe, terms: &Terms, setting: &Setting) -> Result<Self, TrainError> {
        let weighed = recipe.terms.iter().filter(|(_, term)| term.weight > 0.0);
        let placed = weighed.map(|(name, term)| {
            let made = terms.make(&term.loss, &term.settings, setting);
            Ok(Placed {
                name: name.clone(),
                part: made.map_err(|error| error.in_term(name))?,
                recipe: term.clone(),
            })
        });
        Ok(Self {
            terms: placed.collect::<Result<_, TrainError>>()?,
            epochs: recipe.epochs,
        })
    }

    /// Returns what the terms that have a weight in an epoch read of each view.
    pub(crate) fn needs(&self, epoch: usize) -> BTreeMap<String, Needs> {
        let terms = self.at(epoch).map(|(_, term, _)| {
            let reads = term.part.reads_at(epoch, self.epochs);
            (&term.recipe.on[..], reads)
        });
        needs(terms)
    }

    /// Returns who reads what in an epoch.
    pub(crate) fn reading(&self, epoch: usize) -> Reading {
        let terms = self.at(epoch);
        let terms = terms.map(|(_, term, _)| (term.name.clone(), term.recipe.on.clone()));
        (terms.collect(), self.needs(epoch))
    }

    /// The terms that have a weight in an epoch, with their places.
    fn at(&self, epoch: usize) -> impl Iterator<Item = (usize, &Placed, f64)> {
        let terms = self.terms.iter().enumerate();
        terms.filter_map(move |(place, term)| {
            let weight = term.recipe.weight_at(epoch, self.epochs);
            (weight > 0.0).then_some((place, term, weight))
        })
    }

    /// Computes the loss of a step on these views: of the epoch and the step in it, both from 0.
    /// Changes nothing.
    ///
    /// # Errors
    ///
    /// [`TrainError::Unread`] if a view lacks what a term reads of it, what a term reports, and
    /// [`TrainError::Device`] when the device could not compute the values.
    pub fn loss(
        &self,
        at: [usize; 2],
        ids: &[u64],
        views: &[(&str, &Seen)],
    ) -> Result<Loss, TrainError> {
        let (weighted, updates) = self.compute(at, ids, views)?;
        let (values, total) = read(weighted)?;
        Ok(Loss {
            total,
            values,
            updates,
        })
    }

    /// Computes each loss of a step apart, for sums of your own: its name as in [`Values`], its
    /// weight in the epoch, and the loss before it is weighted, with the graph behind it: `[1]`.
    /// What the step would leave to remember is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`Objective::loss`], except that nothing is read from the device.
    pub fn losses(
        &self,
        at: [usize; 2],
        ids: &[u64],
        views: &[(&str, &Seen)],
    ) -> Result<Vec<(String, f64, Tensor<1>)>, TrainError> {
        Ok(self.compute(at, ids, views)?.0)
    }

    fn compute(
        &self,
        [epoch, index]: [usize; 2],
        ids: &[u64],
        views: &[(&str, &Seen)],
    ) -> Result<(Weighted, Updates), TrainError> {
        let mut weighted = Vec::new();
        let mut updates = Vec::new();
        for (place, term, weight) in self.at(epoch) {
            let seen = term.recipe.on.iter().map(|on| {
                let view = views.iter().find(|(name, _)| name == on);
                view.map(|(_, seen)| *seen).ok_or(TrainError::Unread {
                    what: "a view that is not there",
                })
            });
            let step = Step {
                epoch,
                epochs: self.epochs,
                index,
                ids,
                views: seen.collect::<Result<_, _>>()?,
            };
            let found = term.part.losses(&step);
            let (losses, update) = found.map_err(|error| error.in_term(&term.name))?;
            let several = losses.peers.len() > 1;
            for (peer, loss) in losses.peers.into_iter().enumerate() {
                let name = match several {
                    true => format!("{}.{peer}", term.name),
                    false => term.name.clone(),
                };
                weighted.push((name, weight, loss));
            }
            for (own, loss) in losses.own {
                weighted.push((format!("{}.{own}", term.name), 1.0, loss));
            }
            updates.push((place, update));
        }
        Ok((weighted, updates))
    }

    /// Steps the parts of the terms, and takes in what the step left to remember. `gradients` are
    /// those of the loss's total; the parts take theirs out.
    pub fn accept(
        &mut self,
        loss: Loss,
        gradients: &mut Gradients,
        optimizer: &mut ModuleOptimizer,
        learning_rate: f64,
    ) {
        for term in &mut self.terms {
            let share = term.part.take(gradients);
            term.part.step(optimizer, learning_rate, share);
        }
        self.remember(loss);
    }

    /// Takes in what an accepted step left to remember.
    pub(crate) fn remember(&mut self, loss: Loss) {
        for (place, update) in loss.updates {
            self.terms[place].part.remember(update);
        }
    }

    /// The parts of every term, in the order of their names.
    pub(crate) fn trainable(&self) -> impl Iterator<Item = &dyn Trainable> {
        self.terms.iter().map(|term| &*term.part as &dyn Trainable)
    }

    pub(crate) fn trainable_mut(&mut self) -> impl Iterator<Item = &mut dyn Trainable> {
        let terms = self.terms.iter_mut();
        terms.map(|term| &mut *term.part as &mut dyn Trainable)
    }

    /// Returns the parts of a term in their own type, [`Term::Parts`](crate::Term::Parts).
    /// `None` if there is no such term, or its parts are of another type.
    pub fn parts_of<P: 'static>(&self, term: &str) -> Option<&P> {
        let term = self.terms.iter().find(|placed| placed.name == term)?;
        term.part.parts().downcast_ref()
    }

    /// Replaces the parts of a term, for example by ones with other weights. Returns whether there
    /// is such a term with parts of this type.
    pub fn map_parts<P: 'static>(&mut self, term: &str, map: impl FnOnce(P) -> P) -> bool {
        let placed = self.terms.iter_mut().find(|placed| placed.name == term);
        let parts = placed.and_then(|placed| placed.part.parts_mut().downcast_mut::<Option<P>>());
        let Some(parts) = parts else {
            return false;
        };
        *parts = parts.take().map(map);
        true
    }

    /// Takes the parts of every term out, each in its own type.
    pub(crate) fn into_parts(self) -> impl Iterator<Item = (String, Box<dyn Part>)> {
        self.terms.into_iter().map(|term| (term.name, term.part))
    }

    /// The parts that have something to record, by the names of their terms.
    pub(crate) fn parts(&mut self) -> impl Iterator<Item = (&str, &mut dyn Part)> {
        let terms = self.terms.iter_mut().filter(|term| term.part.has_record());
        terms.map(|term| (&term.name[..], &mut *term.part as &mut dyn Part))
    }

    /// The name of the first tensor of a part that contains NaN or infinity.
    pub(crate) fn not_finite(&self) -> Option<String> {
        self.terms.iter().find_map(|term| {
            let tensor = term.part.not_finite()?;
            Some(format!("terms.{}: {tensor}", term.name))
        })
    }
}

/// The weighted sum with its graph, and every value on the host: one transfer.
fn read(terms: Weighted) -> Result<(Values, Tensor<1>), TrainError> {
    let weighted = terms
        .iter()
        .map(|(_, weight, loss)| loss.clone().mul_scalar(*weight));
    let Some(total) = weighted.reduce(|sum, term| sum + term) else {
        return Err(TrainError::Recipe {
            place: "terms".into(),
            reason: "no term has a weight in this epoch, expected at least one".into(),
        });
    };
    let losses = terms.iter().map(|(.., loss)| loss.clone());
    let values = Tensor::cat(losses.chain([total.clone()]).collect(), 0)
        .without_autodiff()
        .try_into_data()
        .map_err(|e| TrainError::Device(e.to_string()))?
        .convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|e| TrainError::Device(e.to_string()))?;
    let loss = values.last().copied().unwrap_or(f32::NAN);
    let names = terms.into_iter().map(|(name, ..)| name);
    let terms = names.zip(values).collect();
    Ok((Values { loss, terms }, total))
}
