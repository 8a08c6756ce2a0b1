//! Measures kd-augment for `benches/peers`: reads a request a line, answers with a line.
//!
//! A request is `{"work", "augmentation", "output", "shape", "pixels", "seconds"}`: which images to treat (a file of planar u8), how,
//! and for how long. `output` is `u8`, `f32` (normalised) or `mix` (floats in, floats out, the mix alone). Draws are part of the
//! time. `RAYON_NUM_THREADS` sets the threads.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kd::augment::{Affine, Augmentation, DrawKey, Images, Plan, cpu};
use serde::{Deserialize, Serialize};

/// Batches between two looks at the clock take about this long.
const STRETCH: Duration = Duration::from_millis(5);

#[derive(Deserialize)]
struct Request {
    augmentation: Augmentation,
    output: Output,
    shape: [usize; 4],
    pixels: PathBuf,
    seconds: f64,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Output {
    U8,
    F32,
    Mix,
}

#[derive(Serialize)]
struct Answer {
    images_per_second: f64,
    bytes_per_second: f64,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in input.lines() {
        let answer = serde_json::from_str(&line?)
            .map_err(Failure::from)
            .and_then(|request| measure(&request));
        let line = match answer {
            Ok(answer) => serde_json::to_string(&answer)?,
            Err(error) => serde_json::json!({ "error": error.to_string() }).to_string(),
        };
        writeln!(output, "{line}")?;
        output.flush()?;
    }
    Ok(())
}

fn measure(request: &Request) -> Result<Answer, Failure> {
    let pixels = std::fs::read(&request.pixels)?;
    let images = Images::new(&pixels, request.shape)?;
    let [n, c, h, w] = request.shape;
    let augmenter = request.augmentation.build()?;
    let affine = Affine::normalize(&vec![0.45; c], &vec![0.225; c])?;
    let ids: Vec<u64> = (0..n as u64).collect();
    let mut levels = vec![0; pixels.len()];
    let mut floats = vec![0.0; pixels.len()];
    let base: Vec<f32> = pixels
        .iter()
        .map(|level| f32::from(*level) / 255.0)
        .collect();
    let mut plan = Plan::default();
    let mut batch = |epoch: u64| -> Result<(), Failure> {
        let key = DrawKey::new(0).epoch(epoch);
        augmenter.sample_into(&key, &ids, epoch, [c, h, w], &mut plan)?;
        match (request.output, &plan.mix) {
            (Output::U8, _) => cpu::apply_u8(&plan, images, &mut levels)?,
            (Output::Mix, Some(mix)) => cpu::mix(mix, &base, [c, h, w], &mut floats)?,
            (Output::Mix, None) => return Err("there is no mix to measure".into()),
            (Output::F32, _) => cpu::apply(&plan, images, &mut floats, &affine)?,
        }
        Ok(())
    };
    let mut epoch = 0;
    let started = Instant::now();
    while started.elapsed() < STRETCH {
        batch(epoch)?;
        epoch += 1;
    }
    let stretch = epoch.max(1);
    let limit = Duration::try_from_secs_f64(request.seconds)?;
    let started = Instant::now();
    let mut batches = 0;
    while batches == 0 || started.elapsed() < limit {
        for _ in 0..stretch {
            batch(epoch)?;
            epoch += 1;
        }
        batches += stretch;
    }
    let per_second = (batches * n as u64) as f64 / started.elapsed().as_secs_f64();
    let bytes = match request.output {
        Output::U8 => 1 + 1,
        Output::F32 => 1 + 4,
        Output::Mix => 4 + 4,
    };
    Ok(Answer {
        images_per_second: per_second,
        bytes_per_second: per_second * (bytes * c * h * w) as f64,
    })
}
