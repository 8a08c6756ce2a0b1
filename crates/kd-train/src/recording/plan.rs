//! What a run asks its teacher for logits, known before it begins.

use std::collections::BTreeMap;

use kd_data::ImageSet;
use serde_json::Value;

use super::RecordAs;
use super::format::{AskedView, Header, Key};
use crate::TrainError;
use crate::recipe::Recipe;
use crate::step::needs;
use crate::term::{Depth, Terms};
use crate::view;

/// Every question of a run.
pub(crate) struct Plan {
    pub(crate) header: Header,
    /// The views that are asked about, for each epoch.
    epochs: Vec<Vec<String>>,
}

impl Plan {
    /// Plans the run of a recipe, which is the one for this data.
    pub(crate) fn new(
        recipe: &Recipe,
        terms: &Terms,
        set: &ImageSet,
        teacher: String,
        record_as: RecordAs,
    ) -> Result<Self, TrainError> {
        if u32::try_from(set.len()).is_err() {
            return Err(TrainError::Recipe {
                place: "the training set".into(),
                reason: format!(
                    "has {} images, and a recording numbers at most {}",
                    set.len(),
                    u32::MAX
                ),
            });
        }
        let epochs = (0..recipe.epochs).map(|epoch| asked(recipe, terms, epoch));
        let epochs: Vec<Vec<String>> = epochs.collect::<Result<_, _>>()?;
        let mut views = BTreeMap::new();
        for name in epochs.iter().flatten() {
            if !views.contains_key(name) {
                views.insert(name.clone(), asked_view(recipe, name)?);
            }
        }
        Ok(Self {
            header: Header {
                record_as,
                classes: set.classes(),
                images: set.len(),
                teacher,
                training_set: set.fingerprint(),
                seed: recipe.seed,
                batch_size: recipe.batch_size,
                views,
            },
            epochs,
        })
    }

    /// Whether the teacher is asked nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.header.views.is_empty()
    }

    pub(crate) fn epochs(&self) -> usize {
        self.epochs.len()
    }

    fn steps(&self) -> usize {
        self.header.images.div_ceil(self.header.batch_size)
    }

    /// The questions before `end`, an epoch and a step in it, each with its copies and images.
    pub(super) fn keys(&self, end: [usize; 2]) -> impl Iterator<Item = (Key, u32, u32)> {
        let epochs = self.epochs.iter().enumerate();
        let steps = epochs
            .flat_map(|(epoch, views)| (0..self.steps()).map(move |step| ([epoch, step], views)));
        let steps = steps.take_while(move |(at, _)| *at < end);
        steps.flat_map(move |([epoch, step], views)| {
            let begin = step * self.header.batch_size;
            let count = self.header.batch_size.min(self.header.images - begin);
            views.iter().map(move |name| {
                let view = &self.header.views[name];
                let key = Key {
                    epoch: epoch as u64,
                    step: step as u64,
                    view: view.number,
                };
                (key, view.copies, count as u32)
            })
        })
    }

    /// Bytes of the file when the run is complete.
    pub(crate) fn bytes(&self) -> u64 {
        let blocks = self.keys([self.epochs(), 0]);
        let blocks = blocks.map(|(_, copies, count)| self.header.block_bytes(copies, count));
        let begin = self.header.to_bytes().len() as u64;
        blocks.fold(begin, u64::saturating_add)
    }
}

/// The views of an epoch that the teacher gives logits for.
fn asked(recipe: &Recipe, terms: &Terms, epoch: usize) -> Result<Vec<String>, TrainError> {
    let mut reads = Vec::new();
    for (name, term) in &recipe.terms {
        if term.weight_at(epoch, recipe.epochs) > 0.0 {
            let of_loss = terms.reads_at(&term.loss, &term.settings, [epoch, recipe.epochs]);
            let of_loss = of_loss.map_err(|reason| TrainError::Recipe {
                place: format!("terms.{name}"),
                reason,
            })?;
            reads.push((&term.on[..], of_loss));
        }
    }
    let needs = needs(reads);
    let made = view::order(&recipe.views, needs.keys().map(String::as_str))?;
    let asked = made.into_iter().filter(|name| {
        let read = needs
            .get(*name)
            .map_or(Depth::Nothing, |needs| needs.teacher);
        recipe.views[*name].pool.is_some() || read > Depth::Nothing
    });
    Ok(asked.map(str::to_string).collect())
}

fn asked_view(recipe: &Recipe, name: &str) -> Result<AskedView, TrainError> {
    let line = view::line(&recipe.views, name)?;
    let picked = line[1..]
        .iter()
        .find(|of| recipe.views[**of].pool.is_some());
    if let Some(picked) = picked {
        return Err(TrainError::Recipe {
            place: format!("views.{name}"),
            reason: format!(
                "is made of `{picked}`, whose images are picked, and the teacher is asked about \
                 them: which ones depends on the student, so they cannot be recorded or replayed"
            ),
        });
    }
    let made = line.iter().map(|name| {
        let view = serde_json::to_value(&recipe.views[*name]);
        let mut view = view.map_err(|e| TrainError::Recipe {
            place: format!("views.{name}"),
            reason: e.to_string(),
        })?;
        if let Value::Object(keys) = &mut view {
            // The teacher is asked for all candidates, whoever picks, and sees no labels. A view
            // that it is asked about has one network's draws.
            keys.retain(|key, _| !matches!(key.as_str(), "pool" | "labels" | "draws"));
        }
        Ok(view)
    });
    let pool = recipe.views[name].pool.as_ref();
    Ok(AskedView {
        number: view::number(name),
        copies: pool.map_or(1, |pool| pool.copies as u32),
        made: made.collect::<Result<_, TrainError>>()?,
    })
}

/// Refuses terms that read more of the teacher than its logits.
pub(crate) fn refuse_features(recipe: &Recipe, terms: &Terms) -> Result<(), TrainError> {
    for (name, term) in recipe.terms.iter().filter(|(_, term)| term.weight > 0.0) {
        let place = format!("terms.{name}");
        let reads = terms.reads(&term.loss, &term.settings);
        let reads = reads.map_err(|reason| TrainError::Recipe {
            place: place.clone(),
            reason,
        })?;
        if reads.iter().any(|reads| reads.teacher >= Depth::Features) {
            return Err(TrainError::Recipe {
                place,
                reason: format!(
                    "`{}` reads the maps or the embedding of the teacher, and a recording holds \
                     its logits alone; run it with the teacher, or leave the term out",
                    term.loss
                ),
            });
        }
    }
    Ok(())
}
