//! The drawing surface: plotters' SVG backend with fractional pixels, dashes and a colour that follows the page.

use plotters::prelude::{
    Color, DrawingBackend, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, SVGBackend,
    ShapeStyle, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::dash;
use crate::error::MetricError;
use crate::report::escape;

/// The backend draws on whole pixels: it is given this many for each of ours, and the `viewBox` scales them back.
const UNITS: f64 = 20.0;
/// Plotters writes font sizes divided by this.
const FONT_FACTOR: f64 = 1.24;

/// Text and axes. Written as `currentColor`; no figure uses this colour otherwise.
const INK: RGBColor = RGBColor(1, 2, 3);
const INK_WRITTEN: &str = "#010203";

/// Okabe and Ito, "Color Universal Design" (2008), without black, which would vanish on a dark page, and yellow, which would on a light one.
pub(crate) const SERIES: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// Dashes and gaps in pixels, by series; the first is solid.
pub(crate) const DASHES: [&[f64]; 6] = [
    &[],
    &[7.0, 4.0],
    &[2.0, 3.0],
    &[9.0, 3.0, 2.0, 3.0],
    &[4.0, 2.5],
    &[12.0, 4.0],
];

/// A pen: colour, opacity, width in pixels.
#[derive(Clone, Copy)]
pub(crate) struct Pen {
    color: RGBColor,
    alpha: f64,
    width: f64,
}

impl Pen {
    pub(crate) const fn new(color: RGBColor, width: f64) -> Self {
        Self {
            color,
            alpha: 1.0,
            width,
        }
    }

    /// The text's colour, at a strength between 0 and 1.
    pub(crate) const fn ink(alpha: f64, width: f64) -> Self {
        Self {
            color: INK,
            alpha,
            width,
        }
    }

    pub(crate) const fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }
}

impl From<Pen> for ShapeStyle {
    fn from(pen: Pen) -> Self {
        Self {
            color: pen.color.mix(pen.alpha),
            filled: true,
            stroke_width: (pen.width * UNITS).round() as u32,
        }
    }
}

/// How text is set: size in pixels, weight, strength, and which of its ends stands at the point; always centred in height.
#[derive(Clone, Copy)]
pub(crate) struct Type {
    size: f64,
    bold: bool,
    alpha: f64,
    color: RGBColor,
    horizontal: HPos,
    /// Whether it is read from the bottom to the top.
    upward: bool,
}

/// Size of all text but titles.
pub(crate) const TEXT_SIZE: f64 = 12.5;

impl Type {
    /// Muted, for axes.
    pub(crate) const AXIS: Self = Self {
        size: TEXT_SIZE,
        bold: false,
        alpha: 0.75,
        color: INK,
        horizontal: HPos::Left,
        upward: false,
    };
    /// For names and values.
    pub(crate) const BODY: Self = Self {
        alpha: 1.0,
        ..Self::AXIS
    };
    pub(crate) const TITLE: Self = Self {
        size: 14.0,
        bold: true,
        alpha: 1.0,
        ..Self::AXIS
    };

    /// For names among points.
    pub(crate) const NAME: Self = Self {
        bold: true,
        alpha: 1.0,
        ..Self::AXIS
    };

    /// For numbers inside of a figure.
    pub(crate) const SMALL: Self = Self {
        size: 11.0,
        alpha: 1.0,
        ..Self::AXIS
    };

    pub(crate) const fn color(self, color: RGBColor) -> Self {
        Self { color, ..self }
    }

    pub(crate) const fn upward(self) -> Self {
        Self {
            upward: true,
            ..self
        }
    }

    pub(crate) const fn centred(self) -> Self {
        Self {
            horizontal: HPos::Center,
            ..self
        }
    }

    pub(crate) const fn right(self) -> Self {
        Self {
            horizontal: HPos::Right,
            ..self
        }
    }
}

/// Width that text will take, roughly: the viewer's font is not known.
pub(crate) fn text_width(text: &str) -> f64 {
    0.56 * TEXT_SIZE * text.chars().count() as f64
}

/// Text that fits into a width, cut in the middle where it must be: names differ at their ends.
pub(crate) fn fit(text: &str, width: f64) -> String {
    let room = (width / text_width("m")) as usize;
    let count = text.chars().count();
    if count <= room {
        return text.to_owned();
    }
    let kept = room.saturating_sub(1);
    let head: String = text.chars().take(kept.div_ceil(2)).collect();
    let tail: String = text.chars().skip(count - kept / 2).collect();
    format!("{head}…{tail}")
}

/// A figure under construction; coordinates in pixels from the upper left corner.
pub(crate) struct Canvas<'a> {
    backend: SVGBackend<'a>,
}

/// Draws a figure. `label` says what it shows to those who cannot see it.
pub(crate) fn figure(
    label: &str,
    [width, height]: [f64; 2],
    draw: impl FnOnce(&mut Canvas<'_>) -> Result<(), MetricError>,
) -> Result<String, MetricError> {
    let [units_wide, units_high] = [width, height].map(|size| (size * UNITS).ceil() as u32);
    let mut svg = String::new();
    let mut canvas = Canvas {
        backend: SVGBackend::with_string(&mut svg, (units_wide, units_high)),
    };
    draw(&mut canvas)?;
    canvas.backend.present().map_err(not_drawn)?;
    drop(canvas);
    // The backend's opening tag has the size in units; ours keeps that as the view box and gives the size in pixels.
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let label = escape(label);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {units_wide} {units_high}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{label}\" stroke-linejoin=\"round\">{}",
        body.replace(INK_WRITTEN, "currentColor")
    ))
}

fn not_drawn(error: impl std::fmt::Display) -> MetricError {
    MetricError::Picture {
        reason: error.to_string(),
    }
}

fn units((x, y): (f64, f64)) -> (i32, i32) {
    ((x * UNITS).round() as i32, (y * UNITS).round() as i32)
}

impl Canvas<'_> {
    pub(crate) fn path(&mut self, points: &[(f64, f64)], pen: Pen) -> Result<(), MetricError> {
        self.backend
            .draw_path(points.iter().copied().map(units), &ShapeStyle::from(pen))
            .map_err(not_drawn)
    }

    /// A path in dashes and gaps of the given lengths.
    pub(crate) fn dashed(
        &mut self,
        points: &[(f64, f64)],
        dashes: &[f64],
        pen: Pen,
    ) -> Result<(), MetricError> {
        if dashes.is_empty() {
            return self.path(points, pen);
        }
        dash::split(points, dashes)
            .iter()
            .try_for_each(|dash| self.path(dash, pen))
    }

    pub(crate) fn area(&mut self, outline: &[(f64, f64)], pen: Pen) -> Result<(), MetricError> {
        self.backend
            .fill_polygon(outline.iter().copied().map(units), &ShapeStyle::from(pen))
            .map_err(not_drawn)
    }

    /// A filled box between two opposite corners.
    pub(crate) fn rectangle(
        &mut self,
        (left, top): (f64, f64),
        (right, bottom): (f64, f64),
        pen: Pen,
    ) -> Result<(), MetricError> {
        self.area(
            &[(left, top), (right, top), (right, bottom), (left, bottom)],
            pen,
        )
    }

    pub(crate) fn disc(
        &mut self,
        centre: (f64, f64),
        radius: f64,
        pen: Pen,
    ) -> Result<(), MetricError> {
        self.backend
            .draw_circle(
                units(centre),
                (radius * UNITS) as u32,
                &ShapeStyle::from(pen),
                true,
            )
            .map_err(not_drawn)
    }

    pub(crate) fn text(
        &mut self,
        text: &str,
        at: (f64, f64),
        face: Type,
    ) -> Result<(), MetricError> {
        let weight = if face.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        let turn = if face.upward {
            FontTransform::Rotate270
        } else {
            FontTransform::None
        };
        let size = face.size * UNITS * FONT_FACTOR;
        let color = face.color.mix(face.alpha);
        let font = FontDesc::new(FontFamily::SansSerif, size, weight).transform(turn);
        let style = TextStyle::from(font)
            .color(&color)
            .pos(Pos::new(face.horizontal, VPos::Center));
        self.backend
            .draw_text(text, &style, units(at))
            .map_err(not_drawn)
    }
}
