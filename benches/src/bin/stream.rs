//! Sends predictions of a large test set through an evaluation, batch by batch, and prints how fast and in how much memory.
//!
//! `stream [SAMPLES] [CLASSES]`, by default a million of a thousand classes.

use std::process::ExitCode;
use std::time::Instant;

use kd::burn::tensor::TensorData;
use kd::metrics::EvaluationConfig;
use kd::prelude::*;
use serde_json::json;

const BATCH: usize = 1000;
/// Different batches, so that no result can be kept.
const DIFFERENT: usize = 8;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (samples, classes) = (number(1_000_000)?, number(1000)?);
    let device = Device::flex();
    let batches: Vec<_> = (0..DIFFERENT)
        .map(|batch| {
            let value = |index: usize| {
                ((index * 7919 + (index + batch) * index % 1013) % 1024) as f32 / 64.0 - 8.0
            };
            let values: Vec<f32> = (0..BATCH * classes).map(value).collect();
            let labels: Vec<i32> = (0..BATCH)
                .map(|i| ((i + batch) * 13 % classes) as i32)
                .collect();
            (
                Tensor::<2>::from_data(TensorData::new(values, [BATCH, classes]), &device),
                Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &device),
            )
        })
        .collect();
    let before = peak_memory();
    let started = Instant::now();
    let mut evaluation = EvaluationConfig::new().init(classes)?;
    for (logits, labels) in batches.iter().cycle().take(samples.div_ceil(BATCH)) {
        evaluation.update(logits.clone(), labels.clone(), None)?;
    }
    let report = evaluation.compute()?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({
            "samples": report.samples,
            "classes": classes,
            "seconds": seconds,
            "samples_per_second": report.samples as f64 / seconds,
            "peak_mib_before": before,
            "peak_mib": peak_memory(),
            "top1": report.top1,
            "nll": report.nll,
            "ece": report.ece,
        })
    );
    Ok(())
}

/// The most memory that the process ever had, in MiB, where the system says so.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
