//! Which networks are there, how large are they, and what are they made of?
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use kd::models::Summary;
use kd::prelude::*;
use kd_examples::{print, start};
use serde_json::{Value, json};

/// Which networks are there, how large are they, and what are they made of?
#[derive(Parser)]
#[command(after_help = "\
Examples:
  zoo                                       (every network, for the images it is made for)
  zoo --arch wrn_40_2 --classes 10          (layer by layer: names in weight files, shapes, parameters, operations)
  zoo --image 3x64x64 --classes 200         (those that take such images)
  zoo --json

Columns:
  parameters   weights and biases of convolutions and linear layers, as papers count them, in millions
  operations   two for each multiply-add of those layers, on one image, in billions (GFLOPs)")]
struct Options {
    /// One network, layer by layer
    #[arg(long, value_name = "NAME")]
    arch: Option<Architecture>,

    /// Channels, height and width of the images
    #[arg(long, value_name = "CxHxW", value_parser = image)]
    image: Option<[usize; 3]>,

    /// Classes to tell apart [default: 10 for 1 channel, 100 for 32 pixels, 200 for 64, 1000 for 224]
    #[arg(long, value_name = "N", value_parser = classes)]
    classes: Option<usize>,

    /// Print JSON alone: a list of name, image, classes, params and flops; with --arch one object with its layers
    #[arg(long)]
    json: bool,
}

/// The longest side of an image, and the most channels: beyond that nothing is learnt, only memory
/// is lost.
const MOST_PIXELS: usize = 65_536;
const MOST_CLASSES: usize = 1_000_000;

/// `3x32x32`.
fn image(text: &str) -> Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok()).collect();
    match sizes.as_deref() {
        Some(&[c, h, w])
            if [c, h, w]
                .iter()
                .all(|size| (1..=MOST_PIXELS).contains(size)) =>
        {
            Ok([c, h, w])
        }
        Some([_, _, _]) => Err(format!(
            "expected at least 1 and at most {MOST_PIXELS} of each"
        )),
        _ => Err("expected channels, height and width, like 3x32x32".into()),
    }
}

fn classes(text: &str) -> Result<usize, String> {
    match kd_examples::at_least_one(text)? {
        classes if classes <= MOST_CLASSES => Ok(classes),
        _ => Err(format!("expected at most {MOST_CLASSES}")),
    }
}

fn main() -> ExitCode {
    start(|options: &Options| options.json, run)
}

fn run(options: &Options) -> anyhow::Result<Value> {
    if let Some(architecture) = options.arch {
        let image = options.image.unwrap_or_else(|| made_for(architecture)[0]);
        let summary = summary(architecture, image, options.classes)?;
        if !options.json {
            print(&summary)?;
        }
        return Ok(serde_json::to_value(&summary)?);
    }
    let mut rows = Vec::new();
    for &architecture in Architecture::ALL {
        let images = match options.image {
            Some(image) => vec![image],
            None => made_for(architecture),
        };
        for image in images {
            match summary(architecture, image, options.classes) {
                Ok(summary) => rows.push(summary),
                // With --image it is left out if the images are too small or too large for it.
                Err(error) if options.image.is_none() => return Err(error),
                Err(_) => {}
            }
        }
    }
    ensure!(!rows.is_empty(), "--image: not one for any network");
    if !options.json {
        print(table(&rows)?.trim_end())?;
    }
    Ok(rows.iter().map(row).collect())
}

/// The images that the papers show it.
fn made_for(architecture: Architecture) -> Vec<[usize; 3]> {
    match architecture.name() {
        name if name.starts_with("imagenet/") => vec![[3, 224, 224]],
        "lenet5" | "alexnet" => vec![[3, 32, 32], [1, 28, 28]],
        name if name.ends_with("_mlp") => vec![[3, 32, 32]],
        _ => vec![[3, 32, 32], [3, 64, 64]],
    }
}

fn summary(
    architecture: Architecture,
    image: [usize; 3],
    classes: Option<usize>,
) -> anyhow::Result<Summary> {
    let [channels, height, _] = image;
    let classes = classes.unwrap_or(match (channels, height) {
        (1, _) => 10,
        (_, 64) => 200,
        (_, 224) => 1000,
        _ if ["lenet5", "alexnet"].contains(&architecture.name()) => 10,
        _ => 100,
    });
    let names = (0..classes).map(|class| class.to_string()).collect();
    // The counts do not depend on the statistics.
    let spec = InputSpec::new(image, vec![0.5; channels], vec![0.25; channels], names)?;
    architecture
        .summary(&ModelConfig::new(spec))
        .with_context(|| "--image")
}

fn row(summary: &Summary) -> Value {
    json!({
        "name": summary.architecture.name(),
        "image": summary.image,
        "classes": summary.classes,
        "params": summary.params,
        "flops": summary.flops,
    })
}

fn table(rows: &[Summary]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(
        text,
        "{:28} {:>11} {:>7} {:>12} {:>11}  stages",
        "network", "image", "classes", "parameters", "operations"
    )?;
    for summary in rows {
        let [channels, height, width] = summary.image;
        let stages = summary
            .stages
            .iter()
            .map(|(_, [c, h, w])| format!("{c}×{h}×{w}"));
        writeln!(
            text,
            "{:28} {:>11} {:>7} {:>10.4} M {:>9.4} G  {}",
            summary.architecture,
            format!("{channels}×{height}×{width}"),
            summary.classes,
            summary.params as f64 / 1e6,
            summary.flops as f64 / 1e9,
            stages.collect::<Vec<_>>().join(" ")
        )?;
    }
    Ok(text)
}
