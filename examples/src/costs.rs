//! What a dry run found, as text and as JSON.

use std::fmt::Write;

use kd::train::{Ask, Depth, DryRun, LabelKind, Passes, Phase};
use serde_json::{Value, json};

/// Multiply-adds of a forward pass over one image.
#[derive(Clone, Debug, Default)]
pub struct MultiplyAdds {
    /// Of the student and of each peer.
    pub networks: Vec<u64>,
    /// Of the teacher; 0 without one.
    pub teacher: u64,
}

impl MultiplyAdds {
    /// Those of an epoch. A pass with a gradient counts three times: forward, and backward to the
    /// input and to the weights.
    fn of_epoch(&self, run: &DryRun, phase: &Phase) -> u64 {
        let images = run.images(phase);
        let share = |images: u64| {
            let each = images / run.networks as u64;
            each * self.networks.iter().sum::<u64>()
        };
        3 * share(images.student_images)
            + share(images.student_scored_images)
            + images.teacher_images * self.teacher
    }

    fn of_run(&self, run: &DryRun) -> u64 {
        let phases = run.phases.iter();
        let of = |phase| phase_epochs(phase) * self.of_epoch(run, phase);
        phases.map(of).sum()
    }
}

fn phase_epochs(phase: &Phase) -> u64 {
    phase.epochs.len() as u64
}

/// Writes down what each step passes, and what it costs.
pub fn costs(run: &DryRun, multiply_adds: &MultiplyAdds) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_costs(&mut text, run, multiply_adds);
    text.truncate(text.trim_end().len());
    text
}

fn write_costs(text: &mut String, run: &DryRun, macs: &MultiplyAdds) -> std::fmt::Result {
    for phase in &run.phases {
        let (first, last) = (phase.epochs.start + 1, phase.epochs.end);
        let epochs = match first == last {
            true => format!("epoch {first}"),
            false => format!("epochs {first} to {last}"),
        };
        writeln!(
            text,
            "{epochs}, {} steps each: {}",
            run.steps,
            phase.terms.join(", ")
        )?;
        let rows: Vec<[String; 5]> = phase.views.iter().map(row).collect();
        let head = ["view", "networks", "teacher", "labels", "read by"].map(String::from);
        let widths: Vec<usize> = (0..5)
            .map(|column| {
                let cells = rows.iter().chain([&head]).map(|row| row[column].len());
                cells.max().unwrap_or(0)
            })
            .collect();
        for row in [&head].into_iter().chain(&rows) {
            let cells = row.iter().zip(&widths);
            let line: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            writeln!(text, "  {}", line.join("  ").trim_end())?;
        }
        let step = &phase.images;
        writeln!(
            text,
            "  a step:   {} images with a gradient, {} forward alone, {} through the teacher; {:.0} ms",
            step.student_images,
            step.student_scored_images,
            step.teacher_images,
            1e3 * phase.seconds
        )?;
        let epoch = run.images(phase);
        writeln!(
            text,
            "  an epoch: {} with a gradient, {} forward alone, {} through the teacher; {}; {}\n",
            epoch.student_images,
            epoch.student_scored_images,
            epoch.teacher_images,
            amount(macs.of_epoch(run, phase)),
            time(run.steps as f64 * phase.seconds)
        )?;
    }
    writeln!(
        text,
        "in all: {} epochs, {}, about {} on this machine, evaluations not counted",
        run.epochs,
        amount(macs.of_run(run)),
        time(run.seconds())
    )
}

fn row(view: &Passes) -> [String; 5] {
    let networks = match view.networks {
        Ask::Never => "-",
        Ask::Detached => "without a gradient",
        Ask::WithGraph => "with a gradient",
    };
    let teacher = match view.teacher {
        Depth::Nothing => "-",
        Depth::Logits => "logits",
        Depth::Features => "features",
        Depth::BeforeRelu => "features before ReLU",
    };
    let labels = match view.labels {
        LabelKind::Nothing => "-",
        LabelKind::Any => "any",
        LabelKind::Hard => "hard",
    };
    let cells = [
        &view.view,
        networks,
        teacher,
        labels,
        &view.terms.join(", "),
    ];
    cells.map(str::to_string)
}

fn amount(multiply_adds: u64) -> String {
    let amount = multiply_adds as f64;
    match amount {
        amount if amount >= 1e15 => format!("{:.2} P multiply-adds", amount / 1e15),
        amount if amount >= 1e12 => format!("{:.2} T multiply-adds", amount / 1e12),
        amount => format!("{:.2} G multiply-adds", amount / 1e9),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds >= 5400.0 => format!("{:.1} h", seconds / 3600.0),
        seconds if seconds >= 90.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{seconds:.1} s"),
    }
}

/// The same for programs.
pub fn costs_json(run: &DryRun, multiply_adds: &MultiplyAdds) -> anyhow::Result<Value> {
    let phases = run.phases.iter().map(|phase| {
        let mut value = serde_json::to_value(phase)?;
        value["images_of_an_epoch"] = serde_json::to_value(run.images(phase))?;
        value["multiply_adds_of_an_epoch"] = json!(multiply_adds.of_epoch(run, phase));
        Ok(value)
    });
    Ok(json!({
        "example": "distill",
        "dry_run": true,
        "steps": run.steps,
        "epochs": run.epochs,
        "networks": run.networks,
        "phases": phases.collect::<anyhow::Result<Vec<_>>>()?,
        "multiply_adds": multiply_adds.of_run(run),
        "seconds": run.seconds(),
    }))
}
