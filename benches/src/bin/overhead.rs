//! Times the steps of every named recipe against the bare passes that they need, in one run.
//!
//! ```text
//! cargo run --release -p kd-benches --bin overhead -- [ROUNDS] [RECIPE ...]
//! ```
//!
//! ResNet-20 teaches ResNet-8 on Shapes, in the batches of the recipe. A round takes a few steps of
//! each phase as a run takes them, then as many of the passes alone: forward through every network
//! over every view that the dry run counts, one backward of the summed logits, the optimiser. What a
//! step takes beyond them is views, losses and checks. The ratio is the median over the rounds.

use std::hint::black_box;
use std::time::Instant;

use kd::burn::module::Module;
use kd::burn::optim::GradientsParams;
use kd::burn::tensor::Distribution;
use kd::models::BranchedClassifier;
use kd::prelude::*;
use kd::train::{Ask, Depth, Phase, Terms};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let rounds = words.next().map_or(Ok(5), |rounds| rounds.parse())?;
    let named: Vec<String> = words.collect();
    let set = Shapes::render(0, Split::Train, 640);
    println!(
        "| recipe | phase | images: gradient, alone, teacher | step, ms | passes, ms | ratio |"
    );
    println!("|---|---|---|---:|---:|---:|");
    for (name, _) in Recipe::names() {
        if named.is_empty() || named.iter().any(|wanted| wanted == name) {
            recipe(name, rounds, &set)?;
        }
    }
    Ok(())
}

fn recipe(name: &str, rounds: usize, set: &ImageSet) -> Result<(), Failure> {
    let recipe = Recipe::named(name)?;
    let before_relu = recipe.needs_before_relu(&Terms::standard())?;
    let (device, spec) = (
        default_device()?,
        InputSpec::cifar(10, Statistics::CIFAR10)?,
    );
    let config = |seed| ModelConfig::new(spec.clone()).with_seed(seed);
    let network = |architecture: Architecture, seed| -> Result<Classifier, Failure> {
        let network = architecture.init(&config(seed), &device)?;
        Ok(match before_relu {
            true => network.with_before_relu(),
            false => network,
        })
    };
    let teacher = network(Architecture::ResNet20, 0)?;
    let mut distiller = Distiller::new(recipe.clone())?.with_teacher(&teacher);
    for peer in 1..recipe.peers {
        distiller = distiller.with_peer(&network(Architecture::ResNet8, 1 + peer as u64)?);
    }
    let branched = |seed| {
        BranchedClassifier::new(
            Architecture::ResNet8,
            &config(seed),
            recipe.branches,
            &device,
        )
    };
    let dry = || -> Result<_, Failure> {
        Ok(match recipe.branches {
            1 => distiller.dry_run(network(Architecture::ResNet8, 1)?, set)?,
            _ => distiller.dry_run(branched(1)?, set)?,
        })
    };
    let phases = dry()?.phases;
    let mut pairs = vec![Vec::new(); phases.len()];
    for _ in 0..rounds {
        for (number, phase) in dry()?.phases.iter().enumerate() {
            let alone = match recipe.branches {
                1 => {
                    let networks = (0..recipe.peers as u64)
                        .map(|peer| network(Architecture::ResNet8, 1 + peer));
                    passes(
                        networks.collect::<Result<_, _>>()?,
                        &teacher,
                        phase,
                        &recipe,
                    )
                }
                _ => passes(vec![branched(1)?], &teacher, phase, &recipe),
            };
            pairs[number].push([phase.seconds, alone]);
        }
    }
    for (phase, pairs) in phases.iter().zip(pairs) {
        let median = |mut of: Vec<f64>| {
            of.sort_by(f64::total_cmp);
            of[of.len() / 2]
        };
        let column = |column: usize| median(pairs.iter().map(|pair| pair[column]).collect());
        let ratio = median(pairs.iter().map(|[step, alone]| step / alone).collect());
        println!(
            "| `{name}` | {} | {}, {}, {} | {:.1} | {:.1} | {ratio:.3} |",
            phase.terms.join(", "),
            phase.images.student_images,
            phase.images.student_scored_images,
            phase.images.teacher_images,
            1e3 * column(0),
            1e3 * column(1),
        );
    }
    Ok(())
}

/// Seconds of the passes of a step: the median of a few.
fn passes<M: Classify>(
    networks: Vec<M>,
    teacher: &Classifier,
    phase: &Phase,
    recipe: &Recipe,
) -> f64 {
    let batch = recipe.batch_size;
    let device = teacher.devices().swap_remove(0);
    let images = Tensor::<4>::random([batch, 3, 32, 32], Distribution::Uniform(0.0, 1.0), &device);
    let mut networks: Vec<M> = networks.into_iter().map(M::train).collect();
    let mut optimizer = recipe.optimizer.init();
    let views = |of: &dyn Fn(&kd::train::Passes) -> bool| {
        phase.views.iter().filter(|view| of(view)).count()
    };
    let with_graph = views(&|view| view.networks == Ask::WithGraph);
    let detached = views(&|view| view.networks == Ask::Detached);
    let alone = phase.images.student_scored_images as usize / batch;
    let asked = phase.images.teacher_images as usize / batch;
    let features = views(&|view| view.teacher >= Depth::Features).min(asked);
    let mut seconds = Vec::new();
    for _ in 0..4 {
        let started = Instant::now();
        for number in 0..asked {
            match number < features {
                true => drop(black_box(teacher.forward_features(images.clone()))),
                false => drop(black_box(teacher.forward(images.clone()))),
            }
        }
        if alone > 0 && detached == 0 {
            let frozen = networks[0].valid();
            for _ in 0..alone {
                black_box(frozen.forward(images.clone()));
            }
        }
        let mut sum = None;
        for _ in 0..with_graph {
            for network in &networks {
                let passed = network.forward_heads(Tensor::from_inner(images.clone()));
                for head in passed.heads {
                    let mean = head.logits.mean();
                    sum = Some(sum.map_or(mean.clone(), |sum| sum + mean));
                }
            }
        }
        for _ in 0..detached {
            for network in &networks {
                black_box(network.forward_heads(Tensor::from_inner(images.clone())));
            }
        }
        if let Some(sum) = sum {
            let mut gradients = sum.backward();
            let step = |network: M| {
                let gradients = GradientsParams::from_module(&mut gradients, &network);
                optimizer.step(recipe.optimizer.learning_rate, network, gradients)
            };
            networks = networks.into_iter().map(step).collect();
        }
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    seconds[1]
}
