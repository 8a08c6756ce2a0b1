//! Points in the plane.

use super::axis::{Axis, shown};
use super::canvas::{Canvas, Pen, SERIES, TEXT_SIZE, Type, figure, fit, text_width};
use super::frame::Frame;
use crate::error::MetricError;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 360.0;
const ROW: f64 = TEXT_SIZE + 5.0;

/// Points in the plane, in groups that colours and shapes tell apart, or each with its name; with a line through them where there is one.
///
/// ```
/// let svg = kd_metrics::plot::ScatterChart::new("T. stddev", "T. stddev", "test loss")
///     .named("cutmix", (0.011, 1.10))
///     .named("flip", (0.014, 1.31))
///     .line(70.0, 0.33)
///     .note("Pearson 1.00")
///     .render()?;
/// assert!(svg.starts_with("<svg"));
/// # Ok::<(), kd_metrics::MetricError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ScatterChart {
    title: String,
    labels: Option<[String; 2]>,
    groups: Vec<(String, Vec<(f64, f64)>)>,
    named: Vec<(String, (f64, f64))>,
    line: Option<(f64, f64)>,
    notes: Vec<String>,
}

impl ScatterChart {
    /// A chart without points.
    pub fn new(
        title: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
    ) -> Self {
        Self {
            labels: Some([x_label.into(), y_label.into()]),
            ..Self::without_axes(title)
        }
    }

    /// A chart whose coordinates mean nothing, as those of t-SNE.
    pub fn without_axes(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            labels: None,
            groups: Vec::new(),
            named: Vec::new(),
            line: None,
            notes: Vec::new(),
        }
    }

    /// Adds a group of points; its name stands beside the chart.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.groups.push((name.into(), points));
        self
    }

    /// Adds a point with its name beside it.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>, point: (f64, f64)) -> Self {
        self.named.push((name.into(), point));
        self
    }

    /// Draws the line y = slope · x + intercept.
    #[must_use]
    pub fn line(mut self, slope: f64, intercept: f64) -> Self {
        self.line = Some((slope, intercept));
        self
    }

    /// Adds a line of text under the title.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// The figure as SVG.
    ///
    /// # Errors
    /// [`MetricError::Picture`] when drawing fails, which data cannot cause.
    pub fn render(&self) -> Result<String, MetricError> {
        let label = match &self.labels {
            Some([x, y]) => format!("{}: {y} over {x}", self.title),
            None => self.title.clone(),
        };
        let top = 34.0 + ROW * self.notes.len() as f64;
        let frame = self.frame(top);
        let height = frame.bottom + if self.labels.is_some() { 44.0 } else { 12.0 };
        figure(&label, [WIDTH, height], |canvas| {
            canvas.text(&fit(&self.title, WIDTH * 0.85), (0.0, 12.0), Type::TITLE)?;
            for (index, note) in self.notes.iter().enumerate() {
                let at = (0.0, 34.0 + ROW * index as f64);
                canvas.text(&fit(note, WIDTH), at, Type::AXIS)?;
            }
            if self.points().next().is_none() {
                let centre = (WIDTH / 2.0, top + 60.0);
                return canvas.text("no data", centre, Type::AXIS.centred());
            }
            self.draw_axes(canvas, &frame)?;
            self.draw_line(canvas, &frame)?;
            for (index, (name, points)) in self.groups.iter().enumerate() {
                for &point in points {
                    if let Some(at) = frame.place(point) {
                        mark(canvas, at, index, 2.6)?;
                    }
                }
                let y = frame.top + ROW * (index as f64 + 0.5);
                let x = frame.right + 16.0;
                mark(canvas, (x, y), index, 4.0)?;
                let name = fit(name, WIDTH - x - 12.0);
                canvas.text(&name, (x + 10.0, y), Type::BODY)?;
            }
            if self.labels.is_none() {
                self.draw_group_names(canvas, &frame)?;
            }
            self.draw_named(canvas, &frame)
        })
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> + Clone + '_ {
        let named = self.named.iter().map(|(_, point)| *point);
        let grouped = self
            .groups
            .iter()
            .flat_map(|(_, points)| points.iter().copied());
        named
            .chain(grouped)
            .filter(|&(x, y)| shown(x).is_some() && shown(y).is_some())
    }

    fn frame(&self, top: f64) -> Frame {
        let (xs, ys) = (
            self.points().map(|point| point.0),
            self.points().map(|point| point.1),
        );
        let (x, y) = match self.labels {
            Some(_) => (Axis::rounded(xs, 5), Axis::rounded(ys, 5)),
            None => (Axis::tight(xs, 5), Axis::tight(ys, 5)),
        };
        let widest = |names: &mut dyn Iterator<Item = f64>| names.fold(0.0, f64::max);
        let left = match &self.labels {
            Some(_) => widest(&mut y.ticks().map(|(_, text)| text_width(&text))) + 10.0,
            None => 4.0,
        };
        let names = widest(&mut self.groups.iter().map(|(name, _)| text_width(name)));
        let keys = match self.groups.is_empty() {
            true => 26.0,
            false => names.min(0.3 * WIDTH) + 34.0,
        };
        // The label of the vertical axis stands above it.
        let top = top + if self.labels.is_some() { 22.0 } else { 0.0 };
        let height = (ROW * self.groups.len() as f64).max(HEIGHT - 110.0);
        Frame {
            x,
            y,
            left,
            right: WIDTH - keys,
            top,
            bottom: top + height,
        }
    }

    fn draw_axes(&self, canvas: &mut Canvas<'_>, frame: &Frame) -> Result<(), MetricError> {
        let Some([x_label, y_label]) = &self.labels else {
            return Ok(());
        };
        canvas.text(y_label, (0.0, frame.top - 20.0), Type::AXIS)?;
        let below = ((frame.left + frame.right) / 2.0, frame.bottom + 34.0);
        canvas.text(x_label, below, Type::AXIS.centred())?;
        for (place, text) in frame.y.ticks() {
            let y = frame.bottom - place * (frame.bottom - frame.top);
            canvas.path(&[(frame.left, y), (frame.right, y)], Pen::ink(0.13, 1.0))?;
            canvas.text(&text, (frame.left - 8.0, y), Type::AXIS.right())?;
        }
        for (place, text) in frame.x.ticks() {
            let x = frame.left + place * (frame.right - frame.left);
            canvas.path(&[(x, frame.top), (x, frame.bottom)], Pen::ink(0.13, 1.0))?;
            canvas.text(&text, (x, frame.bottom + 14.0), Type::AXIS.centred())?;
        }
        Ok(())
    }

    fn draw_line(&self, canvas: &mut Canvas<'_>, frame: &Frame) -> Result<(), MetricError> {
        let Some((slope, intercept)) = self.line else {
            return Ok(());
        };
        let xs = self.points().map(|point| point.0);
        let (low, high) = xs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        });
        let at = |x: f64| frame.place((x, slope * x + intercept));
        match (at(low), at(high)) {
            (Some(from), Some(to)) => canvas.dashed(&[from, to], &[6.0, 4.0], Pen::ink(0.6, 1.4)),
            _ => Ok(()),
        }
    }

    /// Each group's name in its middle: where there are no axes, a group is a place.
    fn draw_group_names(&self, canvas: &mut Canvas<'_>, frame: &Frame) -> Result<(), MetricError> {
        for (name, points) in &self.groups {
            let placed: Vec<_> = points
                .iter()
                .filter_map(|&point| frame.place(point))
                .collect();
            let median = |of: fn(&(f64, f64)) -> f64| {
                let mut values: Vec<f64> = placed.iter().map(of).collect();
                values.sort_by(f64::total_cmp);
                values.get(values.len() / 2).copied()
            };
            if let (Some(x), Some(y)) = (median(|point| point.0), median(|point| point.1)) {
                canvas.text(&fit(name, 0.25 * WIDTH), (x, y), Type::NAME.centred())?;
            }
        }
        Ok(())
    }

    /// Names to the right of their points, or to the left where the chart ends.
    fn draw_named(&self, canvas: &mut Canvas<'_>, frame: &Frame) -> Result<(), MetricError> {
        let mut taken: Vec<(f64, f64, f64)> = Vec::new();
        for (name, point) in &self.named {
            let name = &fit(name, 0.4 * WIDTH);
            let Some((x, y)) = frame.place(*point) else {
                continue;
            };
            mark(canvas, (x, y), 0, 4.0)?;
            let width = text_width(name);
            let to_left = x + 9.0 + width > WIDTH;
            let left = if to_left { x - 9.0 - width } else { x + 9.0 };
            // Up or down, until no other name is in the way.
            let free = |height: f64| {
                let apart = |&(l, r, h): &(f64, f64, f64)| {
                    l > left + width || r < left || (h - height).abs() >= TEXT_SIZE
                };
                taken.iter().all(apart)
            };
            let shifts = (0..24).map(|step| {
                let size = f64::from((step + 1) / 2) * TEXT_SIZE;
                if step % 2 == 0 { size } else { -size }
            });
            let height = shifts
                .map(|shift| y + shift)
                .find(|&height| free(height))
                .unwrap_or(y);
            taken.push((left, left + width, height));
            let face = if to_left {
                Type::BODY.right()
            } else {
                Type::BODY
            };
            let at = if to_left { x - 9.0 } else { x + 9.0 };
            canvas.text(name, (at, height), face)?;
        }
        Ok(())
    }
}

/// The mark of a group: six colours, and another shape for each next six.
fn mark(
    canvas: &mut Canvas<'_>,
    (x, y): (f64, f64),
    group: usize,
    radius: f64,
) -> Result<(), MetricError> {
    let pen = Pen::new(SERIES[group % SERIES.len()], 0.0).alpha(0.85);
    let wide = 1.25 * radius;
    match (group / SERIES.len()) % 4 {
        0 => canvas.disc((x, y), radius, pen),
        1 => canvas.area(
            &[
                (x, y - wide),
                (x + wide, y + 0.8 * wide),
                (x - wide, y + 0.8 * wide),
            ],
            pen,
        ),
        2 => canvas.rectangle((x - radius, y - radius), (x + radius, y + radius), pen),
        _ => canvas.area(
            &[(x, y - wide), (x + wide, y), (x, y + wide), (x - wide, y)],
            pen,
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_finite_point_has_a_mark_and_every_group_a_key() {
        let points = vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)];
        let mut chart = ScatterChart::without_axes("t");
        for group in 0..8 {
            chart = chart.group(format!("class {group}"), points.clone());
        }
        let svg = chart.render().unwrap();
        assert_eq!(svg.matches("<circle").count(), 6 * 3);
        assert_eq!(svg.matches("<polygon").count(), 2 * 3);
        assert!(svg.contains("class 7"));
    }

    #[test]
    fn names_do_not_lie_on_one_another() {
        let mut chart = ScatterChart::new("t", "x", "y");
        for index in 0..6 {
            chart = chart.named(format!("scheme {index}"), (1.0, 1.0));
        }
        let svg = chart
            .named("far", (2.0, 2.0))
            .line(1.0, 0.0)
            .render()
            .unwrap();
        let heights: Vec<&str> = svg
            .split("<text")
            .filter(|part| part.contains("scheme"))
            .map(|part| {
                part.split("y=\"")
                    .nth(1)
                    .unwrap()
                    .split('"')
                    .next()
                    .unwrap()
            })
            .collect();
        let mut apart = heights.clone();
        apart.sort_unstable();
        apart.dedup();
        assert_eq!((heights.len(), apart.len()), (6, 6));
    }

    #[test]
    fn no_points_say_so() {
        let svg = ScatterChart::new("t", "x", "y")
            .named("a", (f64::NAN, 0.0))
            .render();
        assert!(svg.unwrap().contains("no data"));
    }
}
