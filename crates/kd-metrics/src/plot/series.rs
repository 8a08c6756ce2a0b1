//! One curve of a chart, with its band.

use plotters::style::RGBColor;

use super::canvas::{Canvas, DASHES, Pen, SERIES};
use super::frame::Frame;
use super::thin::thin;
use crate::error::MetricError;

#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) band: Vec<(f64, f64, f64)>,
}

impl Series {
    pub(crate) fn draw_line(
        &self,
        canvas: &mut Canvas<'_>,
        frame: &Frame,
        index: usize,
    ) -> Result<(), MetricError> {
        let pen = Pen::new(color(index), 2.0);
        let placed: Vec<_> = self.points.iter().map(|&p| frame.place(p)).collect();
        for run in runs(&placed) {
            match run[..] {
                [alone] => canvas.disc(alone, 3.5, pen)?,
                _ => canvas.dashed(&thin(&run), dashes(index), pen)?,
            }
        }
        Ok(())
    }

    pub(crate) fn draw_band(
        &self,
        canvas: &mut Canvas<'_>,
        frame: &Frame,
        index: usize,
    ) -> Result<(), MetricError> {
        let edges: Vec<_> = self
            .band
            .iter()
            .map(|&(x, low, high)| Some((frame.place((x, low))?, frame.place((x, high))?)))
            .collect();
        for run in runs(&edges) {
            let (low, high): (Vec<_>, Vec<_>) = run.into_iter().unzip();
            let outline: Vec<_> = thin(&low)
                .into_iter()
                .chain(thin(&high).into_iter().rev())
                .collect();
            canvas.area(&outline, Pen::new(color(index), 0.0).alpha(0.16))?;
        }
        Ok(())
    }
}

pub(crate) fn color(index: usize) -> RGBColor {
    SERIES[index % SERIES.len()]
}

pub(crate) fn dashes(index: usize) -> &'static [f64] {
    DASHES[index % DASHES.len()]
}

/// Runs of values that are there, between gaps.
fn runs<T: Copy>(values: &[Option<T>]) -> impl Iterator<Item = Vec<T>> + '_ {
    values
        .split(Option::is_none)
        .filter(|run| !run.is_empty())
        .map(|run| run.iter().flatten().copied().collect())
}
