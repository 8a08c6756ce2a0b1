//! Curves over a common axis.

use super::axis::{Axis, shown};
use super::canvas::{Canvas, Pen, TEXT_SIZE, Type, figure, fit, text_width};
use super::frame::Frame;
use super::series::{Series, color, dashes};
use super::spread::spread;
use crate::error::MetricError;

const SIZE: [f64; 2] = [480.0, 300.0];
/// Most of the width that names at the line ends may take.
const NAMES_SHARE: f64 = 0.34;
/// The sample of a line before its name.
const KEY: f64 = 18.0;

/// Curves over a common axis, each named where it ends, with bands for ranges of values.
///
/// Values that are NaN, infinite or beyond 1e300 (or not positive, on a logarithmic axis) leave a gap. A point between two gaps is a dot. A chart without any
/// point says so. Curves of many points are thinned to what the figure can show; peaks stay.
///
/// ```
/// let svg = kd_metrics::plot::LineChart::new("Training loss", "epoch", "nats")
///     .series("plain", vec![(1.0, 2.3), (2.0, 1.7), (3.0, 1.4)])
///     .series("with KD", vec![(1.0, 2.2), (2.0, 1.4), (3.0, 1.1)])
///     .band(vec![(1.0, 2.1, 2.3), (2.0, 1.3, 1.5), (3.0, 1.0, 1.2)])
///     .render()?;
/// assert!(svg.starts_with("<svg"));
/// # Ok::<(), kd_metrics::MetricError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LineChart {
    title: String,
    x_label: String,
    y_label: String,
    log_y: bool,
    series: Vec<Series>,
}

impl LineChart {
    /// A chart without curves.
    pub fn new(
        title: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
    ) -> Self {
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            log_y: false,
            series: Vec::new(),
        }
    }

    /// Adds a curve through points (x, y), drawn in the order given.
    #[must_use]
    pub fn series(mut self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.series.push(Series {
            name: name.into(),
            points,
            band: Vec::new(),
        });
        self
    }

    /// Shades (x, low, high) around the curve added last; without one, the band stands alone.
    #[must_use]
    pub fn band(mut self, band: Vec<(f64, f64, f64)>) -> Self {
        match self.series.last_mut() {
            Some(series) => series.band = band,
            None => self.series.push(Series {
                name: String::new(),
                points: Vec::new(),
                band,
            }),
        }
        self
    }

    /// Makes the vertical axis logarithmic.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.log_y = true;
        self
    }

    /// The figure as SVG.
    ///
    /// # Errors
    /// [`MetricError::Picture`] when drawing fails, which data cannot cause.
    pub fn render(&self) -> Result<String, MetricError> {
        let label = format!("{}: {} over {}", self.title, self.y_label, self.x_label);
        figure(&label, SIZE, |canvas| {
            canvas.text(&fit(&self.title, SIZE[0] * 0.85), (0.0, 12.0), Type::TITLE)?;
            if self.values().next().is_none() {
                let centre = (SIZE[0] / 2.0, SIZE[1] / 2.0);
                return canvas.text("no data", centre, Type::AXIS.centred());
            }
            let frame = self.frame();
            self.draw_axes(canvas, &frame)?;
            for (index, series) in self.series.iter().enumerate() {
                series.draw_band(canvas, &frame, index)?;
            }
            for (index, series) in self.series.iter().enumerate() {
                series.draw_line(canvas, &frame, index)?;
            }
            self.draw_names(canvas, &frame)
        })
    }

    /// All (x, y) that have a place in the chart.
    fn values(&self) -> impl Iterator<Item = (f64, f64)> + Clone + '_ {
        self.series
            .iter()
            .flat_map(|series| {
                let band = series.band.iter();
                let band = band.flat_map(|&(x, low, high)| [(x, low), (x, high)]);
                series.points.iter().copied().chain(band)
            })
            .filter(|&point| self.shows(point))
    }

    fn shows(&self, (x, y): (f64, f64)) -> bool {
        shown(x).is_some() && shown(y).is_some_and(|y| y > 0.0 || !self.log_y)
    }

    fn frame(&self) -> Frame {
        let ys = self.values().map(|(_, y)| y);
        let y = if self.log_y {
            Axis::log(ys)
        } else {
            Axis::rounded(ys, 5)
        };
        let widest_tick = y
            .ticks()
            .map(|(_, text)| text_width(&text))
            .fold(0.0, f64::max);
        let widest_name = self
            .series
            .iter()
            .map(|series| text_width(&series.name))
            .fold(0.0, f64::max);
        let names = widest_name.min(SIZE[0] * NAMES_SHARE);
        let names = if names > 0.0 { names + KEY + 18.0 } else { 8.0 };
        Frame {
            x: Axis::tight(self.values().map(|(x, _)| x), 6),
            y,
            left: widest_tick + 10.0,
            right: SIZE[0] - names,
            top: 56.0,
            bottom: SIZE[1] - 44.0,
        }
    }

    fn draw_axes(&self, canvas: &mut Canvas<'_>, frame: &Frame) -> Result<(), MetricError> {
        canvas.text(&self.y_label, (0.0, 34.0), Type::AXIS)?;
        let centre = (frame.left + frame.right) / 2.0;
        let below = (centre, SIZE[1] - 8.0);
        canvas.text(&self.x_label, below, Type::AXIS.centred())?;
        for (place, text) in frame.y.ticks() {
            let y = frame.bottom - place * (frame.bottom - frame.top);
            canvas.path(&[(frame.left, y), (frame.right, y)], Pen::ink(0.13, 1.0))?;
            canvas.text(&text, (frame.left - 8.0, y), Type::AXIS.right())?;
        }
        let baseline = [(frame.left, frame.bottom), (frame.right, frame.bottom)];
        canvas.path(&baseline, Pen::ink(0.5, 1.0))?;
        for (place, text) in frame.x.ticks() {
            let x = frame.left + place * (frame.right - frame.left);
            let mark = [(x, frame.bottom), (x, frame.bottom + 4.0)];
            canvas.path(&mark, Pen::ink(0.5, 1.0))?;
            canvas.text(&text, (x, frame.bottom + 14.0), Type::AXIS.centred())?;
        }
        Ok(())
    }

    /// Names beside the line ends, moved apart where they would touch.
    fn draw_names(&self, canvas: &mut Canvas<'_>, frame: &Frame) -> Result<(), MetricError> {
        let mut names: Vec<(f64, usize)> = self
            .series
            .iter()
            .enumerate()
            .filter(|(_, series)| !series.name.is_empty())
            .filter_map(|(index, series)| {
                let end = series.points.iter().rev().find_map(|&p| frame.place(p))?;
                Some((end.1, index))
            })
            .collect();
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut heights: Vec<f64> = names.iter().map(|name| name.0).collect();
        spread(&mut heights, TEXT_SIZE + 3.5, frame.top, frame.bottom);
        let left = frame.right + 8.0;
        for (&height, &(_, index)) in heights.iter().zip(&names) {
            let key = [(left, height), (left + KEY, height)];
            canvas.dashed(&key, dashes(index), Pen::new(color(index), 2.0))?;
            let at = (left + KEY + 5.0, height);
            let name = fit(&self.series[index].name, SIZE[0] - at.0);
            canvas.text(&name, at, Type::BODY)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn polylines(svg: &str) -> usize {
        svg.matches("stroke=\"#0072B2\"").count()
    }

    #[test]
    fn no_points_say_so() {
        for points in [vec![], vec![(1.0, f64::NAN)], vec![(f64::INFINITY, 2.0)]] {
            let svg = LineChart::new("t", "x", "y").series("a", points).render();
            assert!(svg.unwrap().contains("no data"));
        }
        assert!(
            LineChart::new("t", "x", "y")
                .render()
                .unwrap()
                .contains("no data")
        );
    }

    #[test]
    fn gaps_cut_the_line_and_a_lone_point_is_a_dot() {
        let nan = f64::NAN;
        let ys = [1.0, 2.0, nan, 3.0, nan, 2.0, 1.0];
        let points: Vec<_> = ys.iter().enumerate().map(|(x, &y)| (x as f64, y)).collect();
        let svg = LineChart::new("t", "x", "y")
            .series("a", points)
            .render()
            .unwrap();
        assert!(!svg.contains("no data"));
        assert_eq!(svg.matches("<circle").count(), 1);
        assert_eq!(polylines(&svg), 2 + 1, "two runs and the key");
    }

    #[test]
    fn a_logarithmic_axis_leaves_out_what_is_not_positive() {
        let points = vec![
            (0.0, 100.0),
            (1.0, 10.0),
            (2.0, 0.0),
            (3.0, -5.0),
            (4.0, 0.1),
            (5.0, 0.01),
        ];
        let svg = LineChart::new("t", "x", "y")
            .series("a", points)
            .log_y()
            .render()
            .unwrap();
        assert_eq!(polylines(&svg), 2 + 1);
        assert!(!svg.contains("NaN") && !svg.contains("-2147483648"));
    }

    #[test]
    fn names_are_escaped() {
        let svg = LineChart::new("a < b & \"c\"", "x", "y")
            .series("<script>", vec![(0.0, 1.0), (1.0, 2.0)])
            .render()
            .unwrap();
        assert!(!svg.contains("<script"));
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot;"));
    }

    #[test]
    fn a_long_curve_makes_a_small_figure() {
        let points = (0..1_000_000)
            .map(|i| (f64::from(i), f64::from(i % 977)))
            .collect();
        let svg = LineChart::new("t", "step", "y")
            .series("a", points)
            .render()
            .unwrap();
        assert!(svg.len() < 60_000, "{} bytes", svg.len());
    }
}
