//! Times networks, layers and losses for `benches/peers`: reads a request a line, answers with a line.
//!
//! A request is `{"network", "pass", "batch", "size", "classes", "repeat"}`, `{"conv": {…}, "pass", "batch", "repeat"}` or `{"loss",
//! "batch", "repeat"}`, which is forward and backward. `pass` is
//! `forward` (evaluation) or `step` (training: forward, cross-entropy, backward, SGD with momentum and weight decay; for a
//! convolution forward, sum, backward). The answer is the mean of `repeat` passes in milliseconds. `{"peak": seconds}` asks for
//! multiply-adds a second in registers, on all threads. `RAYON_NUM_THREADS` sets the threads.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

use kd::burn::module::Module;
use kd::burn::nn::PaddingConfig2d;
use kd::burn::tensor::Distribution;
use kd::nn::{Conv2d, Conv2dConfig};
use kd::prelude::*;
use kd_benches::{losses, train};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Clone, Deserialize)]
struct Request {
    network: Option<String>,
    conv: Option<Conv>,
    loss: Option<String>,
    peak: Option<f64>,
    #[serde(default)]
    pass: String,
    #[serde(default)]
    batch: usize,
    #[serde(default)]
    size: usize,
    #[serde(default)]
    classes: usize,
    #[serde(default)]
    repeat: usize,
}

#[derive(Clone, Deserialize)]
struct Conv {
    channels: [usize; 2],
    size: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
}

type Failure = Box<dyn std::error::Error>;
type Pass = Box<dyn FnMut()>;

fn main() -> Result<(), Failure> {
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut passes = HashMap::new();
    for line in input.lines() {
        let line = line?;
        let answer = serde_json::from_str(&line)
            .map_err(Failure::from)
            .and_then(|request| answer(&line, &request, &mut passes))
            .unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn answer(
    line: &str,
    request: &Request,
    passes: &mut HashMap<String, Pass>,
) -> Result<Value, Failure> {
    if let Some(seconds) = request.peak {
        return Ok(json!({ "flops": peak::flops(seconds) }));
    }
    if !passes.contains_key(line) {
        // One network at a time: its activations would otherwise stay in memory.
        passes.clear();
        passes.insert(line.to_owned(), pass(request)?);
    }
    let pass = passes.get_mut(line).ok_or("no pass")?;
    let started = Instant::now();
    for _ in 0..request.repeat {
        pass();
    }
    let ms = started.elapsed().as_secs_f64() * 1e3 / request.repeat.max(1) as f64;
    Ok(json!({ "ms": ms }))
}

fn pass(request: &Request) -> Result<Pass, Failure> {
    let device = Device::flex();
    if let Some(name) = &request.loss {
        let pass = losses::pass(name, request.batch, &device)?;
        return pass.ok_or_else(|| format!("no loss is called {name}").into());
    }
    let step = match request.pass.as_str() {
        "step" => true,
        "forward" => false,
        other => return Err(format!("pass is forward or step, not {other:?}").into()),
    };
    match (&request.network, &request.conv) {
        (Some(name), None) => network(name, request, step, &device),
        (None, Some(conv)) => Ok(convolution(conv, request.batch, step, &device)),
        _ => Err("a request names a network, a convolution or a loss".into()),
    }
}

fn network(name: &str, request: &Request, step: bool, device: &Device) -> Result<Pass, Failure> {
    let Request {
        batch,
        size,
        classes,
        ..
    } = *request;
    if step {
        return train::step(name, batch, size, classes, device);
    }
    let spec = InputSpec::cifar(classes, Statistics::CIFAR10)?;
    let model = name
        .parse::<Architecture>()?
        .init(&ModelConfig::new(spec), device)?;
    let shape = [batch, 3, size, size];
    let images = Tensor::<4>::random(shape, Distribution::Default, device);
    Ok(Box::new(move || {
        drop(model.forward(images.clone()).into_data())
    }))
}

fn convolution(conv: &Conv, batch: usize, step: bool, device: &Device) -> Pass {
    let pad = conv.kernel / 2;
    let layer: Conv2d = Conv2dConfig::new(conv.channels, [conv.kernel; 2])
        .with_stride([conv.stride; 2])
        .with_groups(conv.groups)
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
        .init(&device.clone().autodiff());
    let shape = [batch, conv.channels[0], conv.size, conv.size];
    let images = Tensor::<4>::random(shape, Distribution::Default, device);
    if !step {
        let layer = layer.valid();
        // Between layers of a network activations have channels innermost; so they have here.
        let images = images.permute([0, 2, 3, 1]) + 0.0;
        let images = images.permute([0, 3, 1, 2]);
        return Box::new(move || drop(layer.forward(images.clone())));
    }
    let images = images.permute([0, 2, 3, 1]) + 0.0;
    let images = Tensor::from_inner(images.permute([0, 3, 1, 2])).require_grad();
    // The sum is taken in the order of memory, as PyTorch takes it.
    Box::new(move || {
        let output = layer.forward(images.clone()).permute([0, 2, 3, 1]);
        drop(output.sum().backward());
    })
}

/// The machine's multiply-adds.
mod peak {
    use std::hint::black_box;
    use std::time::Instant;

    /// Floating-point operations a second, two a multiply-add, over all threads.
    pub(super) fn flops(seconds: f64) -> f64 {
        let threads = std::env::var("RAYON_NUM_THREADS")
            .ok()
            .and_then(|threads| threads.parse().ok())
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| thread(seconds)))
                .collect();
            running
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .sum()
        })
    }

    fn thread(seconds: f64) -> f64 {
        const ROUNDS: usize = 100_000;
        let started = Instant::now();
        let mut operations = 0.0;
        while started.elapsed().as_secs_f64() < seconds {
            operations += rounds(ROUNDS);
        }
        operations / started.elapsed().as_secs_f64()
    }

    #[cfg(target_arch = "x86_64")]
    fn rounds(rounds: usize) -> f64 {
        // SAFETY: the machine was seen to have what the function is compiled for.
        #[allow(unsafe_code)]
        if is_x86_feature_detected!("avx512f") {
            return unsafe { avx512(black_box(rounds)) };
        } else if is_x86_feature_detected!("fma") {
            return unsafe { avx2(black_box(rounds)) };
        }
        portable(black_box(rounds))
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn rounds(rounds: usize) -> f64 {
        portable(black_box(rounds))
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn avx512(rounds: usize) -> f64 {
        use std::arch::x86_64::*;
        let (a, b) = (
            _mm512_set1_ps(black_box(0.5)),
            _mm512_set1_ps(black_box(0.25)),
        );
        let mut sums = [_mm512_setzero_ps(); 16];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
        (rounds * 16 * 16 * 2) as f64
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(rounds: usize) -> f64 {
        use std::arch::x86_64::*;
        let (a, b) = (
            _mm256_set1_ps(black_box(0.5)),
            _mm256_set1_ps(black_box(0.25)),
        );
        let mut sums = [_mm256_setzero_ps(); 12];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
        (rounds * 12 * 8 * 2) as f64
    }

    fn portable(rounds: usize) -> f64 {
        let (a, b) = (black_box(0.5_f32), black_box(0.25_f32));
        let mut sums = [0.0_f32; 32];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = *sum * a + b;
            }
        }
        black_box(sums);
        (rounds * 32 * 2) as f64
    }
}
