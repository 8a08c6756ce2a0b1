//! How good is a network on the test set?
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use kd::metrics::plot::reliability_diagram;
use kd::prelude::*;
use kd_examples::{CommonOptions, NetworkOptions, at_least_one, note, print, start, write_page};
use serde_json::{Value, json};

/// How good is a network on the test set? Accuracy, likelihood, calibration, and agreement with human labels
#[derive(Parser)]
#[command(after_help = "\
Examples:
  evaluate --data DIR --arch resnet20 --weights resnet20.th
  evaluate --weights runs/quickstart/teacher.safetensors        (the file names its architecture)

Measures, all over the test set:
  top-1, top-5   share of images whose label is the most likely class, or among the five most likely
  NLL            mean negative log-likelihood of the labels, in nats
  ECE            expected calibration error, 15 bins of equal width: how far confidence is from accuracy
  KL to human    mean KL(human || network) with CIFAR-10H, in nats, where the folder `cifar-10h` lies beside the data")]
struct Options {
    #[command(flatten)]
    network: NetworkOptions,

    /// Images in a forward pass; changes memory and speed alone
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = at_least_one)]
    batch_size: usize,

    #[command(flatten)]
    common: CommonOptions,
}

fn main() -> ExitCode {
    start(|options: &Options| options.common.json, run)
}

fn run(options: &Options) -> anyhow::Result<Value> {
    let device = default_device()?;
    let sets = options.common.sets()?;
    let network = options.network.restore(&sets, &device)?;
    let spec = network.input_spec();
    note(format_args!(
        "{} on {} test images of {}; input mean {:?}, std {:?}",
        network.architecture(),
        sets.test.len(),
        sets.name,
        spec.mean,
        spec.std
    ));

    let started = Instant::now();
    let report = evaluate(&network, &sets.test, options.batch_size, &Progress::Auto)?;
    let seconds = started.elapsed().as_secs_f64();
    let mut page = None;
    if let Some(folder) = &options.common.out {
        let diagram = reliability_diagram(&report.calibration_bins, report.ece)?;
        let html = Report::new(format!("{} on {}", network.architecture(), sets.name))
            .lead(format!(
                "Right on {:.2} % of {} test images.",
                100.0 * report.top1,
                report.samples
            ))
            .section(
                Section::new("Calibration")
                    .numbers([
                        ("top-1", format!("{:.2} %", 100.0 * report.top1)),
                        ("NLL", format!("{:.4} nats", report.nll)),
                        ("ECE", format!("{:.4}", report.ece)),
                    ])
                    .svg(
                        diagram,
                        "Confidence against accuracy, 15 bins of equal width.",
                    ),
            )
            .render();
        page = Some(write_page(folder, &html)?);
    }
    if !options.common.json {
        print(&report)?;
    }
    Ok(json!({
        "example": "evaluate",
        "data": sets.name,
        "architecture": network.architecture(),
        "weights": options.network.weights.display().to_string(),
        "samples": report.samples,
        "top1": report.top1,
        "top5": report.top5,
        "nll": report.nll,
        "ece": report.ece,
        "kl_human": report.kl_human,
        "seconds": seconds,
        "report": page.map(|path| path.display().to_string()),
    }))
}
