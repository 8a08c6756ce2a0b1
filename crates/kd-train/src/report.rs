//! The page of a run: what a reader wants to know first, curves, calibration, what the networks were shown, the recipe.

use std::collections::BTreeSet;

use burn::tensor::Tensor;
use kd_data::Batch;
use kd_metrics::plot::{LineChart, reliability_diagram};
use kd_metrics::report::Table;
use kd_metrics::{EvaluationReport, Report, Section};

use crate::TrainError;
use crate::evaluation::host;
use crate::log::{EpochRecord, EpochTiming, TestRecord};
use crate::progress::duration;
use crate::recipe::Recipe;
use crate::term::Seen;
use crate::view::ORIGINAL;

/// Images of a batch in a row of the picture.
const SHOWN: usize = 8;

pub(crate) struct Facts<'a> {
    pub(crate) name: &'a str,
    pub(crate) recipe: &'a Recipe,
    pub(crate) history: &'a [EpochRecord],
    pub(crate) evaluation: Option<&'a EvaluationReport>,
    pub(crate) timings: &'a [EpochTiming],
    pub(crate) samples: Option<&'a Samples>,
}

/// A few images as the networks saw them.
pub(crate) struct Samples {
    shape: [usize; 3],
    raw: Vec<Vec<u8>>,
    views: Vec<(String, Vec<Vec<u8>>)>,
}

impl Samples {
    /// `None` for images that are neither grey nor RGB: there is no picture of them.
    pub(crate) fn of(batch: &Batch, views: &[(String, Seen)]) -> Result<Option<Self>, TrainError> {
        let [_, channels, height, width] = batch.shape;
        if !matches!(channels, 1 | 3) {
            return Ok(None);
        }
        let size = channels * height * width;
        let rows = |images: &Tensor<4>| -> Result<Vec<Vec<u8>>, TrainError> {
            let shown = images.dims()[0].min(SHOWN);
            let pixels = host(images.clone().narrow(0, 0, shown))?;
            let level = |pixel: &f32| (pixel * 255.0).round().clamp(0.0, 255.0) as u8;
            Ok(pixels
                .chunks_exact(size)
                .map(|image| image.iter().map(level).collect())
                .collect())
        };
        Ok(Some(Self {
            shape: [channels, height, width],
            raw: batch
                .images
                .chunks_exact(size)
                .take(SHOWN)
                .map(<[u8]>::to_vec)
                .collect(),
            views: views
                .iter()
                .filter_map(|(name, view)| Some((name.clone(), view.images.first()?)))
                .map(|(name, images)| Ok((name, rows(images)?)))
                .collect::<Result<_, TrainError>>()?,
        }))
    }
}

pub(crate) fn render(facts: &Facts) -> Result<String, TrainError> {
    let mut report = Report::new(facts.name).lead(lead(facts));
    report = report.section(outcome(facts)).section(curves(facts)?);
    if let Some(evaluation) = facts.evaluation {
        let diagram = reliability_diagram(&evaluation.calibration_bins, evaluation.ece)?;
        report = report.section(
            Section::new("Calibration")
                .paragraph(
                    "How often the student is right, against how sure it says it is, on the test set. A student that \
                     knows what it knows lies on the diagonal.",
                )
                .svg(diagram, "Reliability on the test set, 15 bins of equal width."),
        );
    }
    if let Some(samples) = facts.samples {
        report = report.section(pictures(samples)?);
    }
    Ok(report.section(recipe(facts.recipe)).render())
}

fn lead(facts: &Facts) -> String {
    let epochs = facts.recipe.epochs;
    match facts.evaluation {
        Some(evaluation) => format!(
            "After {epochs} epochs the student is right on {:.2} % of {} test images.",
            100.0 * evaluation.top1,
            evaluation.samples
        ),
        None => format!("{epochs} epochs, no test set."),
    }
}

fn outcome(facts: &Facts) -> Section {
    let mut section = Section::new("Outcome");
    if let Some(evaluation) = facts.evaluation {
        let test = TestRecord::from(evaluation);
        let mut numbers = vec![
            ("top-1".to_string(), format!("{:.2} %", 100.0 * test.top1)),
            ("top-5".to_string(), format!("{:.2} %", 100.0 * test.top5)),
            ("NLL".to_string(), format!("{:.4} nats", test.nll)),
            ("ECE".to_string(), format!("{:.4}", test.ece)),
        ];
        if let Some(kl) = test.kl_human {
            numbers.push(("KL to human labels".into(), format!("{kl:.4} nats")));
        }
        section = section.numbers(numbers);
    }
    if !peers(facts.history).is_empty() {
        let table = Table::new(["peer", "top-1, %", "top-5, %", "NLL, nats", "ECE"]);
        let rows = peers(facts.history).iter().enumerate();
        section = section.table(rows.fold(table, |table, (number, test)| {
            let [top1, top5] = [test.top1, test.top5].map(|share| format!("{:.2}", 100.0 * share));
            let [nll, ece] = [test.nll, test.ece].map(|value| format!("{value:.4}"));
            table.row([number.to_string(), top1, top5, nll, ece])
        }));
    }
    let sum = |of: fn(&EpochTiming) -> u64| facts.timings.iter().map(of).sum::<u64>();
    let seconds: f64 = facts.timings.iter().map(|t| t.seconds).sum();
    let mut rows = vec![
        ("epochs".to_string(), facts.history.len().to_string()),
        ("training time".into(), duration(seconds)),
        (
            "images trained on".into(),
            sum(|t| t.counts.student_images).to_string(),
        ),
        (
            "images scored by the student".into(),
            sum(|t| t.counts.student_scored_images).to_string(),
        ),
        (
            "images shown to the teacher".into(),
            sum(|t| t.counts.teacher_images).to_string(),
        ),
    ];
    rows.extend(facts.recipe.terms.iter().map(|(name, term)| {
        let on = term.on.join(", ");
        (format!("weight of {name} on {on}"), term.weight.to_string())
    }));
    let table = rows
        .into_iter()
        .fold(Table::new(["", ""]), |table, (name, value)| {
            table.row([name, value])
        });
    section.table(table)
}

/// Every peer when they were last measured.
fn peers(history: &[EpochRecord]) -> &[TestRecord] {
    let measured = history.iter().rev().find(|record| !record.peers.is_empty());
    measured.map_or(&[], |record| &record.peers)
}

fn curves(facts: &Facts) -> Result<Section, TrainError> {
    let points = |of: &dyn Fn(&EpochRecord) -> Option<f64>| -> Vec<(f64, f64)> {
        facts
            .history
            .iter()
            .filter_map(|record| Some((record.epoch as f64 + 1.0, of(record)?)))
            .collect()
    };
    let mut losses = LineChart::new("Training loss, by term", "epoch", "not weighted");
    let names: BTreeSet<&String> = facts
        .history
        .iter()
        .flat_map(|record| record.train.terms.keys())
        .collect();
    for name in names {
        let curve = points(&|record| record.train.terms.get(name).copied());
        losses = losses.series(name.as_str(), curve);
    }
    let rates = points(&|record| Some(record.learning_rate));
    let rate = LineChart::new("Learning rate", "epoch", "")
        .log_y()
        .series("learning rate", rates);
    let mut section = Section::new("Curves").svg(
        losses.render()?,
        "Means over each epoch, taken while the student changed.",
    );
    let ratios = points(&|record| record.score_ratio);
    if !ratios.is_empty() {
        let chart = LineChart::new("What picking finds", "epoch", "ratio").series("r", ratios);
        section = section.svg(
            chart.render()?,
            "Mean score of the mixed images that were picked over the mean score of their pool: 1 where any would do.",
        );
    }
    if facts.history.iter().any(|record| record.test.is_some()) {
        let mut accuracy = LineChart::new("Test accuracy", "epoch", "%").series(
            "top-1",
            points(&|record| record.test.map(|test| 100.0 * test.top1)),
        );
        let mut likelihood = LineChart::new("Test likelihood", "epoch", "nats")
            .series("NLL", points(&|record| record.test.map(|test| test.nll)));
        for peer in 0..peers(facts.history).len() {
            let name = format!("peer {peer}");
            let of = |record: &EpochRecord| record.peers.get(peer).copied();
            let top1 = points(&|record| of(record).map(|test| 100.0 * test.top1));
            let nll = points(&|record| of(record).map(|test| test.nll));
            accuracy = accuracy.series(name.clone(), top1);
            likelihood = likelihood.series(name, nll);
        }
        section = section
            .svg(
                accuracy.render()?,
                "Share of test images whose label has the largest logit.",
            )
            .svg(
                likelihood.render()?,
                "Mean negative log-likelihood of the labels.",
            );
    }
    Ok(section.svg(rate.render()?, "As applied, on a logarithmic axis."))
}

fn pictures(samples: &Samples) -> Result<Section, TrainError> {
    fn row(images: &[Vec<u8>]) -> Vec<&[u8]> {
        images.iter().map(Vec::as_slice).collect()
    }
    let named = |name: &str| match name {
        ORIGINAL => "original view".to_string(),
        name => format!("view {name}"),
    };
    let views: Vec<_> = samples
        .views
        .iter()
        .map(|(name, images)| (named(name), images))
        .collect();
    let mut rows = vec![("as stored", row(&samples.raw))];
    rows.extend(views.iter().map(|(name, images)| (&name[..], row(images))));
    let scale = (64 / samples.shape[2].max(1)).clamp(1, 4);
    Ok(Section::new("What the networks were shown")
        .paragraph(
            "The beginning of the first batch. Teacher and student see the same pixels. Images of a view that is \
             picked from a pool stand in the order of their score, not under those they were made of.",
        )
        .contact_sheet(&rows, samples.shape, scale, "The first images of the first step.")?)
}

fn recipe(recipe: &Recipe) -> Section {
    let mut table = Table::new(["key", "value"]);
    let mut place = String::new();
    for line in recipe.to_toml().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            place = format!("{}.", name.trim_matches(['[', ']']));
        } else if let Some((key, value)) = line.split_once(" = ") {
            table = table.row([format!("{place}{key}"), value.to_string()]);
        }
    }
    Section::new("Recipe").table(table)
}
