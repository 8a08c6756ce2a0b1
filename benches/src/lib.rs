//! Inputs that the benches share.

pub mod losses;
pub mod train;

use kd::prelude::*;

/// A batch as it comes from the loader: 64 images of Shapes, 32×32 RGB.
pub fn batch() -> kd::data::Batch {
    let set = Shapes::render(0, Split::Train, 64);
    let loader = LoaderConfig::new(64).init(set);
    match loader.map(|loader| loader.epoch(0).next()) {
        Ok(Some(batch)) => batch,
        _ => unreachable!("64 images are one batch of 64"),
    }
}

/// Planar u8 images with gradients, edges and noise.
pub fn pixels([n, c, h, w]: [usize; 4]) -> Vec<u8> {
    let mut noise = 0x2545_F491_u32;
    let mut pixels = Vec::with_capacity(n * c * h * w);
    for image in 0..n {
        for channel in 0..c {
            for y in 0..h {
                for x in 0..w {
                    noise ^= noise << 13;
                    noise ^= noise >> 17;
                    noise ^= noise << 5;
                    let ramp = (x * (image % 7 + 1) + y * (channel + 2)) * 160 / (w * 9);
                    let edge = usize::from((x * 3 + y * 2 + image * 5) % (w + h) < w / 2) * 60;
                    pixels.push((ramp + edge + (noise & 15) as usize).min(255) as u8);
                }
            }
        }
    }
    pixels
}
