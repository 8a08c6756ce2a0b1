//! One page with everything that a page can hold. It stays in the target folder's `tmp/report.html`, to be looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use kd_metrics::report::Table;
use kd_metrics::{CalibrationBin, Report, Section, plot};

/// A curve like a loss: falling, with noise from a formula.
fn curve(start: f64, end: f64, noise: f64, steps: usize) -> Vec<(f64, f64)> {
    (0..steps)
        .map(|step| {
            let x = step as f64;
            let jitter = noise * ((step * 7919 % 101) as f64 / 101.0 - 0.5);
            (
                x,
                end + (start - end) * (-x / (0.2 * steps as f64)).exp() + jitter,
            )
        })
        .collect()
}

/// Fifteen bins of an overconfident network with most of its samples in the last one, and none in the first two.
fn bins() -> Vec<CalibrationBin> {
    (0..15u32)
        .map(|index| {
            let lower = f64::from(index) / 15.0;
            let confidence = lower + 0.035;
            CalibrationBin {
                lower,
                upper: f64::from(index + 1) / 15.0,
                count: match index {
                    0 | 1 => 0,
                    14 => 7400,
                    _ => 20 + 4 * u64::from(index * index),
                },
                confidence,
                accuracy: (confidence - 0.12 * (1.0 - confidence) - 0.05 * f64::from(index % 3))
                    .max(0.0),
            }
        })
        .collect()
}

/// A planar picture of colours from a formula.
fn picture(index: usize) -> Vec<u8> {
    let pixel = |c: usize, y: usize, x: usize| match c {
        0 => (x * 8 + index * 25) % 256,
        1 => (y * 8 + index * 55) % 256,
        _ => ((x + y) * 4 + index * 85) % 256,
    };
    (0..3)
        .flat_map(|c| (0..32).flat_map(move |y| (0..32).map(move |x| pixel(c, y, x) as u8)))
        .collect()
}

fn page() -> String {
    let loss = plot::LineChart::new("Training loss", "epoch", "nats")
        .series("plain", curve(2.3, 0.62, 0.02, 60))
        .series("KD", curve(2.2, 0.5, 0.02, 60))
        .band(
            curve(2.2, 0.5, 0.02, 60)
                .into_iter()
                .map(|(x, y)| (x, y - 0.08, y + 0.08))
                .collect(),
        )
        .series("KD + TLCutMix", curve(2.1, 0.48, 0.02, 60))
        .series("KD + TLCutMix + pick", curve(2.1, 0.35, 0.02, 60));
    let rate = plot::LineChart::new("Learning rate", "step", "rate, logarithmic")
        .series(
            "schedule",
            (0..400)
                .map(|s| (f64::from(s), 0.05 * 0.1f64.powi(s / 150)))
                .collect(),
        )
        .log_y();
    let schemes = [
        ("identity", 0.016_77),
        ("flip", 0.016_12),
        ("crop + flip", 0.015_46),
        ("cutout", 0.015_21),
        ("mixup", 0.012_03),
        ("CutMix", 0.011_38),
        ("CutMixPick", 0.010_11),
    ];
    let ranking: Vec<_> = schemes
        .iter()
        .map(|&(name, value)| (name, value, Some((value - 0.0007, value + 0.0006))))
        .collect();
    let mut table = Table::new(["scheme", "T. stddev", "95 % interval", "means", "note"])
        .caption("T. stddev of seven schemes, parameters drawn for each sample.");
    for (name, value) in schemes {
        let interval = format!("[{:.5}, {:.5}]", value - 0.0007, value + 0.0006);
        table = table.row([name, &format!("{value:.5}"), &interval, "64", ""]);
    }
    let pictures: Vec<Vec<u8>> = (0..10).map(picture).collect();
    let row = |from: usize| {
        (0..10)
            .map(|i| pictures[(from + i) % 10].as_slice())
            .collect()
    };
    Report::new("ResNet-20 as a teacher")
        .lead("What this teacher knows beyond the label, and which augmentation lets it say so. 10,000 test images, seed 0.")
        .section(
            Section::new("Evaluation")
                .numbers([("top-1", "91.73 %"), ("top-5", "99.71 %"), ("NLL", "0.282 nats"), ("ECE", "3.50 %"), ("KL to people", "0.273 nats")])
                .paragraph("The network is overconfident: where it says 90 %, it is right in about 84 of 100 cases. A temperature above 1 would help its students more than a longer training.")
                .svg(plot::reliability_diagram(&bins(), 0.035).unwrap(), "Accuracy in each bin of confidence. Bars below the dashed line are overconfident.")
                .svg(loss.render().unwrap(), "Loss of four students over 60 epochs; the band is one standard deviation over three seeds."),
        )
        .section(
            Section::new("Which augmentation")
                .paragraph("Lower is better: a student meets a teacher that varies less between draws.")
                .svg(plot::bar_with_interval("T. stddev by scheme", "standard deviation of the mean probability", &ranking).unwrap(), "Bars with 95 % bootstrap intervals over 64 means.")
                .svg(rate.render().unwrap(), "The schedule drops twice.")
                .table(table),
        )
        .section(
            Section::new("What the student saw")
                .contact_sheet(&[("standard view", row(0)), ("mixed: TLCutMix", row(3)), ("picked by entropy", row(5))], [3, 32, 32], 2, "Ten samples of one batch in three views.")
                .unwrap(),
        )
        .section(
            Section::new("Nothing yet")
                .svg(plot::LineChart::new("No data", "epoch", "nats").render().unwrap(), "A chart without points.")
                .svg(plot::LineChart::new("One point", "epoch", "top-1").series("student", vec![(1.0, 0.42)]).render().unwrap(), "A chart with one."),
        )
        .render()
}

/// The tags of a page or figure, closed in the order in which they were opened.
fn assert_balanced(html: &str) {
    const VOID: [&str; 4] = ["!doctype", "meta", "link", "img"];
    let mut open = Vec::new();
    for piece in html.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("every tag ends");
        let name = tag
            .trim_start_matches('/')
            .split([' ', '\n'])
            .next()
            .unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed in order");
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

#[test]
fn a_full_page_is_whole_and_needs_nothing_else() {
    let html = page();
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/report.html"), &html).unwrap();
    assert_balanced(&html);
    assert!(html.len() < 400_000, "{} bytes", html.len());
    for forbidden in ["<script", "@import", "url(", "https://", "NaN"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    // The only address is the name of the SVG namespace.
    assert_eq!(
        html.matches("http://").count(),
        html.matches("xmlns=\"http://www.w3.org/2000/svg\"").count()
    );
}
