//! Several teachers, which speak with one voice.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use kd_models::{Features, Heads, InputSpec};
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::modules::hex;
use crate::network::Frozen;
use crate::recipe::Teachers;

/// Two teachers or more.
pub(crate) struct Ensemble {
    pub(crate) members: Vec<Box<dyn Frozen>>,
    pub(crate) say: Teachers,
}

impl Frozen for Ensemble {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let share = 1.0 / self.members.len() as f64;
        let answers = self.members.iter().map(|member| {
            let logits = member.logits(images.clone());
            let said = match self.say {
                Teachers::MeanLogits => logits,
                Teachers::MeanProbabilities => softmax(logits, 1),
            };
            said.mul_scalar(share)
        });
        let mean = answers.reduce(|sum, answer| sum + answer);
        match (mean, self.say) {
            (Some(mean), Teachers::MeanLogits) => mean,
            // A probability of 0 has no logarithm: the smallest number of single precision.
            (Some(mean), Teachers::MeanProbabilities) => {
                mean.clamp_min(f64::from(f32::MIN_POSITIVE)).log()
            }
            (None, _) => unreachable!("an ensemble has two members or more"),
        }
    }

    /// The logits alone: the maps of several networks are not one.
    fn features(&self, images: Tensor<4>) -> Features {
        Features::new(self.logits(images))
    }

    fn heads(&self, images: Tensor<4>) -> Heads {
        self.features(images).into()
    }

    fn input_spec(&self) -> &InputSpec {
        self.members[0].input_spec()
    }

    fn fingerprint(&self) -> String {
        let members = self.members.iter().map(|member| member.fingerprint());
        let all = format!("{:?} {}", self.say, members.collect::<Vec<_>>().join(" "));
        hex(&Sha256::digest(all))
    }

    fn failure(&self) -> Option<TrainError> {
        self.members.iter().find_map(|member| member.failure())
    }
}
