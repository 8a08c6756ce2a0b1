//! Normal numbers by counter.

use core::f32::consts::{FRAC_PI_4, LN_2, PI, SQRT_2};

use super::level::rounded;
use crate::stream::threefry_lanes;

/// Blocks of the generator that are computed side by side.
const LANES: usize = 8;
/// Pairs of numbers that these give: one for each of the four words of a block.
const PAIRS: usize = 4 * LANES;

/// Fills `out` with independent normal numbers that `key` names: number k depends on `key` and k alone.
///
/// Box and Muller's transform of 24-bit uniform numbers, so that no number exceeds 5.8. Logarithm, sine and cosine are series of
/// additions, multiplications and divisions, which every machine rounds alike and which vectorise.
#[inline(always)]
pub(crate) fn fill_normal(key: [u64; 4], out: &mut [f32]) {
    for (chunk, out) in out.chunks_mut(2 * PAIRS).enumerate() {
        let first = (chunk * LANES) as u64;
        let counters: [u64; LANES] = core::array::from_fn(|lane| first + lane as u64);
        let words = threefry_lanes(counters, key);
        let words = words.as_flattened();
        let mut numbers = [0.0; 2 * PAIRS];
        let (cosines, sines) = numbers.split_at_mut(PAIRS);
        for i in 0..PAIRS {
            let word = words[i];
            let (a, b) = normal_pair((word >> 40) as u32, (word as u32) >> 8);
            (cosines[i], sines[i]) = (a, b);
        }
        out.copy_from_slice(&numbers[..out.len()]);
    }
}

/// Two independent normal numbers from two uniform numbers of 24 bits.
#[inline(always)]
fn normal_pair(a: u32, b: u32) -> (f32, f32) {
    const STEP: f32 = 1.0 / (1 << 24) as f32;
    // 24 bits fit into a signed number, which converts faster.
    let radius = (-2.0 * ln((a as i32 + 1) as f32 * STEP)).max(0.0).sqrt();
    let (sine, cosine) = turn(b as i32 as f32 * STEP);
    (radius * cosine, radius * sine)
}

/// The natural logarithm of a normal number above 0: ln(2ᵉ·m) = e·ln 2 + 2·artanh((m − 1)/(m + 1)) with m from √½ to √2.
#[inline(always)]
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 23) as i32 - 127;
    let mut mantissa = f32::from_bits((bits & 0x007F_FFFF) | 0x3F80_0000);
    let halve = mantissa > SQRT_2;
    exponent += i32::from(halve);
    mantissa *= if halve { 0.5 } else { 1.0 };
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series =
        1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square / 9.0)));
    exponent as f32 * LN_2 + 2.0 * s * series
}

/// Sine and cosine of a part of a full turn, in [0, 1): series within an eighth of a turn, then quarters.
#[inline(always)]
fn turn(part: f32) -> (f32, f32) {
    // Adding 2²³ leaves the nearest whole number in the lowest bits.
    const WHOLE: f32 = (1 << 23) as f32;
    let near = part * 4.0 + WHOLE;
    let quarter = near.to_bits();
    let x = (part - (near - WHOLE) * 0.25) * (2.0 * PI);
    debug_assert!(x.abs() <= FRAC_PI_4 * 1.0001);
    let square = x * x;
    let sine = x
        * (1.0
            - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0))));
    let cosine =
        1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0)));
    let (a, b) = if quarter & 1 == 1 {
        (cosine, sine)
    } else {
        (sine, cosine)
    };
    let sine = if quarter & 2 == 2 { -a } else { a };
    let cosine = if (quarter + 1) & 2 == 2 { -b } else { b };
    (sine, cosine)
}

/// A level with noise.
#[inline(always)]
pub(crate) fn noisy(level: u8, mean: f32, sigma: f32, z: f32) -> u8 {
    rounded(f32::from(level) + 255.0 * (mean + sigma * z))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_good_to_single_precision() {
        for step in 1..=4096 {
            let x = step as f32 / 4096.0;
            assert!((ln(x) - x.ln()).abs() < 2e-6 * (1.0 + x.ln().abs()), "{x}");
        }
        assert!((ln(1.0 / (1 << 24) as f32) + 24.0 * LN_2).abs() < 1e-5);
        for step in 0..4096 {
            let part = step as f32 / 4096.0;
            let (sine, cosine) = turn(part);
            let angle = f64::from(part) * core::f64::consts::TAU;
            assert!((f64::from(sine) - angle.sin()).abs() < 1e-6, "{part}");
            assert!((f64::from(cosine) - angle.cos()).abs() < 1e-6, "{part}");
        }
    }

    #[test]
    fn a_number_depends_on_its_position_alone() {
        let mut long = [0.0; 100];
        let mut short = [0.0; 13];
        fill_normal([1, 2, 3, 4], &mut long);
        fill_normal([1, 2, 3, 4], &mut short);
        assert_eq!(long[..13], short);
        fill_normal([1, 2, 3, 5], &mut short);
        assert!(short.iter().zip(&long).all(|(a, b)| a != b));
    }

    #[test]
    fn moments_are_those_of_the_normal_distribution() {
        let mut numbers = vec![0.0; 1 << 18];
        fill_normal([9, 9, 9, 9], &mut numbers);
        let n = numbers.len() as f64;
        let moment = |power: i32| {
            numbers
                .iter()
                .map(|z| f64::from(*z).powi(power))
                .sum::<f64>()
                / n
        };
        // Four standard errors of the sample moments: sqrt(1/n), sqrt(2/n), sqrt(15/n), sqrt(96/n).
        for (power, expected, variance) in
            [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
        {
            let error = (moment(power) - expected).abs();
            assert!(error < 4.0 * f64::sqrt(variance / n), "{power}: {error}");
        }
    }
}
