//! Recording and replaying, as a run is told to.

use std::path::PathBuf;

use kd_data::ImageSet;

use super::{Blocks, Plan, RecordAs, Recording, refuse_features};
use crate::recipe::Recipe;
use crate::{Distiller, TrainError};

impl Distiller {
    /// Records the logits that the teacher gives in this file. What the file holds already is taken
    /// from it, so a run that was interrupted goes on with its recording, and a longer run extends
    /// that of a shorter one; a file of another teacher, other data, another seed, batch size or
    /// views is refused.
    ///
    /// The run learns from the logits as they are recorded, as every replay will. Of a pool all
    /// candidates are recorded, also where the teacher would be asked only about those that are
    /// picked.
    pub fn with_recording(mut self, path: impl Into<PathBuf>, record_as: RecordAs) -> Self {
        self.record = Some((path.into(), record_as));
        self
    }

    /// Learns from the logits in this file, which [`Distiller::with_recording`] wrote, in place of a
    /// teacher. Student, peers, losses, temperatures, optimiser and the criterion of a pool may be
    /// others; the seed of the recipe, its batch size and the views that are asked about must be
    /// those of the recording. A recipe with losses of features is refused, since the file holds
    /// logits alone.
    ///
    /// A teacher that is given as well is asked nothing; the recording must be its own.
    pub fn with_replay(mut self, path: impl Into<PathBuf>) -> Self {
        self.replay = Some(path.into());
        self
    }

    /// Returns how many bytes the recording of a run over this set has when it is complete.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] if the teacher is asked nothing, or its answers cannot be recorded.
    pub fn recording_bytes(
        &self,
        train_set: &ImageSet,
        record_as: RecordAs,
    ) -> Result<u64, TrainError> {
        let recipe = self.recipe.for_data(train_set);
        // All fingerprints are of one length.
        let teacher = self.teacher().map(|teacher| teacher.fingerprint());
        let teacher = teacher.unwrap_or("0".repeat(64));
        Ok(self.plan(&recipe, train_set, teacher, record_as)?.bytes())
    }

    /// What there is to record.
    pub(crate) fn plan(
        &self,
        recipe: &Recipe,
        train_set: &ImageSet,
        teacher: String,
        record_as: RecordAs,
    ) -> Result<Plan, TrainError> {
        record_as.check(train_set.classes())?;
        let plan = Plan::new(recipe, &self.terms, train_set, teacher, record_as)?;
        match plan.is_empty() {
            false => Ok(plan),
            true => Err(TrainError::Recipe {
                place: "terms".into(),
                reason: "ask the teacher nothing, so there is nothing to record".into(),
            }),
        }
    }

    /// The recording that answers for the teacher.
    pub(crate) fn replayed(
        &self,
        recipe: &Recipe,
        train_set: &ImageSet,
        teacher: Option<&str>,
    ) -> Result<Option<(Recording, Plan)>, TrainError> {
        let Some(path) = &self.replay else {
            return Ok(None);
        };
        refuse_features(recipe, &self.terms)?;
        // Of no teacher: the file may be any one's.
        let teacher = teacher.unwrap_or_default().to_string();
        let record_as = RecordAs::default();
        let mut plan = Plan::new(recipe, &self.terms, train_set, teacher, record_as)?;
        let blocks = Blocks::replay(path, &mut plan)?;
        Ok(Some((Recording::Replayed(blocks), plan)))
    }

    /// Names whom the student learns from: the teacher, and how its answers come if they are not its
    /// own to the bit.
    pub(crate) fn heard(
        &self,
        replay: Option<&(Recording, Plan)>,
        teacher: Option<String>,
    ) -> Option<String> {
        let (teacher, record_as) = match (replay, &self.record) {
            (Some((Recording::Replayed(blocks), _)), _) => {
                (blocks.teacher().to_string(), blocks.record_as())
            }
            (_, Some((_, record_as))) => (teacher?, *record_as),
            _ => (teacher?, RecordAs::F32),
        };
        Some(match record_as {
            RecordAs::F32 => teacher,
            record_as => format!("{teacher} as {record_as}"),
        })
    }
}
