use kd_core::{AbLossConfig, Hint, HintConfig};

use super::pairs::{after_stem, seed, sum};
use crate::TrainError;
use crate::term::{Depth, Losses, Reads, Setting, Step, Term};

const NO_BOUNDARIES: TrainError = TrainError::Unread {
    what: "maps before their ReLU, which a network that is trained or the teacher does not give; \
           `Classifier::with_before_relu` lets one give them",
};

/// On the stages after the stem before their ReLU, the student's each brought to the teacher's shape
/// by a layer; the last stage has weight 1, and each one before it half the weight of its successor.
impl Term for AbLossConfig {
    const NAME: &'static str = "ab";
    /// For each peer, a layer for each stage.
    type Parts = Vec<Vec<Hint>>;
    type Update = ();

    fn defaults() -> Self {
        Self::new()
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads {
            teacher: Depth::BeforeRelu,
            ..Reads::FEATURES
        }]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<Self::Parts, TrainError> {
        self.init()?;
        let teacher = setting.teacher.as_ref().ok_or(NO_BOUNDARIES)?;
        let of = |(number, pairs): (usize, Vec<[[usize; 3]; 2]>)| {
            if pairs.is_empty() {
                return Err(NO_BOUNDARIES);
            }
            let pairs = pairs.into_iter().enumerate();
            let layers = pairs.map(|(stage, [student, teacher])| {
                let config = HintConfig::new(student, teacher)
                    .with_relu(false)
                    .with_seed(seed(setting, number).wrapping_add(stage as u64));
                Ok(config.init(&setting.device)?)
            });
            layers.collect()
        };
        let pairs = setting.peers.iter();
        let pairs = pairs.map(|peer| after_stem(&peer.before_relu, &teacher.before_relu));
        pairs.enumerate().map(of).collect()
    }

    fn losses(
        &self,
        layers: &Self::Parts,
        step: &Step<'_>,
    ) -> Result<(Losses, Self::Update), TrainError> {
        let (loss, seen) = (self.init()?, step.view(0));
        let teacher = seen.teacher()?;
        let losses = layers.iter().zip(seen.peers()).map(|(layers, student)| {
            let pairs = after_stem(&student.before_relu, &teacher.before_relu);
            let last = pairs.len() as i32 - 1;
            let pairs = pairs.into_iter().zip(layers).zip(0..);
            sum(pairs.map(|(([student, teacher], layer), stage)| {
                let weight = 2f64.powi(stage - last);
                let student = layer.forward(student);
                loss.forward(student, teacher).mul_scalar(weight)
            }))
        });
        let losses = losses.collect::<Result<Vec<_>, TrainError>>()?;
        Ok((Losses::of_peers(losses), ()))
    }
}
