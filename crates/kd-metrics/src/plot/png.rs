//! Figures as pictures.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Family};
use resvg::usvg::{Options, Tree};

use crate::error::MetricError;

/// Text and paper of a picture, which has no surroundings to take them from.
const INK: &str = "#1d2126";
const PAPER: Color = Color::WHITE;
/// Largest number of pixels of a picture.
const MOST_PIXELS: f32 = 1e8;

/// A figure of this module as the bytes of a PNG file, on white, each of its pixels drawn as `scale` × `scale`.
///
/// Text is set in a font that comes with the crate, so that the picture is the same on every machine.
///
/// # Errors
/// [`MetricError::Config`] for a scale that gives no picture or one of more than 100 million pixels, [`MetricError::Picture`] for what is
/// no figure.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>, MetricError> {
    let not_drawn = |reason: String| MetricError::Picture { reason };
    let options = Options {
        fontdb: fonts(),
        ..Options::default()
    };
    let tree = Tree::from_str(&svg.replace("currentColor", INK), &options)
        .map_err(|error| not_drawn(error.to_string()))?;
    let size = tree.size();
    let (width, height) = (scale * size.width(), scale * size.height());
    if !(width >= 1.0 && height >= 1.0 && width * height <= MOST_PIXELS) {
        return Err(MetricError::Config {
            field: "scale",
            value: scale.to_string(),
            reason: "must give a picture of 1 to 100 million pixels",
        });
    }
    let mut picture = Pixmap::new(width.ceil() as u32, height.ceil() as u32)
        .ok_or_else(|| not_drawn("no memory for it".into()))?;
    picture.fill(PAPER);
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut picture.as_mut(),
    );
    picture
        .encode_png()
        .map_err(|error| not_drawn(error.to_string()))
}

fn fonts() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let load = || {
        let mut fonts = Database::new();
        fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
        let family = fonts
            .faces()
            .next()
            .and_then(|face| face.families.first().cloned());
        if let Some((name, _)) = family {
            for set in [Database::set_sans_serif_family, Database::set_serif_family] {
                set(&mut fonts, name.clone());
            }
        }
        debug_assert!(!fonts.family_name(&Family::SansSerif).is_empty());
        Arc::new(fonts)
    };
    FONTS.get_or_init(load).clone()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plot::LineChart;

    #[test]
    fn a_figure_has_ink_colour_and_text() {
        let chart = LineChart::new("A title", "x", "y").series("a", vec![(0.0, 1.0), (1.0, 2.0)]);
        let svg = chart.render().unwrap();
        let picture = |svg: &str| {
            image::load_from_memory(&png(svg, 2.0).unwrap())
                .unwrap()
                .to_rgb8()
        };
        let whole = picture(&svg);
        assert_eq!(whole.dimensions(), (960, 600));
        assert_eq!(whole.get_pixel(959, 0).0, [255; 3]);
        let blue = |pixel: &image::Rgb<u8>| pixel.0 == [0, 114, 178];
        assert!(whole.pixels().filter(|p| blue(p)).count() > 500);
        // Text is drawn: without it the picture is another one.
        let mute = svg.replace("A title", " ");
        assert_ne!(picture(&mute), whole);
    }

    #[test]
    fn what_is_no_figure_is_refused() {
        let svg = LineChart::new("t", "x", "y").render().unwrap();
        for scale in [0.0, -1.0, f32::NAN, 1e6] {
            assert!(png(&svg, scale).is_err(), "{scale}");
        }
        assert!(png("no figure", 1.0).is_err());
    }
}
