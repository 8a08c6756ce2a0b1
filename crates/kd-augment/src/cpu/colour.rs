//! What looks at the three channels of a pixel together.

use super::isa::vectorized;
use crate::arith::{blend, luminance, turn_hue};

/// The three planes of an image.
#[inline(always)]
fn planes(image: &[u8]) -> [&[u8]; 3] {
    let size = image.len() / 3;
    let (red, rest) = image.split_at(size);
    let (green, blue) = rest.split_at(size);
    [red, green, blue]
}

#[inline(always)]
fn planes_mut(image: &mut [u8]) -> [&mut [u8]; 3] {
    let size = image.len() / 3;
    let (red, rest) = image.split_at_mut(size);
    let (green, blue) = rest.split_at_mut(size);
    [red, green, blue]
}

vectorized! {
    /// grey + factor · (level − grey)
    pub(super) fn color(factor: f32, input: &[u8], out: &mut [u8]) {
        let [red, green, blue] = planes(input);
        let [red_out, green_out, blue_out] = planes_mut(out);
        // Slices of one length spare the checks of every index.
        let n = red.len();
        let (green, blue) = (&green[..n], &blue[..n]);
        let (red_out, green_out, blue_out) = (&mut red_out[..n], &mut green_out[..n], &mut blue_out[..n]);
        for i in 0..n {
            let (r, g, b) = (red[i], green[i], blue[i]);
            let grey = luminance([r, g, b]);
            red_out[i] = blend(grey, r, factor);
            green_out[i] = blend(grey, g, factor);
            blue_out[i] = blend(grey, b, factor);
        }
    }
}

vectorized! {
    /// The luminance in every channel.
    pub(super) fn grayscale(input: &[u8], out: &mut [u8]) {
        let [red, green, blue] = planes(input);
        let [red_out, green_out, blue_out] = planes_mut(out);
        for ((out, r), (g, b)) in red_out.iter_mut().zip(red).zip(green.iter().zip(blue)) {
            *out = luminance([*r, *g, *b]);
        }
        green_out.copy_from_slice(red_out);
        blue_out.copy_from_slice(red_out);
    }
}

vectorized! {
    /// The hue turned by `turn` 256ths.
    pub(crate) fn hue(turn: u8, input: &[u8], out: &mut [u8]) {
        let [red, green, blue] = planes(input);
        let [red_out, green_out, blue_out] = planes_mut(out);
        let n = red.len();
        let (green, blue) = (&green[..n], &blue[..n]);
        let (red_out, green_out, blue_out) = (&mut red_out[..n], &mut green_out[..n], &mut blue_out[..n]);
        for i in 0..n {
            [red_out[i], green_out[i], blue_out[i]] = turn_hue([red[i], green[i], blue[i]], turn);
        }
    }
}
