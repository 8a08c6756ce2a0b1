//! Losses of the logits of a student and the teacher: a number for each peer, without parts.

use kd_core::{
    DistLossConfig, DkdLossConfig, JsLossConfig, KlLossConfig, LogitMseLossConfig,
    ReverseKlLossConfig, TfKdSelfLossConfig,
};
use kd_models::Features;

use crate::TrainError;
use crate::term::{LabelKind, Losses, NoParts, Reads, Setting, Step, Term};

/// A configuration of kd-core whose `init` checks it, and whose loss takes student and teacher.
macro_rules! of_logits {
    ($name:literal, $config:ty) => {
        impl Term for $config {
            const NAME: &'static str = $name;
            type Parts = NoParts;
            type Update = ();

            fn defaults() -> Self {
                Self::new()
            }

            fn reads(&self) -> Vec<Reads> {
                vec![Reads::TEACHER]
            }

            fn init(&self, _: &Setting<'_>) -> Result<NoParts, TrainError> {
                self.init()?;
                Ok(NoParts::default())
            }

            fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
                let (loss, seen) = (self.init()?, step.view(0));
                let teacher = &seen.teacher()?.logits;
                let of = |student: &Features| loss.forward(student.logits.clone(), teacher.clone());
                Ok((Losses::of_peers(seen.peers().iter().map(of)), ()))
            }
        }
    };
}

of_logits!("kl", KlLossConfig);
of_logits!("dist", DistLossConfig);
of_logits!("js", JsLossConfig);
of_logits!("reverse_kl", ReverseKlLossConfig);

impl Term for LogitMseLossConfig {
    const NAME: &'static str = "mse_logits";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self::new()
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::TEACHER]
    }

    fn init(&self, _: &Setting<'_>) -> Result<NoParts, TrainError> {
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let (loss, seen) = (self.init(), step.view(0));
        let teacher = &seen.teacher()?.logits;
        let of = |student: &Features| loss.forward(student.logits.clone(), teacher.clone());
        Ok((Losses::of_peers(seen.peers().iter().map(of)), ()))
    }
}

/// A configuration of kd-core whose loss takes student, teacher and one label an image.
macro_rules! of_logits_and_labels {
    ($name:literal, $config:ty) => {
        impl Term for $config {
            const NAME: &'static str = $name;
            type Parts = NoParts;
            type Update = ();

            fn defaults() -> Self {
                Self::new()
            }

            fn reads(&self) -> Vec<Reads> {
                vec![Reads {
                    labels: LabelKind::Hard,
                    ..Reads::TEACHER
                }]
            }

            fn init(&self, _: &Setting<'_>) -> Result<NoParts, TrainError> {
                self.init()?;
                Ok(NoParts::default())
            }

            fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
                let (loss, seen) = (self.init()?, step.view(0));
                let (teacher, labels) = (&seen.teacher()?.logits, seen.hard_labels()?);
                let of = |student: &Features| {
                    loss.forward(student.logits.clone(), teacher.clone(), labels.clone())
                };
                Ok((Losses::of_peers(seen.peers().iter().map(of)), ()))
            }
        }
    };
}

of_logits_and_labels!("dkd", DkdLossConfig);
// The teacher is a copy of the student that was trained before.
of_logits_and_labels!("tf_kd_self", TfKdSelfLossConfig);
