//! What the samples so far add up to, on the host.

use rayon::prelude::*;

use super::calibration::{BinSums, EqualWidth, bin_index, ece, largest_gap, mean_gap};
use super::class_means::{ClassMeans, separability};
use super::confusion::ConfusionMatrix;
use super::equal_mass::Confidences;
use super::human::HumanSums;
use super::row::{self, RowReport, Scores};
use super::{EvaluationConfig, EvaluationReport};
use crate::error::MetricError;

/// Columns of a block of classes that one thread bins.
const BLOCK: usize = 64;

/// Rows of one update on the host.
pub(crate) struct Rows {
    pub(crate) kind: Scores,
    /// `[rows, classes]`.
    pub(crate) scores: Vec<f64>,
    pub(crate) labels: Vec<i64>,
    /// `[rows, classes]`.
    pub(crate) human: Option<Vec<f64>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Sums {
    classes: usize,
    config: EvaluationConfig,
    ranks: Vec<u64>,
    nll: f64,
    brier: f64,
    entropy: f64,
    confidence: f64,
    calibration: EqualWidth,
    confidences: Confidences,
    /// `[classes, bins]`: the probability of each class, and whether a sample was of it.
    classwise: Vec<BinSums>,
    confusion: ConfusionMatrix,
    means: ClassMeans,
    human: Option<HumanSums>,
    rows: Vec<RowReport>,
}

impl Sums {
    pub(crate) fn new(classes: usize, config: EvaluationConfig) -> Self {
        Self {
            classes,
            ranks: vec![0; classes],
            nll: 0.0,
            brier: 0.0,
            entropy: 0.0,
            confidence: 0.0,
            calibration: EqualWidth::new(config.bins),
            confidences: Confidences::default(),
            classwise: vec![BinSums::default(); classes * config.bins],
            confusion: ConfusionMatrix::new(classes),
            means: ClassMeans::new(classes),
            human: None,
            rows: Vec::new(),
            config,
        }
    }

    /// Samples counted.
    pub(crate) fn samples(&self) -> usize {
        self.ranks.iter().sum::<u64>() as usize
    }

    /// Calibration bins.
    pub(crate) fn bins(&self) -> usize {
        self.calibration.len()
    }

    /// Refuses sums that were made otherwise.
    pub(crate) fn same_settings(&self, other: &Self) -> Result<(), MetricError> {
        let (own, others) = (&self.config, &other.config);
        let differs = |field, value: String| {
            Err(MetricError::Config {
                field,
                value,
                reason: "must be the same for both evaluations",
            })
        };
        if own.bins != others.bins {
            return differs("bins", others.bins.to_string());
        }
        if own.smoothing != others.smoothing {
            return differs("smoothing", others.smoothing.to_string());
        }
        if own.keep_rows != others.keep_rows {
            return differs("keep_rows", others.keep_rows.to_string());
        }
        Ok(())
    }

    /// Adds rows, or none of them if one is bad.
    ///
    /// Every sum is taken in the order of the rows, so it has the same bits however they were cut into updates, for any number of threads.
    pub(crate) fn add(&mut self, mut rows: Rows) -> Result<(), MetricError> {
        let (classes, first) = (self.classes, self.samples());
        let facts = self.read(&mut rows, first)?;
        let mut by_class = vec![Vec::new(); classes];
        for (index, fact) in facts.iter().enumerate() {
            by_class[fact.label].push(index);
            self.count(fact);
        }
        self.means.add(&rows.scores, &by_class);
        if let Some(human) = &rows.human {
            let sums = self.human.get_or_insert_with(|| HumanSums::new(classes));
            for (fact, people) in facts.iter().zip(human.chunks(classes)) {
                if let Some(kl) = fact.kl {
                    sums.push(fact.label, kl, people);
                }
            }
            sums.means().add(human, &by_class);
        }
        self.bin_classes(&rows.scores, &facts);
        if self.config.keep_rows {
            self.rows.extend(facts);
        }
        Ok(())
    }

    /// Scores become probabilities; the first bad row is the error.
    fn read(&self, rows: &mut Rows, first: usize) -> Result<Vec<RowReport>, MetricError> {
        let (classes, smoothing, kind) = (self.classes, self.config.smoothing, rows.kind);
        let scores = rows.scores.par_chunks_mut(classes).zip(&rows.labels);
        let facts: Vec<Result<_, _>> = match &mut rows.human {
            Some(human) => scores
                .zip(human.par_chunks_mut(classes))
                .enumerate()
                .map(|(index, ((scores, &label), people))| {
                    row::read(
                        kind,
                        scores,
                        label,
                        Some((people, smoothing)),
                        first + index,
                    )
                })
                .collect(),
            None => scores
                .enumerate()
                .map(|(index, (scores, &label))| {
                    row::read(kind, scores, label, None, first + index)
                })
                .collect(),
        };
        facts.into_iter().collect()
    }

    fn count(&mut self, fact: &RowReport) {
        self.ranks[fact.rank] += 1;
        self.nll += fact.nll;
        self.brier += fact.brier;
        self.entropy += fact.entropy;
        self.confidence += fact.confidence;
        let correct = fact.rank == 0;
        self.calibration.push(fact.confidence, correct);
        self.confidences.push(fact.confidence, correct);
        self.confusion.push(fact.label, fact.predicted);
    }

    /// Block by block of classes, within each in the order of the rows.
    fn bin_classes(&mut self, probabilities: &[f64], facts: &[RowReport]) {
        let (classes, bins) = (self.classes, self.config.bins);
        let blocks = self.classwise.par_chunks_mut(BLOCK * bins).enumerate();
        blocks.for_each(|(block, sums)| {
            let (first, width) = (block * BLOCK, sums.len() / bins);
            for (fact, row) in facts.iter().zip(probabilities.chunks(classes)) {
                for (offset, &p) in row[first..first + width].iter().enumerate() {
                    let bin = offset * bins + bin_index(p, bins);
                    sums[bin].push(p, fact.label == first + offset);
                }
            }
        });
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.ranks.iter_mut().zip(&other.ranks) {
            *count += more;
        }
        self.nll += other.nll;
        self.brier += other.brier;
        self.entropy += other.entropy;
        self.confidence += other.confidence;
        self.calibration.merge(&other.calibration);
        self.confidences.merge(&other.confidences);
        for (bin, more) in self.classwise.iter_mut().zip(&other.classwise) {
            bin.merge(more);
        }
        self.confusion.merge(&other.confusion);
        self.means.merge(&other.means);
        match (&mut self.human, &other.human) {
            (Some(sums), Some(more)) => sums.merge(more),
            (None, Some(more)) => self.human = Some(more.clone()),
            _ => {}
        }
        self.rows.extend_from_slice(&other.rows);
    }

    pub(crate) fn report(&self) -> Result<EvaluationReport, MetricError> {
        let count = self.samples();
        if count == 0 {
            return Err(MetricError::TooFew {
                what: "samples of an evaluation",
                needed: 1,
                found: 0,
            });
        }
        let samples = count as f64;
        let top = |k: usize| self.ranks.iter().take(k).sum::<u64>() as f64 / samples;
        let support = self.confusion.support();
        let class_means = self.means.rows(&support);
        let human = self.human.as_ref();
        let human = human.map(|sums| sums.report(&support, &class_means, self.config.smoothing));
        let mass_bins = self.confidences.equal_mass(self.bins());
        let calibration_bins = self.calibration.bins();
        let per_class_ece: Vec<f64> = self.classwise.chunks(self.bins()).map(ece).collect();
        Ok(EvaluationReport {
            samples: count as u64,
            top1: top(1),
            top5: top(5),
            nll: self.nll / samples,
            brier: self.brier / samples,
            entropy: self.entropy / samples,
            confidence: self.confidence / samples,
            ece: self.calibration.ece(),
            mce: largest_gap(&calibration_bins),
            ece_equal_mass: mean_gap(&mass_bins),
            classwise_ece: per_class_ece.iter().sum::<f64>() / self.classes as f64,
            kl_human: human.as_ref().map(|human| human.kl),
            separability: separability(&class_means),
            per_class_ece,
            calibration_bins,
            mass_bins,
            ranks: self.ranks.clone(),
            confusion: self.confusion.clone(),
            human,
            class_means,
            rows: self.rows.clone(),
        })
    }
}
