//! From numbers to levels.
//!
//! A cast from f32 to u8 saturates, and that does not vectorise. These do: adding 2²³ leaves a number's whole part, rounded, in the
//! lowest bits.

const WHOLE: f32 = (1 << 23) as f32;

/// Clamped to 0 … 255 and rounded, halves to even.
#[inline(always)]
pub(crate) fn rounded(value: f32) -> u8 {
    (value.clamp(0.0, 255.0) + WHOLE).to_bits() as u8
}

/// Clamped to 0 … 255 and rounded down.
#[inline(always)]
pub(crate) fn truncated(value: f32) -> u8 {
    let value = value.clamp(0.0, 255.0);
    let near = value + WHOLE;
    let above = near - WHOLE > value;
    (near.to_bits() as u8).wrapping_sub(u8::from(above))
}

/// [`truncated`] in double precision, for numbers in 0 … 255.
#[inline(always)]
pub(crate) fn truncated_f64(value: f64) -> u8 {
    const WHOLE: f64 = (1_u64 << 52) as f64;
    let near = value + WHOLE;
    let above = near - WHOLE > value;
    (near.to_bits() as u8).wrapping_sub(u8::from(above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_say_the_same() {
        for step in -1000..70_000 {
            let value = step as f32 / 256.0;
            assert_eq!(truncated(value), value as u8, "{value}");
            assert_eq!(
                rounded(value),
                value.clamp(0.0, 255.0).round_ties_even() as u8
            );
            for near in [value.next_up(), value.next_down()] {
                assert_eq!(truncated(near), near as u8, "{near}");
            }
            let value = f64::from(value).clamp(0.0, 255.0);
            assert_eq!(truncated_f64(value), value as u8);
        }
    }
}
