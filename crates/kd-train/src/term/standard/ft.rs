use burn::module::Module;
use burn::tensor::Tensor;
use kd_core::{
    FtFactor, FtLossConfig, Paraphraser, ParaphraserConfig, Translator, TranslatorConfig,
};
use serde::{Deserialize, Serialize};

use super::pairs::{NO_STAGES, seed};
use crate::TrainError;
use crate::recipe::boundary;
use crate::term::{Ask, Losses, Reads, Setting, Step, Term};

/// `ft`: factors of the maps of the last stage. In the first share of the run, `pretrain`, the
/// paraphraser of the teacher's map is trained alone (its loss is `paraphraser`, of weight 1, and the
/// networks do not pass); in the rest, the networks and their translators.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ft {
    /// Channels of a factor, as a share of those of the teacher's map.
    pub rate: f64,
    /// What of the factors is compared.
    pub factor: FtFactor,
    /// The share of the run in which the paraphraser is trained, in [0, 1).
    pub pretrain: f64,
}

/// Layers of the teacher and of each peer.
#[derive(Module, Debug)]
pub struct FtParts {
    paraphraser: Paraphraser,
    translators: Vec<Translator>,
}

impl Ft {
    fn pretrains(&self, epoch: usize, epochs: usize) -> bool {
        epoch < boundary(self.pretrain, epochs)
    }
}

impl Term for Ft {
    const NAME: &'static str = "ft";
    type Parts = FtParts;
    type Update = ();

    fn defaults() -> Self {
        Self {
            rate: ParaphraserConfig::new(1).rate,
            factor: FtLossConfig::new().factor,
            pretrain: 0.111,
        }
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::FEATURES]
    }

    fn reads_at(&self, epoch: usize, epochs: usize) -> Vec<Reads> {
        match self.pretrains(epoch, epochs) {
            true => vec![Reads {
                networks: Ask::Never,
                ..Reads::FEATURES
            }],
            false => self.reads(),
        }
    }

    fn init(&self, setting: &Setting<'_>) -> Result<FtParts, TrainError> {
        if !(0.0..1.0).contains(&self.pretrain) {
            return Err(TrainError::Recipe {
                place: "pretrain".into(),
                reason: format!("is {}, expected a share in [0, 1)", self.pretrain),
            });
        }
        let pairs = setting.stages()?;
        let last = pairs.iter().filter_map(|pairs| pairs.last());
        let translators = last.enumerate().map(|(number, [student, teacher])| {
            let config = TranslatorConfig::new(student[0], teacher[0])
                .with_rate(self.rate)
                .with_seed(seed(setting, number));
            Ok(config.init(&setting.device)?)
        });
        let translators = translators.collect::<Result<_, TrainError>>()?;
        let teacher = setting
            .teacher
            .as_ref()
            .and_then(|teacher| teacher.stages.last());
        let config = ParaphraserConfig::new(teacher.ok_or(NO_STAGES)?[0])
            .with_rate(self.rate)
            .with_seed(setting.seed);
        Ok(FtParts {
            paraphraser: config.init(&setting.device)?,
            translators,
        })
    }

    fn losses(&self, parts: &FtParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let seen = step.view(0);
        let teacher = seen.teacher()?.stages.last().ok_or(NO_STAGES)?;
        if self.pretrains(step.epoch, step.epochs) {
            let map = Tensor::from_inner(teacher.clone());
            let loss = parts.paraphraser.reconstruction_loss(map);
            return Ok((Losses::of_peers([]).with_own("paraphraser", loss), ()));
        }
        let loss = FtLossConfig::new().with_factor(self.factor).init();
        let factor = parts.paraphraser.valid().forward(teacher.clone());
        let losses = parts.translators.iter().zip(seen.peers());
        let losses = losses.map(|(translator, student)| {
            let map = student.stages.last().ok_or(NO_STAGES)?;
            Ok(loss.forward(translator.forward(map.clone()), factor.clone()))
        });
        let losses = losses.collect::<Result<Vec<_>, TrainError>>()?;
        Ok((Losses::of_peers(losses), ()))
    }
}
