//! Maps of levels.

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
    blended.clamp(0.0, 255.0) as i32 as u8
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
    core::array::from_fn(|level| (level as f64 * scale + offset).clamp(0.0, 255.0) as u8)
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
    let mut below = step / 2;
    // A multiplication by the reciprocal and one correction are cheaper than 256 divisions.
    let reciprocal = 1.0 / step as f64;
    core::array::from_fn(|level| {
        let mut share = (below as f64 * reciprocal) as u64;
        share -= u64::from(share * step > below);
        share += u64::from((share + 1) * step <= below);
        below += u64::from(histogram[level]);
        share.min(255) as u8
    })
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
