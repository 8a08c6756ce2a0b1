//! A sheet of small pictures with names, as one PNG: groups under headings, in each group entries from left to right.

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::ascii::{FONT_7X13, FONT_9X15, FONT_9X18_BOLD, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::Drawable;
use embedded_graphics::text::{Baseline, Text};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{Rgb, RgbImage};

/// Pictures that stand under one name, in this order.
pub struct Entry {
    /// The name, in bold; this and all other text in ASCII.
    pub name: String,
    /// What is said below the name, in grey.
    pub note: String,
    /// The pictures.
    pub tiles: Vec<Tile>,
}

/// One picture.
#[derive(Clone)]
pub struct Tile {
    pixels: Vec<u8>,
    framed: bool,
    caption: Option<String>,
}

/// Entries under a heading.
pub struct Group {
    /// The heading.
    pub heading: String,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// Tiles that stand side by side in a column of the sheet; an entry of more spans more columns.
const TILES: usize = 4;
/// Columns of a sheet.
const COLUMNS: usize = 4;
/// Pixels around the sheet, between columns, between tiles, and of a frame.
const MARGIN: u32 = 28;
const BETWEEN: u32 = 28;
const GAP: u32 = 6;
const FRAME: u32 = 2;

const PAPER: Rgb888 = Rgb888::new(252, 252, 250);
const INK: Rgb888 = Rgb888::new(28, 30, 34);
const GREY: Rgb888 = Rgb888::new(104, 108, 114);
const LINE: Rgb888 = Rgb888::new(206, 208, 210);
const ACCENT: Rgb888 = Rgb888::new(226, 110, 20);

/// Draw a sheet of pictures of `shape` = [channels, height, width], each pixel as `scale` × `scale` of them.
pub fn draw(title: &str, groups: &[Group], shape: [usize; 3], scale: u32) -> RgbImage {
    // Once to see how large it is, and then again.
    let mut nothing = Canvas(RgbImage::new(0, 0));
    let [width, height] = lay_out(&mut nothing, title, groups, shape, scale);
    let paper = Rgb([PAPER.r(), PAPER.g(), PAPER.b()]);
    let mut canvas = Canvas(RgbImage::from_pixel(width, height, paper));
    lay_out(&mut canvas, title, groups, shape, scale);
    canvas.0
}

/// A sheet as the bytes of a PNG file.
///
/// # Errors
///
/// When it is too large for one.
pub fn png(sheet: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A row of an enlarged pixel is the row above it: with this filter, nothing.
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Up);
    sheet.write_with_encoder(encoder)?;
    Ok(bytes)
}

/// Draw everything and return the width and height that it takes.
fn lay_out(
    canvas: &mut Canvas,
    title: &str,
    groups: &[Group],
    shape: [usize; 3],
    scale: u32,
) -> [u32; 2] {
    let tile = [shape[2] as u32 * scale, shape[1] as u32 * scale];
    let column = column_width(groups, tile[0]);
    let mut right = canvas.text(title, [MARGIN, MARGIN], &FONT_9X15, GREY);
    let mut y = MARGIN + 30;
    for group in groups {
        canvas.rule(y + 12, MARGIN);
        let end = canvas.text(&group.heading, [MARGIN, y], &FONT_10X20, INK);
        right = right.max(end);
        y += 38;
        for line in lines(&group.entries) {
            let captions = line.iter().any(|(_, entry)| entry.has_captions());
            for (first, entry) in &line {
                let x = MARGIN + *first as u32 * (column + BETWEEN);
                let name = canvas.text(&entry.name, [x, y], &FONT_9X18_BOLD, INK);
                let note = canvas.text(&entry.note, [x, y + 18], &FONT_9X15, GREY);
                right = right.max(name).max(note);
                for (index, picture) in entry.tiles.iter().enumerate() {
                    let x = x + index as u32 * entry.pitch(tile[0]);
                    let corner = [x, y + 40];
                    canvas.picture(picture, corner, shape, scale);
                    right = right.max(x + tile[0]);
                    if let Some(caption) = &picture.caption {
                        let below = [x, y + 40 + tile[1] + 3];
                        right = right.max(canvas.text(caption, below, &FONT_7X13, GREY));
                    }
                }
            }
            y += 40 + tile[1] + if captions { 18 } else { 0 } + 18;
        }
        y += 8;
    }
    [right + MARGIN, y - 26 + MARGIN]
}

/// What a column needs for its tiles and its words.
fn column_width(groups: &[Group], tile: u32) -> u32 {
    let entries = groups.iter().flat_map(|group| &group.entries);
    entries
        .map(|entry| {
            let tiles = (entry.tiles.len() as u32 * entry.pitch(tile)).saturating_sub(GAP);
            let words = width(&entry.name, &FONT_9X18_BOLD).max(width(&entry.note, &FONT_9X15));
            let columns = entry.columns() as u32;
            let between = (columns - 1) * BETWEEN;
            tiles.max(words).saturating_sub(between).div_ceil(columns)
        })
        .max()
        .unwrap_or(0)
}

/// The entries line by line, each with its first column.
fn lines(entries: &[Entry]) -> Vec<Vec<(usize, &Entry)>> {
    let mut lines: Vec<Vec<_>> = Vec::new();
    let mut next = COLUMNS;
    for entry in entries {
        if next + entry.columns() > COLUMNS {
            lines.push(Vec::new());
            next = 0;
        }
        if let Some(line) = lines.last_mut() {
            line.push((next, entry));
        }
        next += entry.columns();
    }
    lines
}

fn width(text: &str, font: &MonoFont) -> u32 {
    text.chars().count() as u32 * font.character_size.width
}

impl Tile {
    /// Planar u8 levels, of the sheet's shape.
    pub fn new(pixels: impl Into<Vec<u8>>) -> Self {
        Self {
            pixels: pixels.into(),
            framed: false,
            caption: None,
        }
    }

    /// With a frame.
    #[must_use]
    pub fn framed(mut self) -> Self {
        self.framed = true;
        self
    }

    /// With words below it.
    #[must_use]
    pub fn captioned(mut self, caption: String) -> Self {
        self.caption = Some(caption);
        self
    }
}

impl Entry {
    fn columns(&self) -> usize {
        self.tiles.len().div_ceil(TILES).clamp(1, COLUMNS)
    }

    /// From one picture to the next: captions do not run into each other.
    fn pitch(&self, tile: u32) -> u32 {
        let captions = self.tiles.iter().flat_map(|tile| &tile.caption);
        let words = captions.map(|caption| width(caption, &FONT_7X13)).max();
        tile.max(words.unwrap_or(0)) + GAP
    }

    fn has_captions(&self) -> bool {
        self.tiles.iter().any(|tile| tile.caption.is_some())
    }
}

/// A picture to draw on; what lies outside it is left out.
struct Canvas(RgbImage);

impl Canvas {
    /// Write from the upper left corner on, and return where the text ends.
    fn text(&mut self, text: &str, [x, y]: [u32; 2], font: &MonoFont, colour: Rgb888) -> u32 {
        let style = MonoTextStyle::new(font, colour);
        let corner = Point::new(x as i32, y as i32);
        let text_at = Text::with_baseline(text, corner, style, Baseline::Top);
        let Ok(_) = text_at.draw(self);
        x + width(text, font)
    }

    /// A line across the sheet, under what is written on it.
    fn rule(&mut self, y: u32, margin: u32) {
        for x in margin..self.0.width().saturating_sub(margin) {
            self.set(x, y + 12, LINE);
        }
    }

    fn picture(&mut self, tile: &Tile, [x, y]: [u32; 2], shape: [usize; 3], scale: u32) {
        let [channels, height, width] = shape;
        let size = [width as u32 * scale, height as u32 * scale];
        if tile.framed {
            for dy in 0..size[1] + 2 * FRAME {
                for dx in 0..size[0] + 2 * FRAME {
                    self.set(x + dx - FRAME, y + dy - FRAME, ACCENT);
                }
            }
        }
        for dy in 0..size[1] {
            for dx in 0..size[0] {
                let source = (dy / scale) as usize * width + (dx / scale) as usize;
                let level = |channel: usize| {
                    tile.pixels[channel.min(channels - 1) * height * width + source]
                };
                self.set(x + dx, y + dy, Rgb888::new(level(0), level(1), level(2)));
            }
        }
    }

    fn set(&mut self, x: u32, y: u32, colour: Rgb888) {
        if let Some(pixel) = self.0.get_pixel_mut_checked(x, y) {
            *pixel = Rgb([colour.r(), colour.g(), colour.b()]);
        }
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<Self::Color>>,
    {
        for Pixel(Point { x, y }, colour) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) {
                self.set(x, y, colour);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tiles: usize) -> Entry {
        Entry {
            name: "name".into(),
            note: String::new(),
            tiles: (0..tiles).map(|_| Tile::new([10, 200])).collect(),
        }
    }

    fn sheet(entries: Vec<Entry>, scale: u32) -> RgbImage {
        let heading = "heading".into();
        draw("", &[Group { heading, entries }], [1, 1, 2], scale)
    }

    #[test]
    fn pictures_are_enlarged_without_smoothing() {
        let sheet = sheet(vec![entry(1)], 30);
        let count = |level| sheet.pixels().filter(|p| p.0 == [level; 3]).count();
        assert_eq!((count(10), count(200)), (900, 900));
    }

    #[test]
    fn entries_fill_lines() {
        let entries: Vec<_> = [4, 4, 8, 1, 16, 3].map(entry).into();
        let columns: Vec<Vec<usize>> = lines(&entries)
            .iter()
            .map(|line| line.iter().map(|(column, _)| *column).collect())
            .collect();
        assert_eq!(columns, [vec![0, 1, 2], vec![0], vec![0], vec![0]]);
        let (one, two) = (sheet(vec![entry(4)], 30), sheet(vec![entry(8)], 30));
        assert_eq!(two.width() - one.width(), 4 * (60 + GAP));
        assert_eq!(two.height(), one.height());
    }
}
