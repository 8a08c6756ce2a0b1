//! Hue, saturation and value in 8 bits.

use super::level::truncated_f64;

/// `rgb` with its hue turned by `turn` 256ths, in Pillow's precision: single where it is single there, double where it is
/// double.
#[inline(always)]
pub(crate) fn turn_hue(rgb: [u8; 3], turn: u8) -> [u8; 3] {
    let [h, s, v] = to_hsv(rgb);
    to_rgb([h.wrapping_add(turn), s, v])
}

#[inline(always)]
fn to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let max = r.max(g).max(b);
    let min = r.min(g).min(b);
    // Grey has no hue; a range of 1 spares it the division by 0, and its saturation is 0 all the same.
    let grey = max == min;
    let range = if grey { 1.0 } else { f32::from(max - min) };
    let saturation = if grey { 0.0 } else { range / f32::from(max) };
    let from = |level: u8| f32::from(max - level) / range;
    let (rc, gc, bc) = (from(r), from(g), from(b));
    let sixths = if r == max {
        bc - gc
    } else if g == max {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    // The remainder by 1 of a number below 2.
    let turns = f64::from(sixths) / 6.0 + 1.0;
    let hue = (if turns >= 1.0 { turns - 1.0 } else { turns }) as f32;
    let level = |part: f32| truncated_f64(f64::from(part) * 255.0);
    [level(hue), level(saturation), max]
}

#[inline(always)]
fn to_rgb([h, s, v]: [u8; 3]) -> [u8; 3] {
    let sixths = f64::from(h) * 6.0 / 255.0;
    let sector = truncated_f64(sixths);
    let part = (sixths - f64::from(sector)) as f32;
    let saturation = (f64::from(s) / 255.0) as f32;
    // Rounded, halves up: no product lies so close below a half that the sum would reach the next whole number.
    let level = |less: f64| truncated_f64(f64::from(v) * (1.0 - less) + 0.5);
    let p = level(f64::from(saturation));
    let q = level(f64::from(saturation * part));
    let t = level(f64::from(saturation) * (1.0 - f64::from(part)));
    // Choices instead of jumps, which vectorise. Without saturation p, q and t are v.
    let sector = if sector == 6 { 0 } else { sector };
    let r = match sector {
        0 | 5 => v,
        1 => q,
        4 => t,
        _ => p,
    };
    let g = match sector {
        1 | 2 => v,
        0 => t,
        3 => q,
        _ => p,
    };
    let b = match sector {
        3 | 4 => v,
        2 => t,
        5 => q,
        _ => p,
    };
    [r, g, b]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_colours() {
        assert_eq!(to_hsv([255, 0, 0]), [0, 255, 255]);
        assert_eq!(to_hsv([0, 255, 0]), [85, 255, 255]);
        assert_eq!(to_hsv([0, 0, 255]), [170, 255, 255]);
        assert_eq!(to_hsv([7, 7, 7]), [0, 0, 7]);
        // A third of a turn makes red green.
        assert_eq!(turn_hue([255, 0, 0], 85), [0, 255, 0]);
        assert_eq!(turn_hue([9, 9, 9], 85), [9, 9, 9]);
    }
}
