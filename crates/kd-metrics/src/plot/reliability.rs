//! Reliability diagrams.

use super::canvas::{Canvas, Pen, SERIES, Type, figure};
use crate::CalibrationBin;
use crate::error::MetricError;

const SIZE: [f64; 2] = [400.0, 430.0];
const LEFT: f64 = 44.0;
const RIGHT: f64 = 380.0;
/// The panel of accuracy over confidence.
const TOP: f64 = 56.0;
const BOTTOM: f64 = 318.0;
/// The panel of counts below it.
const COUNTS_TOP: f64 = 334.0;
const COUNTS_BOTTOM: f64 = 386.0;

/// Accuracy over confidence, bin by bin (DeGroot and Fienberg, 1983; Guo et al., 2017, figure 1), with the share of samples in each bin below.
///
/// A bar is the accuracy in its bin; the light part between it and the bin's mean confidence is the gap that the calibration error `ece`
/// averages. A bar below the diagonal means overconfidence. Bins without samples stay empty.
///
/// # Errors
/// [`MetricError::Picture`] when drawing fails, which data cannot cause.
pub fn reliability_diagram(bins: &[CalibrationBin], ece: f64) -> Result<String, MetricError> {
    let error = format!("ECE {:.2} %", 100.0 * ece);
    figure(&format!("Reliability diagram, {error}"), SIZE, |canvas| {
        canvas.text("Reliability", (0.0, 12.0), Type::TITLE)?;
        canvas.text(&error, (RIGHT, 12.0), Type::BODY.right())?;
        draw_key(canvas)?;
        draw_axes(canvas)?;
        draw_counts(canvas, bins)?;
        for bin in bins.iter().filter(|bin| bin.count > 0) {
            draw_bin(canvas, bin)?;
        }
        let diagonal = [(LEFT, BOTTOM), (RIGHT, TOP)];
        canvas.dashed(&diagonal, &[5.0, 4.0], Pen::ink(0.6, 1.2))
    })
}

fn accuracy_pen() -> Pen {
    Pen::new(SERIES[0], 0.0).alpha(0.85)
}

fn gap_pen() -> Pen {
    Pen::new(SERIES[1], 0.0).alpha(0.45)
}

fn draw_key(canvas: &mut Canvas<'_>) -> Result<(), MetricError> {
    let entries = [
        (0.0, "accuracy", accuracy_pen()),
        (92.0, "gap to confidence", gap_pen()),
    ];
    for (x, text, pen) in entries {
        canvas.rectangle((x, 29.0), (x + 10.0, 39.0), pen)?;
        canvas.text(text, (x + 16.0, 34.0), Type::AXIS)?;
    }
    Ok(())
}

fn draw_axes(canvas: &mut Canvas<'_>) -> Result<(), MetricError> {
    for step in 0..=5 {
        let value = f64::from(step) / 5.0;
        let (x, y) = (across(value), up(value));
        let strength = if step == 0 { 0.5 } else { 0.13 };
        canvas.path(&[(LEFT, y), (RIGHT, y)], Pen::ink(strength, 1.0))?;
        let text = format!("{:.0} %", 100.0 * value);
        canvas.text(&text, (LEFT - 6.0, y), Type::AXIS.right())?;
        let below = (x, COUNTS_BOTTOM + 13.0);
        canvas.text(&text, below, Type::AXIS.centred())?;
    }
    let baseline = [(LEFT, COUNTS_BOTTOM), (RIGHT, COUNTS_BOTTOM)];
    canvas.path(&baseline, Pen::ink(0.5, 1.0))?;
    let centre = ((LEFT + RIGHT) / 2.0, SIZE[1] - 10.0);
    canvas.text("confidence", centre, Type::AXIS.centred())
}

fn draw_bin(canvas: &mut Canvas<'_>, bin: &CalibrationBin) -> Result<(), MetricError> {
    let (left, right) = columns(bin);
    let (accuracy, confidence) = (up(bin.accuracy), up(bin.confidence));
    canvas.rectangle((left, accuracy), (right, BOTTOM), accuracy_pen())?;
    let (top, bottom) = (accuracy.min(confidence), accuracy.max(confidence));
    canvas.rectangle((left, top), (right, bottom), gap_pen())
}

/// Shares of samples, relative to the fullest bin, which says its own.
fn draw_counts(canvas: &mut Canvas<'_>, bins: &[CalibrationBin]) -> Result<(), MetricError> {
    let total: u64 = bins.iter().map(|bin| bin.count).sum();
    let Some(fullest) = bins
        .iter()
        .max_by_key(|bin| bin.count)
        .filter(|_| total > 0)
    else {
        return canvas.text("no data", (LEFT + 8.0, BOTTOM - 14.0), Type::AXIS);
    };
    for bin in bins.iter().filter(|bin| bin.count > 0) {
        let (left, right) = columns(bin);
        let height = (COUNTS_BOTTOM - COUNTS_TOP) * bin.count as f64 / fullest.count as f64;
        let top = COUNTS_BOTTOM - height;
        canvas.rectangle((left, top), (right, COUNTS_BOTTOM), Pen::ink(0.4, 0.0))?;
    }
    let share = 100.0 * fullest.count as f64 / total as f64;
    let text = format!("{share:.0} % of samples");
    let middle = (fullest.lower + fullest.upper) / 2.0;
    let height = COUNTS_TOP + 6.0;
    if middle > 0.5 {
        let at = (across(fullest.lower) - 6.0, height);
        canvas.text(&text, at, Type::AXIS.right())
    } else {
        canvas.text(&text, (across(fullest.upper) + 6.0, height), Type::AXIS)
    }
}

/// Left and right of a bin's bar, with a little air. A bin of equal mass may hold a single
/// confidence; its bar is as narrow as can be seen.
fn columns(bin: &CalibrationBin) -> (f64, f64) {
    const NARROWEST: f64 = 1.5;
    let (left, right) = (across(bin.lower), across(bin.upper));
    if right - left < NARROWEST {
        let centre = (left + right) / 2.0;
        return (centre - NARROWEST / 2.0, centre + NARROWEST / 2.0);
    }
    let air = (0.04 * (right - left)).min(1.0);
    (left + air, right - air)
}

fn across(value: f64) -> f64 {
    LEFT + value * (RIGHT - LEFT)
}

fn up(value: f64) -> f64 {
    BOTTOM - value * (BOTTOM - TOP)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn empty_bins_have_no_bar() {
        let bin = |lower: f64, count| CalibrationBin {
            lower,
            upper: lower + 0.5,
            count,
            confidence: lower + 0.3,
            accuracy: lower,
        };
        let svg = reliability_diagram(&[bin(0.0, 0), bin(0.5, 10)], 0.3).unwrap();
        // Two in the key, and three for the bin with samples: its count, its accuracy, its gap.
        assert_eq!(svg.matches("<polygon").count(), 5);
        assert!(svg.contains("ECE 30.00 %"));
    }

    #[test]
    fn a_bin_of_one_confidence_is_seen() {
        let bin = CalibrationBin {
            lower: 0.1,
            upper: 0.1,
            count: 4,
            confidence: 0.1,
            accuracy: 0.5,
        };
        let (left, right) = columns(&bin);
        assert!(right - left >= 1.0, "{left} {right}");
    }

    #[test]
    fn no_samples_say_so() {
        assert!(reliability_diagram(&[], 0.0).unwrap().contains("no data"));
    }
}
