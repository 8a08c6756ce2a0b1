//! Who answers for the teacher: a network, several that speak with one voice, or a recording.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use kd_models::{Features, Heads, InputSpec};
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::modules::hex;
use crate::network::Frozen;
use crate::pixels::rows;
use crate::recipe::Teachers;
use crate::recording::{Question, Recording};

/// Who answers for the teacher. A recording is asked first.
#[derive(Clone, Copy)]
pub(crate) struct Voice<'a> {
    pub(crate) network: Option<&'a dyn Frozen>,
    pub(crate) recording: Option<&'a Recording>,
}

impl Voice<'_> {
    fn network(&self) -> Result<&dyn Frozen, TrainError> {
        self.network.ok_or(TrainError::NoTeacher)
    }

    /// Returns the logits of the images, which are made only if the network must be asked. `count`
    /// grows by those that it was asked about.
    pub(crate) fn logits(
        &self,
        question: &Question<'_>,
        images: impl FnOnce() -> Result<Tensor<4>, TrainError>,
        device: &Device,
        count: &mut u64,
    ) -> Result<Tensor<2>, TrainError> {
        if let Some(recording) = self.recording
            && let Some(known) = recording.known(question)?
        {
            return Ok(as_recorded(question, &known, device));
        }
        let images = images()?;
        *count += images.dims()[0] as u64;
        let network = self.network()?;
        let logits = network.logits(images);
        match (self.recording, network.failure()) {
            // What a teacher answers that has failed is neither learnt from nor recorded.
            (_, Some(failure)) => Err(failure),
            (None, None) => Ok(logits),
            (Some(recording), None) => {
                let kept = recording.keep(question, logits)?;
                Ok(as_recorded(question, &kept, device))
            }
        }
    }

    /// Returns maps, embedding and logits of the images. A recording holds the logits alone, so the
    /// network is asked in any case.
    pub(crate) fn features(
        &self,
        question: &Question<'_>,
        images: Tensor<4>,
        device: &Device,
        count: &mut u64,
    ) -> Result<Features, TrainError> {
        let mut features = self.unrecorded(images, count)?;
        if let Some(recording) = self.recording {
            let kept = match recording.known(question)? {
                Some(known) => known,
                None => recording.keep(question, features.logits)?,
            };
            features.logits = as_recorded(question, &kept, device);
        }
        Ok(features)
    }

    /// Returns maps, embedding and logits of images that no question of a recording names.
    pub(crate) fn unrecorded(
        &self,
        images: Tensor<4>,
        count: &mut u64,
    ) -> Result<Features, TrainError> {
        *count += images.dims()[0] as u64;
        Ok(self.network()?.features(images))
    }
}

fn as_recorded(question: &Question<'_>, logits: &[f32], device: &Device) -> Tensor<2> {
    let count = question.copies as usize * question.ids.len();
    rows(logits, logits.len() / count.max(1), device)
}

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
