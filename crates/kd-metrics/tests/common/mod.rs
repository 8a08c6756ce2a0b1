//! Samples for the tests of `Evaluation`.
#![allow(dead_code, unreachable_pub, missing_docs)]

use burn::prelude::*;
use burn::tensor::TensorData;
use kd_metrics::{Evaluation, EvaluationConfig, EvaluationReport, MetricError};

/// One sample: logits, label, human distribution.
#[derive(Clone, Debug)]
pub struct Sample {
    pub logits: Vec<f32>,
    pub label: i64,
    pub human: Vec<f32>,
}

pub fn update(
    evaluation: &mut Evaluation,
    samples: &[Sample],
    with_human: bool,
    device: &Device,
) -> Result<(), MetricError> {
    let classes = samples[0].logits.len();
    let table = |values: Vec<f32>| {
        Tensor::<2>::from_data(TensorData::new(values, [samples.len(), classes]), device)
    };
    let logits = table(samples.iter().flat_map(|s| s.logits.clone()).collect());
    let human = table(samples.iter().flat_map(|s| s.human.clone()).collect());
    let labels: Vec<i64> = samples.iter().map(|s| s.label).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [samples.len()]), device);
    evaluation.update(logits, labels, with_human.then_some(human))
}

pub fn evaluate(samples: &[Sample], batch: usize) -> Result<EvaluationReport, MetricError> {
    accumulate(samples, batch)?.compute()
}

pub fn accumulate(samples: &[Sample], batch: usize) -> Result<Evaluation, MetricError> {
    let mut evaluation = EvaluationConfig::new().init(samples[0].logits.len())?;
    for batch in samples.chunks(batch) {
        update(&mut evaluation, batch, true, &Device::flex())?;
    }
    Ok(evaluation)
}

/// A sample whose logits are `height` at `predicted` and 0 elsewhere.
pub fn peaked(predicted: usize, height: f32, label: i64) -> Sample {
    let mut logits = vec![0.0; 10];
    logits[predicted] = height;
    let mut human = vec![0.0; 10];
    human[label as usize] = 1.0;
    Sample {
        logits,
        label,
        human,
    }
}
