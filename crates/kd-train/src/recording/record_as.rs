//! How a row of logits is written.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use half::f16;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// How the logits of an image are recorded.
///
/// Written `f32`, `f16` or `top-K`, for example `top-10`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum RecordAs {
    /// Single precision: 4 bytes a class. Students are equal to the bit to those of a run without a
    /// recording.
    #[default]
    F32,
    /// Half precision: 2 bytes a class, three digits. A logit beyond 65,504 is refused.
    F16,
    /// The K largest logits in single precision with their classes, and the logarithm of the summed
    /// exponentials of the rest: `6 K + 4` bytes.
    ///
    /// A replay shares that sum evenly: each of the other `C - K` classes has the logit
    /// `ln(sum of exp(z) over the rest) - ln(C - K)`, or the smallest of the K if rounding would
    /// put it above. At temperature 1 the probabilities of the K classes, and the sum of those of the
    /// rest, are the teacher's. At a higher temperature the rest together get more than the
    /// teacher gave them, since an even share is the flattest.
    TopK(u16),
}

impl Display for RecordAs {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::F32 => f.write_str("f32"),
            Self::F16 => f.write_str("f16"),
            Self::TopK(kept) => write!(f, "top-{kept}"),
        }
    }
}

impl FromStr for RecordAs {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let kept = || name.strip_prefix("top-")?.parse::<u16>().ok();
        match name {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            _ => match kept() {
                Some(kept) if kept > 0 => Ok(Self::TopK(kept)),
                _ => Err(TrainError::Recipe {
                    place: "how logits are recorded".into(),
                    reason: format!(
                        "is `{name}`, expected f32, f16 or top-K, K a number from 1, for \
                         example top-10"
                    ),
                }),
            },
        }
    }
}

impl TryFrom<String> for RecordAs {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse().map_err(|error: TrainError| error.to_string())
    }
}

impl From<RecordAs> for String {
    fn from(record_as: RecordAs) -> Self {
        record_as.to_string()
    }
}

impl RecordAs {
    /// Checks what depends on the data.
    pub(crate) fn check(self, classes: usize) -> Result<(), TrainError> {
        match self {
            Self::TopK(kept) if kept == 0 || usize::from(kept) >= classes => {
                Err(TrainError::Recipe {
                    place: "how logits are recorded".into(),
                    reason: format!(
                        "is top-{kept}, and the data has {classes} classes; K is from 1 to {}, \
                         and f32 keeps all",
                        classes.saturating_sub(1)
                    ),
                })
            }
            _ => Ok(()),
        }
    }

    /// Bytes of a row.
    pub(super) fn row_bytes(self, classes: usize) -> u64 {
        match self {
            Self::F32 => 4 * classes as u64,
            Self::F16 => 2 * classes as u64,
            Self::TopK(kept) => 6 * u64::from(kept) + 4,
        }
    }

    /// Writes a row, whose logits are finite.
    pub(super) fn write(self, row: &[f32], out: &mut Vec<u8>) -> Result<(), f32> {
        match self {
            Self::F32 => row.iter().for_each(|z| out.extend(z.to_le_bytes())),
            Self::F16 => {
                for logit in row {
                    let half = f16::from_f32(*logit);
                    if !half.is_finite() {
                        return Err(*logit);
                    }
                    out.extend(half.to_le_bytes());
                }
            }
            Self::TopK(kept) => {
                let mut order: Vec<usize> = (0..row.len()).collect();
                // Of equal logits the first, so that a row is written in one way.
                order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
                let (kept, rest) = order.split_at(usize::from(kept).min(row.len()));
                for class in kept {
                    out.extend(row[*class].to_le_bytes());
                }
                let rest = log_sum_exp(rest.iter().map(|class| f64::from(row[*class])));
                out.extend((rest as f32).to_le_bytes());
                for class in kept {
                    out.extend((*class as u16).to_le_bytes());
                }
            }
        }
        Ok(())
    }

    /// Reads a row of [`RecordAs::row_bytes`] bytes. `None` if it names a class that is not there.
    pub(super) fn read(self, bytes: &[u8], classes: usize, out: &mut Vec<f32>) -> Option<()> {
        match self {
            Self::F32 => out.extend(bytes.chunks_exact(4).map(single)),
            Self::F16 => {
                let halves = bytes.chunks_exact(2);
                out.extend(halves.map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()));
            }
            Self::TopK(kept) => {
                let (logits, at) = bytes.split_at_checked(4 * usize::from(kept) + 4)?;
                let mut logits: Vec<f32> = logits.chunks_exact(4).map(single).collect();
                let rest = f64::from(logits.pop()?);
                let smallest = logits.last().copied()?;
                let others = classes.checked_sub(logits.len())?;
                let even = (rest - (others as f64).ln()) as f32;
                let begin = out.len();
                out.resize(begin + classes, even.min(smallest));
                for (logit, class) in logits.into_iter().zip(at.chunks_exact(2)) {
                    let class = usize::from(u16::from_le_bytes([class[0], class[1]]));
                    *out[begin..].get_mut(class)? = logit;
                }
            }
        }
        Some(())
    }
}

fn single(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn log_sum_exp(logits: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + logits.map(|z| (z - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ROW: [f32; 6] = [0.5, -1.25, 7.1, 2.0, -30.0, 2.0];

    fn there_and_back(record_as: RecordAs, row: &[f32]) -> Vec<f32> {
        let (mut bytes, mut read) = (Vec::new(), Vec::new());
        record_as.write(row, &mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, record_as.row_bytes(row.len()));
        record_as.read(&bytes, row.len(), &mut read).unwrap();
        read
    }

    fn probabilities(row: &[f32]) -> Vec<f64> {
        let all = log_sum_exp(row.iter().map(|z| f64::from(*z)));
        row.iter().map(|z| (f64::from(*z) - all).exp()).collect()
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["f32", "f16", "top-1", "top-10"] {
            assert_eq!(name.parse::<RecordAs>().unwrap().to_string(), name);
        }
        for name in [
            "",
            "f64",
            "top",
            "top-",
            "top-0",
            "top-x",
            "top-70000",
            "10",
        ] {
            let error = name.parse::<RecordAs>().unwrap_err().to_string();
            assert!(error.contains("expected f32, f16 or top-K"), "{error}");
        }
        assert!(RecordAs::TopK(9).check(10).is_ok());
        let error = RecordAs::TopK(10).check(10).unwrap_err().to_string();
        assert!(
            error.contains("top-10") && error.contains("1 to 9"),
            "{error}"
        );
    }

    #[test]
    fn single_precision_is_exact_and_half_is_near() {
        let bits = |row: &[f32]| row.iter().map(|z| z.to_bits()).collect::<Vec<_>>();
        let odd = [0.0, -0.0, f32::MIN_POSITIVE, 1e-40, f32::MAX];
        assert_eq!(bits(&there_and_back(RecordAs::F32, &odd)), bits(&odd));
        for (found, expected) in there_and_back(RecordAs::F16, &ROW).iter().zip(ROW) {
            assert!((found - expected).abs() <= expected.abs() / 2048.0);
        }
        let too_large = RecordAs::F16.write(&[1.0, 7e4], &mut Vec::new());
        assert_eq!(too_large, Err(7e4));
    }

    #[test]
    fn the_kept_probabilities_are_the_teacher_s_and_the_rest_share_theirs() {
        let expected = probabilities(&ROW);
        for kept in 1..=5u16 {
            let found = probabilities(&there_and_back(RecordAs::TopK(kept), &ROW));
            let order = [2, 3, 5, 0, 1, 4];
            let (kept, rest) = order.split_at(usize::from(kept));
            for class in kept {
                assert!((found[*class] - expected[*class]).abs() < 1e-7, "{found:?}");
            }
            let shared = rest.iter().map(|c| expected[*c]).sum::<f64>() / rest.len() as f64;
            for class in rest {
                assert!((found[*class] - shared).abs() < 1e-7, "{found:?}");
            }
        }
    }

    #[test]
    fn equal_logits_stay_equal() {
        let found = there_and_back(RecordAs::TopK(2), &[0.3; 7]);
        assert!(found.iter().all(|z| (z - 0.3).abs() < 1e-6), "{found:?}");
        assert!(found[2..].iter().all(|z| *z <= found[0]), "{found:?}");
    }

    #[test]
    fn a_class_that_does_not_exist_is_refused() {
        let mut bytes = Vec::new();
        RecordAs::TopK(2).write(&ROW, &mut bytes).unwrap();
        *bytes.last_mut().unwrap() = 1;
        assert!(RecordAs::TopK(2).read(&bytes, 6, &mut Vec::new()).is_none());
    }
}
