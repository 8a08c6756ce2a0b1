//! Values with intervals, as horizontal bars.

use super::axis::{Axis, significant};
use super::canvas::{Canvas, Pen, SERIES, Type, figure, fit, text_width};
use crate::error::MetricError;

const WIDTH: f64 = 480.0;
const ROW: f64 = 26.0;
const BAR: f64 = 13.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;
const NAMES_SHARE: f64 = 0.34;

/// A row: its name, its value, and the interval (low, high) around it where there is one.
pub type Bar<'a> = (&'a str, f64, Option<(f64, f64)>);

/// Horizontal bars from zero, one a row in the order given, each with its value and, where there is one, a whisker over its interval
/// (low, high).
///
/// A value that is NaN or infinite has no bar and is written as a dash; so is an interval with such an end.
///
/// # Errors
/// [`MetricError::Picture`] when drawing fails, which data cannot cause.
pub fn bar_with_interval(
    title: &str,
    x_label: &str,
    rows: &[Bar<'_>],
) -> Result<String, MetricError> {
    let bottom = TOP + ROW * rows.len().max(1) as f64;
    let label = format!("{title}: {x_label}");
    figure(&label, [WIDTH, bottom + BOTTOM], |canvas| {
        canvas.text(&fit(title, WIDTH * 0.85), (0.0, 12.0), Type::TITLE)?;
        if rows.is_empty() {
            let centre = (WIDTH / 2.0, TOP + ROW / 2.0);
            return canvas.text("no data", centre, Type::AXIS.centred());
        }
        let scale = Scale::new(rows);
        scale.draw_axis(canvas, bottom, x_label)?;
        for (index, row) in rows.iter().enumerate() {
            scale.draw_row(canvas, TOP + ROW * (index as f64 + 0.5), row)?;
        }
        let zero = scale.x(0.0).unwrap_or(scale.left);
        canvas.path(&[(zero, TOP), (zero, bottom)], Pen::ink(0.5, 1.0))
    })
}

/// Where values stand.
struct Scale {
    axis: Axis,
    left: f64,
    right: f64,
}

impl Scale {
    fn new(rows: &[Bar<'_>]) -> Self {
        let widest = |texts: &mut dyn Iterator<Item = f64>| texts.fold(0.0, f64::max);
        let names = widest(&mut rows.iter().map(|row| text_width(row.0)));
        let values = widest(&mut rows.iter().map(|row| text_width(&written(row.1))));
        let ends = rows.iter().flat_map(|&(_, value, interval)| {
            let (low, high) = interval.unwrap_or((value, value));
            [0.0, value, low, high]
        });
        Self {
            axis: Axis::tight(ends, 4),
            left: names.min(WIDTH * NAMES_SHARE) + 12.0,
            right: WIDTH - values - 10.0,
        }
    }

    fn x(&self, value: f64) -> Option<f64> {
        Some(self.left + self.axis.place(value)? * (self.right - self.left))
    }

    fn draw_axis(
        &self,
        canvas: &mut Canvas<'_>,
        bottom: f64,
        x_label: &str,
    ) -> Result<(), MetricError> {
        for (place, text) in self.axis.ticks() {
            let x = self.left + place * (self.right - self.left);
            canvas.path(&[(x, TOP), (x, bottom)], Pen::ink(0.13, 1.0))?;
            canvas.text(&text, (x, bottom + 12.0), Type::AXIS.centred())?;
        }
        let centre = ((self.left + self.right) / 2.0, bottom + 34.0);
        canvas.text(x_label, centre, Type::AXIS.centred())
    }

    fn draw_row(
        &self,
        canvas: &mut Canvas<'_>,
        y: f64,
        &(name, value, interval): &Bar<'_>,
    ) -> Result<(), MetricError> {
        let name = fit(name, self.left - 12.0);
        canvas.text(&name, (self.left - 10.0, y), Type::BODY.right())?;
        let mut end = self.left;
        if let (Some(zero), Some(tip)) = (self.x(0.0), self.x(value)) {
            let bar = Pen::new(SERIES[0], 0.0).alpha(0.8);
            let (left, right) = (zero.min(tip), zero.max(tip));
            canvas.rectangle((left, y - BAR / 2.0), (right, y + BAR / 2.0), bar)?;
            end = right;
        }
        let whisker = interval.and_then(|(low, high)| Some((self.x(low)?, self.x(high)?)));
        if let Some((low, high)) = whisker {
            let pen = Pen::ink(0.9, 1.4);
            canvas.path(&[(low, y), (high, y)], pen)?;
            for x in [low, high] {
                canvas.path(&[(x, y - 4.0), (x, y + 4.0)], pen)?;
            }
            end = end.max(high);
        }
        canvas.text(&written(value), (end + 7.0, y), Type::BODY)
    }
}

fn written(value: f64) -> String {
    significant(value, 4)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_finite_value_has_a_bar_and_each_interval_a_whisker() {
        let rows = [
            ("identity", 0.0168, Some((0.0151, 0.0183))),
            ("flip", 0.0161, None),
            ("broken", f64::NAN, Some((f64::NAN, 1.0))),
        ];
        let svg = bar_with_interval("T. stddev", "probability", &rows).unwrap();
        assert_eq!(svg.matches("<polygon").count(), 2);
        assert_eq!(
            svg.matches("stroke-width=\"28\"").count(),
            3,
            "one line, two ends"
        );
        assert!(svg.contains("0.01680") && svg.contains('–'));
    }

    #[test]
    fn no_rows_and_rows_of_zeros_are_drawn() {
        assert!(
            bar_with_interval("t", "x", &[])
                .unwrap()
                .contains("no data")
        );
        let svg = bar_with_interval("t", "x", &[("zero", 0.0, None)]).unwrap();
        assert!(!svg.contains("NaN"));
    }
}
