//! The whole idea in two minutes: a teacher, and three ways to train its student.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::time::Instant;

use clap::{CommandFactory, Parser};
use kd::augment::{Affine, Images, cpu};
use kd::metrics::PairedDifference;
use kd::metrics::plot::{LineChart, bar_with_interval};
use kd::metrics::report::Table;
use kd::models::weights;
use kd::prelude::*;
use kd_examples::{CommonOptions, Sets, make_folder, note, print, start_with, write_page};
use serde::Serialize;
use serde_json::{Value, json};

/// The whole idea in two minutes: train a teacher, then its student from the labels alone, with knowledge distillation,
/// and with distillation on CutMix images that the teacher labels and picks
#[derive(Parser)]
#[command(after_help = "\
Needs no data: it runs on Shapes, ten kinds of figures rendered from a seed. (KD_DATA is not looked at here; give --data
to run on CIFAR, and then more epochs.)

Left behind in --out (runs/quickstart): report.html, teacher.safetensors, and the first student of each method.")]
struct Options {
    /// The network that is learnt from: by default the one in --teacher-weights, else resnet14
    #[arg(long, value_name = "NAME")]
    teacher: Option<Architecture>,

    /// The network that learns
    #[arg(
        long,
        visible_alias = "arch",
        value_name = "NAME",
        default_value = "resnet8"
    )]
    student: Architecture,

    /// Use this teacher in place of training one
    #[arg(long, visible_alias = "weights", value_name = "FILE")]
    teacher_weights: Option<std::path::PathBuf>,

    /// Passes of the teacher over the training set
    #[arg(long, default_value_t = 5, value_name = "N")]
    teacher_epochs: usize,

    /// Passes of each student over the training set
    #[arg(long, default_value_t = 4, value_name = "N")]
    epochs: usize,

    /// Students of each method, each from weights of its own. With one, intervals are over the test images; with more,
    /// over the students
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10))]
    seeds: u64,

    #[command(flatten)]
    common: CommonOptions,
}

/// The three ways: a name for people, and the recipe.
const METHODS: [(&str, &str); 3] = [
    ("CE", "ce"),
    ("KD", "kd"),
    ("KD + TLCutMix + pick", "tlcutmix_pick"),
];

/// Images of the training set that are used if `--limit` does not say otherwise.
const IMAGES: usize = 2000;

/// One student.
#[derive(Clone, Debug, Serialize)]
struct Student {
    top1: f64,
    nll: f64,
    ece: f64,
    seconds: f64,
    /// For each test image, 1 if the student was right.
    #[serde(skip)]
    right: Vec<f64>,
}

/// The students of one method.
#[derive(Clone, Debug, Serialize)]
struct Row {
    method: &'static str,
    recipe: &'static str,
    students: Vec<Student>,
    /// Standard deviation of the accuracy over the seeds; of one seed, over the test images.
    deviation: f64,
    /// What this method has over the first, in share of test images, and its 95 % interval.
    gain: Option<PairedDifference>,
}

fn main() -> ExitCode {
    // The default is to need no data, whatever the environment says.
    let command = Options::command().mut_arg("data", |data| data.env(None));
    start_with(command, |options: &Options| options.common.json, run)
}

fn run(options: &Options) -> anyhow::Result<Value> {
    let device = default_device()?;
    let sets = CommonOptions {
        limit: options.common.limit.or(Some(IMAGES)),
        ..options.common.clone()
    }
    .sets()?;
    let folder = options.common.folder("quickstart");
    make_folder(&folder)?;
    let spec = sets.input_spec()?;
    let (train, test) = (sets.train.len(), sets.test.len());
    note(format_args!(
        "{train} training and {test} test images of {}",
        sets.name
    ));

    let started = Instant::now();
    // Refused before the teacher is trained, not after.
    METHODS
        .iter()
        .try_for_each(|(_, name)| recipe(name, options.epochs, 0).map(drop))?;
    let (teacher, teacher_seconds) = match &options.teacher_weights {
        Some(path) => {
            let teacher = weights::restore(path, options.teacher, &spec, None, &device)?;
            (teacher, None)
        }
        None => {
            let config = ModelConfig::new(spec.clone()).with_seed(options.common.seed);
            let architecture = options.teacher.unwrap_or(Architecture::ResNet14);
            let network = architecture.init(&config, &device)?;
            let recipe = recipe("ce", options.teacher_epochs, options.common.seed)?;
            let outcome = distiller(recipe, &sets, "teacher")?.run(network, &sets.train)?;
            (outcome.student, Some(outcome.seconds))
        }
    };
    weights::save(&teacher, &folder.join("teacher.safetensors"))?;
    let of_teacher = evaluate(&teacher, &sets.test, 256, &Progress::Silent)?;

    let mut rows: Vec<Row> = Vec::new();
    let mut curves = Vec::new();
    for (method, name) in METHODS {
        let mut students = Vec::new();
        for index in 0..options.seeds {
            let seed = options.common.seed + 1 + index;
            let config = ModelConfig::new(spec.clone()).with_seed(seed);
            let student = options.student.init(&config, &device)?;
            let label = format!("{name}, seed {seed}");
            let outcome = distiller(recipe(name, options.epochs, seed)?, &sets, &label)?
                .with_teacher(&teacher)
                .run(student, &sets.train)?;
            let Some(report) = outcome.evaluation else {
                anyhow::bail!("the test set is empty");
            };
            if index == 0 {
                let file = format!("student-{name}.safetensors");
                weights::save(&outcome.student, &folder.join(file))?;
            }
            curves.push((method, outcome.history));
            students.push(Student {
                top1: report.top1,
                nll: report.nll,
                ece: report.ece,
                seconds: outcome.seconds,
                right: right(&outcome.student, &sets.test)?,
            });
        }
        rows.push(Row {
            method,
            recipe: name,
            deviation: match &students[..] {
                [one] => deviation(&one.right) / (one.right.len() as f64).sqrt(),
                many => deviation(&many.iter().map(|s| s.top1).collect::<Vec<_>>()),
            },
            gain: rows
                .first()
                .and_then(|first| gain(&first.students, &students)),
            students,
        });
    }

    let head = TeacherRow {
        architecture: teacher.architecture(),
        report: &of_teacher,
        seconds: teacher_seconds,
    };
    let table = table(options.student, &head, &rows);
    let html = report(options, &sets, &rows, &curves, table.clone())?;
    let page = write_page(&folder, &html)?;
    if !options.common.json {
        print(text(&table))?;
    }
    note(format_args!(
        "{:.0} s in all",
        started.elapsed().as_secs_f64()
    ));
    Ok(json!({
        "example": "quickstart",
        "data": sets.name,
        "teacher": {
            "architecture": teacher.architecture(),
            "top1": of_teacher.top1,
            "nll": of_teacher.nll,
            "ece": of_teacher.ece,
            "seconds": teacher_seconds,
        },
        "student": options.student,
        "methods": rows,
        "seconds": started.elapsed().as_secs_f64(),
        "report": page.display().to_string(),
    }))
}

fn recipe(name: &str, epochs: usize, seed: u64) -> anyhow::Result<Recipe> {
    Ok(Recipe::named(name)?.with_overrides([
        format!("epochs={epochs}"),
        format!("seed={seed}"),
        "log.evaluate_epochs=0".into(),
    ])?)
}

fn distiller(recipe: Recipe, sets: &Sets, name: &str) -> anyhow::Result<Distiller> {
    Ok(Distiller::new(recipe)?
        .with_name(name)
        .with_test_set(sets.test.clone())
        .with_progress(Progress::Auto))
}

fn mean(students: &[Student], of: fn(&Student) -> f64) -> f64 {
    students.iter().map(of).sum::<f64>() / students.len() as f64
}

/// Sample standard deviation; 0 for a single value.
fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (squares / (n - 1.0).max(1.0)).sqrt()
}

/// For each test image, 1 if the network is right, else 0.
fn right(network: &Classifier, test: &ImageSet) -> anyhow::Result<Vec<f64>> {
    let logits = kd::train::logits(network, test, 256, &Progress::Silent)?;
    let rows = logits.chunks_exact(test.classes()).zip(test.labels());
    Ok(rows
        .map(|(row, label)| {
            let best = (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
            f64::from(u8::from(best == Some(usize::from(*label))))
        })
        .collect())
}

/// The gain in accuracy over another method with its 95 % interval: paired by seed; of one seed, paired by test image, which says
/// nothing of other seeds. Nothing where there is a single image.
fn gain(base: &[Student], students: &[Student]) -> Option<PairedDifference> {
    let (first, second) = match (base, students) {
        ([base], [student]) => (base.right.clone(), student.right.clone()),
        _ => {
            let accuracies = |students: &[Student]| students.iter().map(|s| s.top1).collect();
            (accuracies(base), accuracies(students))
        }
    };
    PairedDifference::of(&first, &second, 0.95).ok()
}

/// The first row of the table.
struct TeacherRow<'a> {
    architecture: Architecture,
    report: &'a kd::metrics::EvaluationReport,
    /// Of its training, if it was trained here.
    seconds: Option<f64>,
}

fn table(student: Architecture, teacher: &TeacherRow, rows: &[Row]) -> Vec<[String; 6]> {
    let TeacherRow {
        architecture,
        report,
        seconds,
    } = teacher;
    let mut table = vec![
        ["", "top-1", "gain over CE", "NLL", "ECE", "seconds"].map(String::from),
        [
            format!("teacher, {architecture}"),
            format!("{:.1} %", 100.0 * report.top1),
            String::new(),
            format!("{:.3}", report.nll),
            format!("{:.3}", report.ece),
            seconds.map_or(String::new(), |seconds| format!("{seconds:.0}")),
        ],
    ];
    for row in rows {
        let top1 = 100.0 * mean(&row.students, |s| s.top1);
        let gain = match (row.recipe, row.gain) {
            ("ce", _) | (_, None) => String::new(),
            (_, Some(gain)) => format!(
                "{:+.1} [{:+.1}, {:+.1}]{}",
                100.0 * gain.mean,
                100.0 * gain.interval.0,
                100.0 * gain.interval.1,
                if gain.is_significant() {
                    ""
                } else {
                    " not significant"
                }
            ),
        };
        table.push([
            format!("{student}, {}", row.method),
            format!("{top1:.1} ± {:.1} %", 100.0 * row.deviation),
            gain,
            format!("{:.3}", mean(&row.students, |s| s.nll)),
            format!("{:.3}", mean(&row.students, |s| s.ece)),
            format!("{:.0}", mean(&row.students, |s| s.seconds)),
        ]);
    }
    table
}

fn text(table: &[[String; 6]]) -> String {
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    table.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn report(
    options: &Options,
    sets: &Sets,
    rows: &[Row],
    curves: &[(&str, Vec<kd::train::EpochRecord>)],
    table: Vec<[String; 6]>,
) -> anyhow::Result<String> {
    let mut lines = table.into_iter();
    let headers = lines.next().unwrap_or_default();
    let table = lines.fold(Table::new(headers), |table, line| table.row(line));
    let spread = match options.seeds {
        1 => "One student of each method. ± is one standard error over the test images, and the gain is paired by test \
              image: both say nothing of other seeds. Give --seeds 5 for intervals over students."
            .to_string(),
        seeds => format!(
            "Means over {seeds} students of each method. ± is the standard deviation over them, and the gain is paired by \
             seed, with the interval of Student's t."
        ),
    };
    let outcome = Section::new("Accuracy, likelihood, calibration")
        .paragraph(format!(
            "{spread} Where the 95 % interval of a gain holds 0, the gain is not significant. All see the same images for the \
             same number of epochs; the last trains on a mixed view of them as well, which is part of its seconds."
        ))
        .table(table);

    let mut chart = LineChart::new("Cross-entropy while training", "epoch", "nats");
    for (method, _) in METHODS {
        let runs: Vec<_> = curves.iter().filter(|(name, _)| *name == method).collect();
        let points = (0..options.epochs).map(|epoch| {
            let values = runs
                .iter()
                .filter_map(|(_, history)| history.get(epoch)?.train.terms.get("ce").copied());
            let (sum, count) = values.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
            (epoch as f64 + 1.0, sum / f64::from(count))
        });
        chart = chart.series(method, points.collect());
    }
    let bars: Vec<_> = rows
        .iter()
        .map(|row| {
            let (top1, half) = (mean(&row.students, |s| s.top1), 1.96 * row.deviation);
            let percent = |share: f64| 100.0 * share.clamp(0.0, 1.0);
            let interval = (percent(top1 - half), percent(top1 + half));
            (row.method, percent(top1), Some(interval))
        })
        .collect();
    let figures = Section::new("Figures")
        .svg(
            bar_with_interval("Accuracy", "% of the test images", &bars)?,
            "Mean over the students; the interval is 1.96 times what stands behind ±.",
        )
        .svg(
            chart.render()?,
            "On the original view, mean over the students. One that is distilled is asked for more than the labels.",
        );
    let best = rows.iter().max_by(|a, b| {
        let accuracy = |row: &Row| mean(&row.students, |s| s.top1);
        accuracy(a).total_cmp(&accuracy(b))
    });
    let lead = best.map_or(String::new(), |row| {
        let top1 = 100.0 * mean(&row.students, |s| s.top1);
        format!("Best: {} with {top1:.1} % of the test images.", row.method)
    });
    Ok(Report::new(format!("{} on {}", options.student, sets.name))
        .lead(lead)
        .section(outcome)
        .section(figures)
        .section(pictures(sets)?)
        .render())
}

/// The first images of the set, as stored, cropped and flipped, and mixed.
fn pictures(sets: &Sets) -> anyhow::Result<Section> {
    let shown = sets.train.take(10);
    let [channels, height, width] = shown.shape();
    let shape = [shown.len(), channels, height, width];
    let images = Images::new(shown.pixels(), shape)?;
    let ids: Vec<u64> = (0..shown.len() as u64).collect();
    let after = |augmentation: Augmentation| -> anyhow::Result<Vec<u8>> {
        let plan = augmentation.sample(&DrawKey::new(0), &ids, 0, shown.shape())?;
        let mut pixels = vec![0.0; shown.pixels().len()];
        cpu::apply(&plan, images, &mut pixels, &Affine::unit())?;
        Ok(pixels.iter().map(|p| (255.0 * p).round() as u8).collect())
    };
    let moved = after(Augmentation::crop_flip(4))?;
    let mixed = after(Augmentation::crop_flip(4).with_mix(CutMix::default()))?;
    let row = |pixels: &'static str, data| (pixels, data);
    let rows = [
        row(
            "as stored",
            chunks(shown.pixels(), channels * height * width),
        ),
        row("crop + flip", chunks(&moved, channels * height * width)),
        row("CutMix of them", chunks(&mixed, channels * height * width)),
    ];
    let caption = "The label of a mixed image is what the teacher says of it.";
    Ok(Section::new("What the networks are shown").contact_sheet(
        &rows,
        shown.shape(),
        2,
        caption,
    )?)
}

fn chunks(pixels: &[u8], size: usize) -> Vec<&[u8]> {
    pixels.chunks_exact(size).collect()
}
