//! Losses of the logits of each peer, without parts: with the teacher's logits, with labels, or with
//! both.

use kd_core::{
    DistLossConfig, DkdLossConfig, JsLossConfig, KlLossConfig, LabelSmoothingLossConfig,
    LogitMseLossConfig, ReverseKlLossConfig, TfKdSelfLossConfig, TfKdVirtualLossConfig,
};
use kd_models::Features;

use crate::TrainError;
use crate::term::{LabelKind, Losses, NoParts, Reads, Setting, Step, Term};

/// One label an image.
const LABELS: Reads = Reads {
    labels: LabelKind::Hard,
    ..Reads::LABELS
};

/// The teacher's logits, and one label an image.
const BOTH: Reads = Reads {
    labels: LabelKind::Hard,
    ..Reads::TEACHER
};

/// Makes a configuration of kd-core a term: its name, what it reads, and which of that its loss takes
/// after the logits of a peer.
macro_rules! of_logits {
    ($name:literal, $config:ty, $reads:expr, |$seen:ident| $($argument:expr),+) => {
        impl Term for $config {
            const NAME: &'static str = $name;
            type Parts = NoParts;
            type Update = ();

            fn defaults() -> Self {
                Self::new()
            }

            fn reads(&self) -> Vec<Reads> {
                vec![$reads]
            }

            fn init(&self, _: &Setting<'_>) -> Result<NoParts, TrainError> {
                self.init()?;
                Ok(NoParts::default())
            }

            fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
                let (loss, $seen) = (self.init()?, step.view(0));
                let of = |peer: &Features| {
                    Ok(loss.forward(peer.logits.clone(), $($argument.clone()),+))
                };
                let losses = $seen.peers().iter().map(of);
                let losses = losses.collect::<Result<Vec<_>, TrainError>>()?;
                Ok((Losses::of_peers(losses), ()))
            }
        }
    };
}

of_logits!("kl", KlLossConfig, Reads::TEACHER, |seen| seen
    .teacher_logits()?);
of_logits!("dist", DistLossConfig, Reads::TEACHER, |seen| seen
    .teacher_logits()?);
of_logits!("js", JsLossConfig, Reads::TEACHER, |seen| seen
    .teacher_logits()?);
of_logits!("reverse_kl", ReverseKlLossConfig, Reads::TEACHER, |seen| {
    seen.teacher_logits()?
});
of_logits!(
    "dkd",
    DkdLossConfig,
    BOTH,
    |seen| seen.teacher_logits()?,
    seen.hard_labels()?
);
// The teacher is a copy of the student that was trained before.
of_logits!(
    "tf_kd_self",
    TfKdSelfLossConfig,
    BOTH,
    |seen| seen.teacher_logits()?,
    seen.hard_labels()?
);
of_logits!(
    "label_smoothing",
    LabelSmoothingLossConfig,
    LABELS,
    |seen| seen.hard_labels()?
);
of_logits!("tf_kd_virtual", TfKdVirtualLossConfig, LABELS, |seen| seen
    .hard_labels()?);

/// Its configuration has no value out of range, so making the loss does not fail.
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
