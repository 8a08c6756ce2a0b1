use std::fmt;

use kd_augment::ParamSharing;
use kd_metrics::augmentation::{
    AnswerReport, Answers, CrossEntropyReport, CrossEntropySpread, LabelAgreement,
    LabelAgreementReport, pair_covariance, sampling_baseline,
};
use kd_metrics::{Relation, TStddev, TStddevReport};
use serde::{Deserialize, Serialize};

use super::RankConfig;
use super::record::Record;
use crate::TrainError;

/// A ranking of augmentations. The rows are sorted within each sharing, the best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankReport {
    /// One for each scheme and sharing.
    pub rows: Vec<RankRow>,
    /// Schemes that were asked for and pick by what a student says, without there being one.
    #[serde(default)]
    pub missing: Vec<String>,
    /// T. stddev of a teacher with these answers if the augmentation changed nothing and each mean were of other images alone; where the
    /// standard view was measured.
    #[serde(default)]
    pub baseline: Option<f64>,
    /// How sure the order is, for each sharing.
    #[serde(default)]
    pub stability: Vec<Stability>,
    /// Images behind a mean, on average: the last batch of an epoch may be short. With the standard view each is shown twice.
    pub images_per_mean: f64,
    /// Images that the teacher was asked for, in this run.
    pub teacher_images: u64,
    /// Seconds of the teacher's forward passes.
    pub teacher_seconds: f64,
    /// Seconds in all.
    pub seconds: f64,
}

/// How sure the order of the schemes under one sharing is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    /// The sharing.
    pub sharing: ParamSharing,
    /// After m means: Kendall's rank correlation of the order then with the order after all of them.
    pub kendall: Vec<(usize, f64)>,
    /// For each scheme but the last: the share of bootstrap resamples in which it stays below the next one. Both are resampled alike, since
    /// their means are of the same images.
    pub below_next: Vec<f64>,
}

/// A scheme under one sharing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankRow {
    /// The name of the scheme.
    pub scheme: String,
    /// For whom parameters were drawn.
    pub sharing: ParamSharing,
    /// Value, interval and number of means.
    #[serde(flatten)]
    pub result: TStddevReport,
    /// The value after the first m means.
    #[serde(default)]
    pub convergence: Vec<(usize, f64)>,
    /// Mean entropy of the teacher's answers under the scheme, in nats.
    #[serde(default)]
    pub entropy: f64,
    /// The covariance of the teacher's answers to two images of one mean, averaged over the classes: what equation 7 of the paper solves for.
    /// Nothing where a mean is of one image.
    #[serde(default)]
    pub covariance: Option<f64>,
    /// Of mixes: how often the teacher sees another class than their labels say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelAgreementReport>,
    /// Of picks: the mean score of those picked over the mean score of their pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_ratio: Option<f64>,
    /// Of the teacher–student cross-entropy, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_entropy: Option<CrossEntropyReport>,
}

impl RankReport {
    /// The numbers that records add up to. Costs and what is missing are not among them.
    pub(super) fn of(
        records: &[Record],
        config: &RankConfig,
        population: usize,
    ) -> Result<Self, TrainError> {
        let standard: Vec<&Record> = records.iter().filter(|r| r.sharing.is_none()).collect();
        let standard_answers = joined(&standard)?;
        let (mut rows, mut stability) = (Vec::new(), Vec::new());
        let mut images_per_mean = 0.0;
        for sharing in &config.sharing {
            let mut measured = Vec::new();
            for scheme in &config.schemes {
                let own = |record: &&Record| {
                    record.sharing == Some(*sharing) && record.scheme == scheme.name
                };
                let own: Vec<&Record> = records.iter().filter(own).collect();
                if own.is_empty() {
                    continue;
                }
                let standard = standard_answers
                    .as_ref()
                    .filter(|_| config.window.include_standard);
                let (row, measure) = measure(&own, *sharing, standard, config)?;
                images_per_mean =
                    own.iter().map(|r| rows_of(&r.answers)).sum::<f64>() / own.len() as f64;
                measured.push((row, measure));
            }
            // A stable sort keeps ties in the order of the schemes.
            measured.sort_by(|(a, _), (b, _)| a.result.value.total_cmp(&b.result.value));
            let (sorted, measures): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
            stability.push(Stability::of(*sharing, &sorted, &measures, config)?);
            rows.extend(sorted);
        }
        if let Some(answers) = &standard_answers {
            images_per_mean = rows_of(answers) / standard.len() as f64;
        }
        let baseline = match standard_answers {
            Some(answers) => {
                let images = images_per_mean.round() as usize;
                let variance = answers.compute()?.variance;
                // A set that is smaller than a mean's images is shown more than once in each.
                (images <= population)
                    .then(|| sampling_baseline(&variance, images, population, config.means))
                    .transpose()?
            }
            None => None,
        };
        Ok(Self {
            rows,
            missing: Vec::new(),
            baseline,
            stability,
            images_per_mean,
            teacher_images: 0,
            teacher_seconds: 0.0,
            seconds: 0.0,
        })
    }
}

fn rows_of(answers: &Answers) -> f64 {
    answers.rows() as f64
}

/// All answers of some records; nothing without any.
fn joined(records: &[&Record]) -> Result<Option<Answers>, TrainError> {
    let Some((first, others)) = records.split_first() else {
        return Ok(None);
    };
    let mut answers = first.answers.clone();
    for record in others {
        answers.merge(&record.answers)?;
    }
    Ok(Some(answers))
}

/// A row from the records of one scheme under one sharing.
fn measure(
    records: &[&Record],
    sharing: ParamSharing,
    standard: Option<&Answers>,
    config: &RankConfig,
) -> Result<(RankRow, TStddev), TrainError> {
    let mut measure = TStddev::new(records[0].mean.len())?;
    let mut labels: Option<LabelAgreement> = None;
    let mut cross_entropy = CrossEntropySpread::default();
    let mut ratios = None;
    for record in records {
        measure.push(&record.mean)?;
        match (&mut labels, &record.labels) {
            (Some(sum), Some(more)) => sum.merge(more)?,
            (sum, more) => *sum = sum.take().or(more.clone()),
        }
        if let Some(draw) = &record.cross_entropy {
            cross_entropy.merge(draw);
        }
        if let Some(ratio) = record.score_ratios {
            *ratios.get_or_insert(0.0) += ratio;
        }
    }
    let result = measure.compute(config.bootstrap)?;
    let mut answers = joined(records)?.unwrap_or(Answers::new(1)?);
    let own: AnswerReport = answers.compute()?;
    // All answers behind a mean: those under the scheme, and those on the standard view where they count.
    if let Some(standard) = standard {
        answers.merge(standard)?;
    }
    let behind = rows_of(&answers) / records.len() as f64;
    let variances = answers.compute()?.variance;
    let pairs = result.per_class.iter().zip(&variances);
    let covariances: Option<Vec<f64>> = pairs
        .map(|(u, p)| pair_covariance(u * u, *p, behind))
        .collect();
    let steps = (records.len() * config.window.steps) as f64;
    let row = RankRow {
        scheme: records[0].scheme.clone(),
        sharing,
        convergence: measure.convergence(),
        entropy: own.entropy,
        covariance: covariances.map(|all| all.iter().sum::<f64>() / all.len() as f64),
        labels: labels.map(|labels| labels.compute()).transpose()?,
        score_ratio: ratios.map(|sum| sum / steps),
        cross_entropy: match config.cross_entropy && !cross_entropy.is_empty() {
            true => Some(cross_entropy.compute()?),
            false => None,
        },
        result,
    };
    Ok((row, measure))
}

impl Stability {
    fn of(
        sharing: ParamSharing,
        rows: &[RankRow],
        measures: &[TStddev],
        config: &RankConfig,
    ) -> Result<Self, TrainError> {
        let resampled: Vec<Vec<f64>> = measures
            .iter()
            .map(|measure| measure.resampled(config.bootstrap))
            .collect::<Result<_, _>>()?;
        let below = |pair: &[Vec<f64>]| {
            let both = pair[0].iter().zip(&pair[1]);
            both.filter(|(a, b)| a < b).count() as f64 / pair[0].len() as f64
        };
        // The curves of all schemes have the same m.
        let last: Vec<f64> = rows.iter().map(|row| row.result.value).collect();
        let counts = rows.first().map_or(&[][..], |row| &row.convergence);
        let kendall = counts.iter().enumerate().filter_map(|(index, (count, _))| {
            let then: Vec<f64> = rows.iter().map(|row| row.convergence[index].1).collect();
            // With fewer than three schemes, or ties alone, there is no order to speak of.
            let relation = Relation::of(&then, &last).ok()?;
            Some((*count, relation.kendall.value))
        });
        Ok(Self {
            sharing,
            kendall: kendall.collect(),
            below_next: resampled.windows(2).map(below).collect(),
        })
    }
}

pub(super) fn sharing_name(sharing: ParamSharing) -> &'static str {
    match sharing {
        ParamSharing::Batch => "batch",
        ParamSharing::PerSample => "per sample",
    }
}

impl fmt::Display for RankReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.rows.first().map_or(0.95, |row| row.result.level);
        writeln!(
            f,
            "{:<22} {:<11} {:>10}  {:>20} {:>6} {:>8}",
            "scheme",
            "sharing",
            "T. stddev",
            format!("{:.0} % interval", 100.0 * level),
            "means",
            "entropy"
        )?;
        let mut last = None;
        for RankRow {
            scheme,
            sharing,
            result,
            entropy,
            ..
        } in &self.rows
        {
            if last.is_some_and(|last| last != *sharing) {
                writeln!(f)?;
            }
            last = Some(*sharing);
            let (low, high) = result.interval;
            writeln!(
                f,
                "{scheme:<22} {:<11} {:>10.6}  {low:>8.6} … {high:>8.6} {:>6} {entropy:>8.4}",
                sharing_name(*sharing),
                result.value,
                result.means
            )?;
        }
        if let Some(baseline) = self.baseline {
            let name = "drawing images alone";
            writeln!(f, "\n{name:<34} {baseline:>10.6}")?;
        }
        for scheme in &self.missing {
            writeln!(f, "{scheme:<22} {WITHOUT_STUDENT}")?;
        }
        Ok(())
    }
}

/// Why a scheme is missing.
pub(super) const WITHOUT_STUDENT: &str =
    "not measured: it picks by what a trained student says, and none was given";
