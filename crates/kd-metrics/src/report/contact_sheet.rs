//! Rows of images as one picture.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::error::MetricError;

/// Transparent pixels between images.
const GAP: usize = 2;
const CHANNELS: usize = 4;

/// Rows of images as the bytes of one PNG file.
///
/// A row is a caption and its images, each planar `u8` of `shape` = [channels, height, width] with 1 (grey) or 3 (RGB) channels. Every pixel
/// becomes `scale` × `scale` of them, without smoothing. Images stand two pixels apart on a transparent ground; rows may differ in length.
/// A PNG carries no text here: captions name the rows in errors, and [`Section::contact_sheet`](crate::Section::contact_sheet) sets
/// them beside the rows.
///
/// # Errors
/// [`MetricError::Config`] for a scale or size of 0 or another number of channels, [`MetricError::TooFew`] without images,
/// [`MetricError::Count`] when an image has another number of bytes than its shape.
pub fn contact_sheet(
    images: &[(&str, Vec<&[u8]>)],
    shape: [usize; 3],
    scale: usize,
) -> Result<Vec<u8>, MetricError> {
    check(images, shape, scale)?;
    let [_, height, width] = shape;
    let columns = images.iter().map(|(_, row)| row.len()).max().unwrap_or(0);
    let cell = [height * scale + GAP, width * scale + GAP];
    let [sheet_height, sheet_width] = [images.len() * cell[0] - GAP, columns * cell[1] - GAP];
    let mut sheet = vec![0; sheet_height * sheet_width * CHANNELS];
    for (row, (_, images)) in images.iter().enumerate() {
        for (column, image) in images.iter().enumerate() {
            let corner = (row * cell[0]) * sheet_width + column * cell[1];
            paint(
                &mut sheet[corner * CHANNELS..],
                sheet_width,
                image,
                shape,
                scale,
            );
        }
    }
    encode(&sheet, sheet_width, sheet_height)
}

fn check(
    images: &[(&str, Vec<&[u8]>)],
    shape: [usize; 3],
    scale: usize,
) -> Result<(), MetricError> {
    let [channels, height, width] = shape;
    if !matches!(channels, 1 | 3) || height == 0 || width == 0 {
        return Err(MetricError::Config {
            field: "shape",
            value: format!("{shape:?}"),
            reason: "must be 1 or 3 channels of at least one pixel",
        });
    }
    if scale == 0 {
        return Err(MetricError::Config {
            field: "scale",
            value: scale.to_string(),
            reason: "must be 1 or more",
        });
    }
    if images.iter().all(|(_, row)| row.is_empty()) {
        return Err(MetricError::TooFew {
            what: "images of a contact sheet",
            needed: 1,
            found: 0,
        });
    }
    let expected = channels * height * width;
    let wrong = images
        .iter()
        .flat_map(|(_, row)| row)
        .find(|image| image.len() != expected);
    match wrong {
        None => Ok(()),
        Some(image) => Err(MetricError::Count {
            what: "bytes of an image in a contact sheet",
            expected,
            found: image.len(),
        }),
    }
}

/// Writes one image from the upper left corner that `sheet` starts at.
fn paint(sheet: &mut [u8], sheet_width: usize, image: &[u8], shape: [usize; 3], scale: usize) {
    let [channels, height, width] = shape;
    let plane = height * width;
    for y in 0..height * scale {
        let line = &mut sheet[y * sheet_width * CHANNELS..];
        for (x, pixel) in line
            .chunks_exact_mut(CHANNELS)
            .take(width * scale)
            .enumerate()
        {
            let source = (y / scale) * width + x / scale;
            for (channel, value) in pixel[..3].iter_mut().enumerate() {
                *value = image[channel.min(channels - 1) * plane + source];
            }
            pixel[3] = u8::MAX;
        }
    }
}

fn encode(pixels: &[u8], width: usize, height: usize) -> Result<Vec<u8>, MetricError> {
    let not_encoded = |reason: String| MetricError::Picture { reason };
    let size = |size: usize| u32::try_from(size).map_err(|error| not_encoded(error.to_string()));
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(
            pixels,
            size(width)?,
            size(height)?,
            ExtendedColorType::Rgba8,
        )
        .map_err(|error| not_encoded(error.to_string()))?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pixels_are_enlarged_and_stand_apart() {
        // One row of two RGB images of 1 × 2 pixels: red, green; blue, white.
        let first = [255, 0, 0, 255, 0, 0];
        let second = [0, 255, 0, 255, 255, 255];
        let png = contact_sheet(&[("row", vec![&first, &second])], [3, 1, 2], 3).unwrap();
        let picture = image::load_from_memory(&png).unwrap().into_rgba8();
        assert_eq!(picture.dimensions(), (6 + 2 + 6, 3));
        let colours: Vec<[u8; 4]> = [0, 3, 6, 8, 13].map(|x| picture.get_pixel(x, 2).0).to_vec();
        let expected = [
            [255, 0, 0, 255],
            [0, 255, 0, 255],
            [0, 0, 0, 0],
            [0, 0, 255, 255],
            [255, 255, 255, 255],
        ];
        assert_eq!(colours, expected);
    }

    #[test]
    fn grey_images_and_rows_of_different_length() {
        let (dark, light) = ([10u8], [200u8]);
        let rows = [
            ("one", vec![&dark[..]]),
            ("two", vec![&light[..], &dark[..]]),
        ];
        let png = contact_sheet(&rows, [1, 1, 1], 1).unwrap();
        let picture = image::load_from_memory(&png).unwrap().into_rgba8();
        assert_eq!(picture.dimensions(), (4, 4));
        assert_eq!(picture.get_pixel(0, 0).0, [10, 10, 10, 255]);
        assert_eq!(
            picture.get_pixel(3, 0).0[3],
            0,
            "the short row leaves its end empty"
        );
        assert_eq!(picture.get_pixel(0, 3).0, [200, 200, 200, 255]);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let image = [0u8; 12];
        let one = |bytes| [("row", vec![bytes])];
        assert!(contact_sheet(&one(&image[..]), [3, 2, 2], 1).is_ok());
        assert!(contact_sheet(&one(&image[..11]), [3, 2, 2], 1).is_err());
        assert!(contact_sheet(&one(&image[..]), [3, 2, 2], 0).is_err());
        assert!(contact_sheet(&one(&image[..]), [2, 2, 3], 1).is_err());
        assert!(contact_sheet(&[], [3, 2, 2], 1).is_err());
        assert!(contact_sheet(&[("row", vec![])], [3, 2, 2], 1).is_err());
    }
}
