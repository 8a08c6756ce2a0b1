//! Maps of levels.

use super::level::{truncated, truncated_f64};
use crate::plan::PointOp;

/// What each level becomes.
pub(crate) type Table = [u8; 256];

/// Every level stays.
pub(crate) fn identity() -> Table {
    core::array::from_fn(|level| level as u8)
}

/// Changes what each level becomes.
fn map(table: &mut Table, f: impl Fn(u8) -> u8) {
    for level in table {
        *level = f(*level);
    }
}

/// `table`, then `op`.
pub(crate) fn point(table: &mut Table, op: PointOp) {
    match op {
        PointOp::Brightness(factor) => map(table, |level| blend(0, level, factor)),
        PointOp::Posterize(bits) => {
            let kept = !(0xFF_u32 >> bits.min(8)) as u8;
            map(table, |level| level & kept);
        }
        PointOp::Solarize(from) => map(table, |level| match u16::from(level) < from {
            true => level,
            false => 255 - level,
        }),
        PointOp::Invert => map(table, |level| 255 - level),
    }
}

/// `first`, then `next`.
#[cfg(test)]
pub(crate) fn compose(first: &Table, next: &Table) -> Table {
    first.map(|level| next[usize::from(level)])
}

/// degenerate + factor · (level − degenerate) in f32, truncated and clamped.
#[inline(always)]
pub(crate) fn blend(degenerate: u8, level: u8, factor: f32) -> u8 {
    let (degenerate, level) = (i32::from(degenerate), i32::from(level));
    let blended = degenerate as f32 + factor * (level - degenerate) as f32;
    truncated(blended)
}

/// The luminance of a colour: ITU-R 601-2 weights in 16 bits, rounded.
#[inline(always)]
pub(crate) fn luminance([r, g, b]: [u8; 3]) -> u8 {
    ((19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + 0x8000) >> 16) as u8
}

/// Stretches `low..=high` to `0..=255`.
pub(crate) fn auto_contrast(low: u8, high: u8) -> Table {
    if low >= high {
        return identity();
    }
    let scale = 255.0 / f64::from(high - low);
    let offset = f64::from(low) * -scale;
    let mut table = [0; 256];
    for (level, out) in table.iter_mut().enumerate() {
        let stretched = f64::from(level as i32) * scale + offset;
        *out = truncated_f64(stretched.clamp(0.0, 255.0));
    }
    table
}

/// Makes levels of these frequencies about equally frequent.
pub(crate) fn equalize(histogram: &[u32; 256]) -> Table {
    let Some(last) = histogram.iter().rposition(|&count| count > 0) else {
        return identity();
    };
    let pixels: u64 = histogram.iter().map(|&count| u64::from(count)).sum();
    let step = (pixels - u64::from(histogram[last])) / 255;
    if step == 0 {
        return identity();
    }
    // A running sum first, then all quotients: those vectorise.
    let mut below = [0; 256];
    let mut sum = (step / 2) as u32;
    for (below, count) in below.iter_mut().zip(histogram) {
        *below = sum;
        sum = sum.wrapping_add(*count);
    }
    quotients(&below, step as u32)
}

/// below / step for each level, at most 255.
#[inline(always)]
fn quotients(below: &[u32; 256], step: u32) -> Table {
    // 2⁵² leaves a number's whole part in the lowest bits. The product with the reciprocal is off by less than 1.
    const WHOLE: f64 = (1_u64 << 52) as f64;
    let reciprocal = 1.0 / f64::from(step);
    let mut table = [0; 256];
    for (out, &below) in table.iter_mut().zip(below) {
        let near = (f64::from(below) * reciprocal + WHOLE).to_bits() as u32;
        let rest = below.wrapping_sub(near.wrapping_mul(step)) as i32;
        let near = near.wrapping_sub(u32::from(rest < 0));
        *out = if near > 255 { 255 } else { near as u8 };
    }
    table
}

/// Blends with the mean luminance, which is `sum / pixels`, rounded.
pub(crate) fn contrast(sum: u64, pixels: u64, factor: f32) -> Table {
    let mean = ((2 * sum + pixels) / (2 * pixels)) as u8;
    core::array::from_fn(|level| blend(mean, level as u8, factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_operations_compose_exactly() {
        let ops = [
            PointOp::Brightness(1.7),
            PointOp::Solarize(100),
            PointOp::Posterize(3),
            PointOp::Invert,
            PointOp::Brightness(0.3),
        ];
        let mut fused = identity();
        let mut composed = identity();
        for op in ops {
            point(&mut fused, op);
            let mut single = identity();
            point(&mut single, op);
            composed = compose(&composed, &single);
        }
        assert_eq!(fused, composed);
    }

    #[test]
    fn extremes_of_point_operations() {
        let of = |op| {
            let mut table = identity();
            point(&mut table, op);
            table
        };
        assert_eq!(of(PointOp::Posterize(0)), [0; 256]);
        assert_eq!(of(PointOp::Posterize(8)), identity());
        assert_eq!(of(PointOp::Solarize(256)), identity());
        assert_eq!(of(PointOp::Solarize(0)), of(PointOp::Invert));
        assert_eq!(of(PointOp::Brightness(0.0)), [0; 256]);
        assert_eq!(of(PointOp::Brightness(100.0))[3], 255);
    }

    #[test]
    fn shares_are_whole_quotients() {
        for seed in 0..200_u32 {
            let histogram: [u32; 256] =
                core::array::from_fn(|i| (i as u32 * 2_654_435_761 + seed * 97) >> 20 & 0xFFF);
            let table = equalize(&histogram);
            let last = histogram.iter().rposition(|count| *count > 0).unwrap_or(0);
            let total: u32 = histogram.iter().sum();
            let step = (total - histogram[last]) / 255;
            let mut below = step / 2;
            for (level, count) in histogram.iter().enumerate() {
                assert_eq!(u32::from(table[level]), (below / step).min(255));
                below += count;
            }
        }
    }
}
