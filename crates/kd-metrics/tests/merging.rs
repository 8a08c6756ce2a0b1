//! Any order, any batches, any halves: the measures beside `Evaluation`, and the rows that they refuse.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::prelude::*;
use burn::tensor::TensorData;
use kd_metrics::augmentation::{Answers, CrossEntropySpread, LabelAgreement};
use kd_metrics::structure::EmbeddingMoments;
use kd_metrics::{
    Bootstrap, ClassStructure, Embeddings, MetricError, StructureReport, TStddev,
    TemperatureScaling,
};
use proptest::prelude::*;

const CLASSES: usize = 4;
const DIMENSIONS: usize = 5;

/// A sample: an embedding, a label, votes for an answer and for a mixed label.
#[derive(Clone, Debug)]
struct Sample {
    embedding: Vec<f32>,
    label: i64,
    answer: Vec<f32>,
    mixed: Vec<f32>,
}

fn distribution() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(0u8..9, CLASSES).prop_map(|mut votes| {
        votes[0] += 1;
        let total: u8 = votes.iter().sum();
        votes
            .iter()
            .map(|&vote| f32::from(vote) / f32::from(total))
            .collect()
    })
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (
        prop::collection::vec(-8f32..8.0, DIMENSIONS),
        0..CLASSES as i64,
        distribution(),
        distribution(),
    );
    let sample = sample.prop_map(|(embedding, label, answer, mixed)| Sample {
        embedding,
        label,
        answer,
        mixed,
    });
    // Two of each class and more, so that every measure is defined.
    prop::collection::vec(sample, 2 * CLASSES..40).prop_map(|mut samples| {
        for (index, sample) in samples.iter_mut().take(2 * CLASSES).enumerate() {
            sample.label = (index % CLASSES) as i64;
        }
        samples
    })
}

fn table(samples: &[Sample]) -> Tensor<2> {
    let values: Vec<f32> = samples
        .iter()
        .flat_map(|sample| sample.embedding.clone())
        .collect();
    let shape = [samples.len(), DIMENSIONS];
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn labels(samples: &[Sample]) -> Tensor<1, Int> {
    let values: Vec<i64> = samples.iter().map(|sample| sample.label).collect();
    Tensor::from_data(TensorData::new(values, [samples.len()]), &Device::flex())
}

fn structure(parts: &[&[Sample]], batch: usize) -> StructureReport {
    let mut moments = EmbeddingMoments::new(DIMENSIONS).unwrap();
    for part in parts {
        let mut own = EmbeddingMoments::new(DIMENSIONS).unwrap();
        for batch in part.chunks(batch) {
            own.update(table(batch)).unwrap();
        }
        moments.merge(&own).unwrap();
    }
    let standardization = moments.compute().unwrap();
    let mut structure = ClassStructure::new(CLASSES, standardization.clone()).unwrap();
    for part in parts {
        let mut own = ClassStructure::new(CLASSES, standardization.clone()).unwrap();
        for batch in part.chunks(batch) {
            own.update(table(batch), labels(batch)).unwrap();
        }
        structure.merge(&own).unwrap();
    }
    structure.compute().unwrap()
}

/// The numbers of everything that takes rows, of parts that are measured alone and merged.
fn rows(parts: &[&[Sample]], batch: usize) -> Vec<f64> {
    let mut answers = Answers::new(CLASSES).unwrap();
    let mut agreement = LabelAgreement::new(CLASSES).unwrap();
    let mut scaling = TemperatureScaling::new(DIMENSIONS).unwrap();
    let mut embeddings = Embeddings::new(CLASSES, 1000).unwrap();
    for part in parts {
        let mut own = (
            Answers::new(CLASSES).unwrap(),
            LabelAgreement::new(CLASSES).unwrap(),
            TemperatureScaling::new(DIMENSIONS).unwrap(),
            Embeddings::new(CLASSES, 1000).unwrap(),
        );
        for batch in part.chunks(batch) {
            let flat = |of: fn(&Sample) -> &Vec<f32>| {
                batch.iter().flat_map(of).copied().collect::<Vec<f32>>()
            };
            own.0.push(&flat(|sample| &sample.answer)).unwrap();
            own.1
                .push(
                    &flat(|sample| &sample.mixed),
                    &flat(|sample| &sample.answer),
                )
                .unwrap();
            own.2.update(table(batch), labels(batch)).unwrap();
            own.3.update(table(batch), labels(batch)).unwrap();
        }
        answers.merge(&own.0).unwrap();
        agreement.merge(&own.1).unwrap();
        scaling.merge(&own.2).unwrap();
        embeddings.merge(&own.3).unwrap();
    }
    let answers = answers.compute().unwrap();
    let agreement = agreement.compute().unwrap();
    let fit = scaling.fit().unwrap();
    let structure = embeddings.structure().unwrap();
    let mut numbers = vec![answers.rows as f64, answers.entropy];
    numbers.extend(answers.mean.iter().chain(&answers.variance));
    numbers.extend([agreement.disagree, agreement.outside, agreement.kl]);
    numbers.extend([fit.nll_before, fit.nll_after]);
    numbers.extend([
        structure.cohesion,
        structure.adhesion,
        structure.discrimination,
    ]);
    numbers
}

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() <= 1e-9 * (1.0 + a.abs()),
            "number {index}: {a} and {b}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_batches_and_halves_do_not_matter(
        (samples, shuffled) in samples().prop_flat_map(|s| (Just(s.clone()), Just(s).prop_shuffle())),
        batch in 1usize..9,
        cut in 0.0..1.0,
    ) {
        let whole = rows(&[&samples], samples.len());
        let (first, second) = shuffled.split_at((cut * shuffled.len() as f64) as usize);
        close(&rows(&[first, second], batch), &whole);

        let whole = structure(&[&samples], samples.len());
        let parts = structure(&[first, second], batch);
        let numbers = |report: &StructureReport| {
            let mut numbers = vec![report.cohesion, report.adhesion, report.discrimination];
            numbers.extend(report.per_class.iter().flatten());
            numbers.extend(report.between.iter().flatten().flatten());
            numbers
        };
        close(&numbers(&parts), &numbers(&whole));
        prop_assert!((-1.0 - 1e-9..=1.0 + 1e-9).contains(&whole.cohesion));
        prop_assert!((-1.0 - 1e-9..=1.0 + 1e-9).contains(&whole.adhesion));
    }

    #[test]
    fn draws_may_come_in_any_order_and_be_merged(
        (draws, shuffled) in prop::collection::vec(distribution(), 3..20)
            .prop_flat_map(|d| (Just(d.clone()), Just(d).prop_shuffle())),
        cut in 0.0..1.0,
    ) {
        let measure = |draws: &[Vec<f32>]| {
            let mut measure = TStddev::new(CLASSES).unwrap();
            let mut spread = CrossEntropySpread::default();
            for draw in draws {
                let draw: Vec<f64> = draw.iter().map(|&p| f64::from(p)).collect();
                measure.push(&draw).unwrap();
                spread.push(&draw).unwrap();
            }
            (measure, spread)
        };
        let numbers = |(measure, spread): &(TStddev, CrossEntropySpread)| {
            let (stddev, spread) = (measure.compute(Bootstrap::default()).unwrap(), spread.compute().unwrap());
            let mut numbers = stddev.per_class.clone();
            numbers.extend([stddev.value, spread.mean, spread.variance, spread.variance_of_mean, spread.covariance.unwrap()]);
            numbers
        };
        let (first, second) = shuffled.split_at((cut * shuffled.len() as f64) as usize);
        let mut merged = measure(first);
        let second = measure(second);
        merged.0.merge(&second.0).unwrap();
        merged.1.merge(&second.1);
        close(&numbers(&merged), &numbers(&measure(&draws)));
    }
}

#[test]
fn bad_rows_are_named() {
    let device = Device::flex();
    let embeddings = |bad: f32| Tensor::<2>::from_data([[1.0, 2.0], [3.0, bad]], &device);
    let labels = |bad: i32| Tensor::<1, Int>::from_data([0, bad], &device);
    let standardization = || {
        let mut moments = EmbeddingMoments::new(2).unwrap();
        moments.update(embeddings(4.0)).unwrap();
        moments.compute().unwrap()
    };
    for bad in [f32::NAN, f32::INFINITY] {
        let mut store = Embeddings::new(2, 10).unwrap();
        let mut structure = ClassStructure::new(2, standardization()).unwrap();
        let mut moments = EmbeddingMoments::new(2).unwrap();
        for error in [
            store.update(embeddings(bad), labels(1)).unwrap_err(),
            structure.update(embeddings(bad), labels(1)).unwrap_err(),
            moments.update(embeddings(bad)).unwrap_err(),
        ] {
            assert!(
                matches!(error, MetricError::Embedding { row: 1 }),
                "{error}"
            );
        }
        assert!(store.is_empty());
    }
    let mut store = Embeddings::new(2, 3).unwrap();
    store.update(embeddings(4.0), labels(1)).unwrap();
    let error = store.update(embeddings(4.0), labels(1)).unwrap_err();
    assert!(
        matches!(
            error,
            MetricError::Cap {
                cap: 3,
                found: 4,
                ..
            }
        ),
        "{error}"
    );
    let mut structure = ClassStructure::new(2, standardization()).unwrap();
    structure.update(embeddings(4.0), labels(1)).unwrap();
    let error = structure.update(embeddings(4.0), labels(2)).unwrap_err();
    assert!(
        matches!(
            error,
            MetricError::Label {
                row: 3,
                label: 2,
                classes: 2
            }
        ),
        "{error}"
    );
    let error = structure.update(embeddings(4.0), Tensor::<1, Int>::from_data([0], &device));
    assert!(matches!(error, Err(MetricError::Count { .. })));

    for bad in [[0.5, 0.6], [-0.5, 1.5], [f32::NAN, 1.0], [50.0, 50.0]] {
        let mut answers = Answers::new(2).unwrap();
        answers.push(&[0.5, 0.5]).unwrap();
        let error = answers
            .push(&[vec![1.0, 0.0], bad.to_vec()].concat())
            .unwrap_err();
        assert!(
            matches!(error, MetricError::Distribution { row: 2, .. }),
            "{error}"
        );
        assert_eq!(answers.rows(), 1);
        let mut agreement = LabelAgreement::new(2).unwrap();
        for (label, answer) in [(bad, [0.5, 0.5]), ([0.5, 0.5], bad)] {
            let error = agreement.push(&label, &answer).unwrap_err();
            assert!(
                matches!(error, MetricError::Distribution { row: 0, .. }),
                "{error}"
            );
        }
        assert!(agreement.push(&[0.5, 0.5], &[1.0]).is_err());
        assert!(agreement.compute().is_err());
    }
}
