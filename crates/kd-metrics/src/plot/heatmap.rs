//! Tables of numbers as colours.

use plotters::style::RGBColor;

use super::axis::{shown, significant};
use super::canvas::{Canvas, Pen, SERIES, Type, figure, fit, text_width};
use crate::error::MetricError;

/// Longest side of the cells together.
const SIDE: f64 = 400.0;
/// Largest cell.
const CELL: f64 = 40.0;
/// Cells of at least this size hold their number.
const NUMBERS: f64 = 30.0;
/// Most rows and columns that are told apart; more are joined to blocks.
const BLOCKS: usize = 100;
const TOP: f64 = 60.0;
/// Room for the texts around a small map.
const SHORTEST: f64 = 260.0;
/// Above this share of the largest value a number is written in white.
const STRONG: f64 = 0.5;
const WHITE: RGBColor = RGBColor(255, 255, 255);

/// A square table as a map of colours from 0 (nothing) to its largest value (full), with the numbers where there is room for them.
///
/// `cells[row][column]`; a cell that is `None`, not finite or beyond 1e300 stays empty and has no part in the scale: leave the diagonal out to see what
/// is beside it. `names` name rows and columns alike, up to 33 of them: more have no room. Beyond 100 rows, neighbours are joined to blocks that show their mean.
///
/// # Errors
/// [`MetricError::Count`] when the table is not square or names are missing, [`MetricError::Picture`] when drawing fails, which data
/// cannot cause.
pub fn heatmap(
    title: &str,
    [row_label, column_label]: [&str; 2],
    names: &[String],
    cells: &[Vec<Option<f64>>],
) -> Result<String, MetricError> {
    for row in cells {
        crate::error::expect_count("columns of a heat map", cells.len(), row.len())?;
    }
    crate::error::expect_count("names of a heat map", cells.len(), names.len())?;
    let map = Map::new(names, &blocks(cells));
    let label = format!("{title}: {row_label} by {column_label}");
    figure(&label, map.size(), |canvas| {
        canvas.text(&fit(title, map.size()[0]), (0.0, 12.0), Type::TITLE)?;
        if map.cells.is_empty() {
            return canvas.text("no data", (0.0, TOP), Type::AXIS);
        }
        map.draw_labels(canvas, row_label, column_label)?;
        map.draw_cells(canvas)
    })
}

/// The table, or means of blocks of it where it is too large to be seen.
fn blocks(cells: &[Vec<Option<f64>>]) -> Vec<Vec<Option<f64>>> {
    let size = cells.len().div_ceil(BLOCKS).max(1);
    let block = |rows: &[Vec<Option<f64>>], column: usize| {
        let values = rows
            .iter()
            .flat_map(|row| row.iter().skip(column * size).take(size));
        let finite: Vec<f64> = values.flatten().filter_map(|&value| shown(value)).collect();
        (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64)
    };
    let columns = cells.len().div_ceil(size);
    cells
        .chunks(size)
        .map(|rows| (0..columns).map(|column| block(rows, column)).collect())
        .collect()
}

struct Map<'a> {
    /// None where rows are blocks.
    names: Option<&'a [String]>,
    cells: Vec<Vec<Option<f64>>>,
    cell: f64,
    left: f64,
    bottom_room: f64,
    largest: f64,
}

impl<'a> Map<'a> {
    fn new(names: &'a [String], cells: &[Vec<Option<f64>>]) -> Self {
        let cell = (SIDE / cells.len().max(1) as f64).min(CELL);
        let named = cell >= 12.0 && names.len() == cells.len();
        let widest = names
            .iter()
            .map(|name| text_width(name))
            .fold(0.0, f64::max);
        let room = if named { widest.min(96.0) } else { 0.0 };
        let values = cells.iter().flatten().flatten();
        Self {
            names: named.then_some(names),
            cell,
            left: 22.0 + room + 8.0,
            bottom_room: if named { room + 12.0 } else { 6.0 },
            largest: values.copied().fold(0.0, f64::max),
            cells: cells.to_vec(),
        }
    }

    fn side(&self) -> f64 {
        self.cell * self.cells.len() as f64
    }

    fn size(&self) -> [f64; 2] {
        let [width, height] = [self.side().max(SHORTEST), self.side()];
        [
            self.left + width + 8.0,
            TOP + height + self.bottom_room + 22.0,
        ]
    }

    fn draw_labels(
        &self,
        canvas: &mut Canvas<'_>,
        row_label: &str,
        column_label: &str,
    ) -> Result<(), MetricError> {
        let side = self.side();
        canvas.text(&format!("rows: {row_label}"), (0.0, 34.0), Type::AXIS)?;
        let bottom = TOP + side;
        let below = (self.left, bottom + self.bottom_room + 10.0);
        canvas.text(&format!("columns: {column_label}"), below, Type::AXIS)?;
        let largest = format!("full colour: {}", short(self.largest));
        let at = (self.left + side.max(SHORTEST), 34.0);
        canvas.text(&largest, at, Type::AXIS.right())?;
        for (index, name) in self.names.unwrap_or_default().iter().enumerate() {
            let middle = (index as f64 + 0.5) * self.cell;
            let name = fit(name, 96.0);
            let at = (self.left - 8.0, TOP + middle);
            canvas.text(&name, at, Type::AXIS.right())?;
            let below = (self.left + middle, bottom + 6.0);
            canvas.text(&name, below, Type::AXIS.right().upward())?;
        }
        Ok(())
    }

    fn draw_cells(&self, canvas: &mut Canvas<'_>) -> Result<(), MetricError> {
        let gap = if self.cell >= 8.0 { 1.0 } else { 0.0 };
        for (row, cells) in self.cells.iter().enumerate() {
            for (column, value) in cells.iter().enumerate() {
                let (x, y) = (
                    self.left + column as f64 * self.cell,
                    TOP + row as f64 * self.cell,
                );
                let corner = (x + self.cell - gap, y + self.cell - gap);
                let Some(value) = *value else {
                    continue;
                };
                let share = if self.largest > 0.0 {
                    (value / self.largest).max(0.0)
                } else {
                    0.0
                };
                let pen = Pen::new(SERIES[0], 0.0).alpha(0.04 + 0.96 * share);
                canvas.rectangle((x, y), corner, pen)?;
                if self.cell >= NUMBERS {
                    let middle = (x + (self.cell - gap) / 2.0, y + (self.cell - gap) / 2.0);
                    let face = Type::SMALL.centred();
                    let face = if share > STRONG {
                        face.color(WHITE)
                    } else {
                        face
                    };
                    canvas.text(&short(value), middle, face)?;
                }
            }
        }
        Ok(())
    }
}

/// A number in five characters or so.
fn short(value: f64) -> String {
    if value == 0.0 {
        "0".into()
    } else if value.abs() >= 1e6 {
        significant(value, 2)
    } else if value.fract() == 0.0 || value.abs() >= 99.5 {
        format!("{value:.0}")
    } else if value.abs() < 0.0005 {
        "~0".into()
    } else if value.abs() < 0.1 {
        format!("{value:.3}").replacen("0.", ".", 1)
    } else {
        significant(value, 2)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("class {index}")).collect()
    }

    #[test]
    fn empty_cells_have_no_colour_and_no_part_in_the_scale() {
        let cells = vec![vec![None, Some(0.25)], vec![Some(0.5), Some(f64::NAN)]];
        let svg = heatmap("t", ["true", "predicted"], &names(2), &cells).unwrap();
        assert_eq!(svg.matches("<polygon").count(), 2);
        assert!(svg.contains("full colour: 0.50"), "{svg}");
    }

    #[test]
    fn large_tables_are_joined_to_blocks() {
        let cells = vec![vec![Some(1.0); 1000]; 1000];
        let svg = heatmap("t", ["r", "c"], &names(1000), &cells).unwrap();
        assert_eq!(svg.matches("<polygon").count(), 100 * 100);
        assert!(heatmap("t", ["r", "c"], &names(3), &vec![vec![None; 2]; 3]).is_err());
        assert!(
            heatmap("t", ["r", "c"], &[], &[])
                .unwrap()
                .contains("no data")
        );
    }

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (12.0, "12"),
            (0.0123, ".012"),
            (0.5, "0.50"),
            (3.21, "3.2"),
            (1234.0, "1234"),
            (1e-6, "~0"),
            (2.5e7, "2.5e7"),
        ] {
            assert_eq!(short(value), expected);
        }
    }
}
