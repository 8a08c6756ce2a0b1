//! Axes: a range of values, round ticks in it, and how they are written.

/// A range of values shown along one side of a figure.
pub(crate) struct Axis {
    low: f64,
    high: f64,
    scale: Scale,
    ticks: Vec<f64>,
    decimals: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    Log,
}

impl Axis {
    /// A linear axis that ends at round values around the data.
    pub(crate) fn rounded(values: impl Iterator<Item = f64>, ticks: usize) -> Self {
        let (low, high) = range(values);
        let step = round_step((high - low) / ticks as f64);
        Self::linear(
            (low / step).floor() * step,
            (high / step).ceil() * step,
            step,
        )
    }

    /// A linear axis that ends where the data ends.
    pub(crate) fn tight(values: impl Iterator<Item = f64> + Clone, ticks: usize) -> Self {
        let whole = values.clone().all(|value| value.fract() == 0.0);
        let (low, high) = range(values);
        let step = round_step((high - low) / ticks as f64);
        Self::linear(low, high, if whole { step.max(1.0) } else { step })
    }

    fn linear(low: f64, high: f64, step: f64) -> Self {
        // A little slack, so that rounding does not lose the last tick.
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        Self {
            low,
            high,
            scale: Scale::Linear,
            ticks: (first..=last).map(|index| index as f64 * step).collect(),
            decimals: (-step.log10().floor()).max(0.0) as usize,
        }
    }

    /// A logarithmic axis around positive data, with ticks at powers of ten, or at 1, 2 and 5 times those when there are few.
    pub(crate) fn log(values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter_map(shown).filter(|value| *value > 0.0);
        let (low, high) = range(positive.map(f64::log10));
        // Air around the data, so that a curve does not run along the baseline, and room for at least one tick.
        let air = (0.04 * (high - low)).max(0.25 - (high - low) / 2.0);
        let (low, high) = (low - air, high + air);
        let narrow = high - low < 2.5;
        let factors: &[f64] = if narrow { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = low.floor() as i32..=high.ceil() as i32;
        let spacing = if narrow {
            1
        } else {
            decades.clone().count().div_ceil(8)
        };
        let (low, high) = (10f64.powf(low), 10f64.powf(high));
        let ticks = decades
            .step_by(spacing)
            .flat_map(|decade| factors.iter().map(move |f| f * 10f64.powi(decade)))
            .filter(|tick| (low..=high).contains(tick))
            .collect();
        Self {
            low,
            high,
            scale: Scale::Log,
            ticks,
            decimals: 0,
        }
    }

    /// Where a value stands between the ends, 0 to 1; nothing for one that has no place here.
    pub(crate) fn place(&self, value: f64) -> Option<f64> {
        let value = shown(value)?;
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        place.is_finite().then_some(place)
    }

    /// The values to mark, each with its place and its text.
    pub(crate) fn ticks(&self) -> impl Iterator<Item = (f64, String)> + '_ {
        self.ticks
            .iter()
            .filter_map(|&tick| Some((self.place(tick)?, self.text(tick))))
    }

    fn text(&self, tick: f64) -> String {
        let size = tick.abs();
        if tick == 0.0 {
            "0".to_owned()
        } else if !(1e-4..1e6).contains(&size) {
            minus(format!("{tick:e}"))
        } else if self.scale == Scale::Log {
            minus(tick_digits(tick))
        } else {
            minus(format!("{tick:.*}", self.decimals))
        }
    }
}

/// A power of ten times 1, 2 or 5 without the noise of its last bits.
fn tick_digits(tick: f64) -> String {
    let decimals = (-tick.log10().floor()).max(0.0) as usize;
    format!("{tick:.decimals$}")
}

/// The number as a figure shows it: nothing if it is not finite or so large that distances are beyond
/// f64, and 0 if it is so small that the steps between ticks would be.
pub(crate) fn shown(value: f64) -> Option<f64> {
    match value.abs() {
        size if size <= 1e-300 => Some(0.0),
        size if size <= 1e300 => Some(value),
        _ => None,
    }
}

/// The smallest and largest value that is shown, moved apart when they are equal.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter_map(shown)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        (0.0, 1.0)
    } else if high - low <= 1e-12 * low.abs().max(high.abs()) {
        let room = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
        (low - room, high + room)
    } else {
        (low, high)
    }
}

/// The next of 1, 2, 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// A number of `digits` significant digits, in the notation of the axes.
pub(crate) fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return "–".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-5..6).contains(&magnitude) {
        return minus(format!("{value:.*e}", (digits - 1).max(0) as usize));
    }
    minus(format!(
        "{value:.*}",
        (digits - 1 - magnitude).max(0) as usize
    ))
}

/// The typographic minus sign.
fn minus(number: String) -> String {
    number.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<String> {
        axis.ticks().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        let axis = Axis::rounded([0.013, 0.987].into_iter(), 5);
        assert_eq!(texts(&axis), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let epochs = Axis::tight([1.0, 2.0, 3.0].into_iter(), 6);
        assert_eq!(texts(&epochs), ["1", "2", "3"]);
        let negative = Axis::rounded([-3.0, 4.0].into_iter(), 4);
        assert_eq!(texts(&negative), ["−4", "−2", "0", "2", "4"]);
    }

    #[test]
    fn logarithmic_ticks_are_powers_of_ten_or_thirds_of_them() {
        let wide = Axis::log([0.001, 100.0].into_iter());
        assert_eq!(texts(&wide), ["0.001", "0.01", "0.1", "1", "10", "100"]);
        let narrow = Axis::log([0.3, 6.0].into_iter());
        assert_eq!(texts(&narrow), ["0.5", "1", "2", "5"]);
        for value in [1.0, 1.5, 3.1, 7.0, 0.0042] {
            let single = Axis::log([value, 1.01 * value].into_iter());
            assert!(!texts(&single).is_empty(), "{value}");
        }
    }

    #[test]
    fn every_range_has_an_axis() {
        for values in [
            vec![],
            vec![0.0],
            vec![7.0, 7.0],
            vec![f64::NAN],
            vec![1e300, -1e300],
        ] {
            let axis = Axis::rounded(values.iter().copied(), 5);
            let count = texts(&axis).len();
            assert!((1..=12).contains(&count), "{values:?}: {count} ticks");
        }
    }

    #[test]
    fn significant_digits() {
        assert_eq!(significant(0.016771, 4), "0.01677");
        assert_eq!(significant(91.73, 3), "91.7");
        assert_eq!(significant(-1234.5, 3), "−1234");
        assert_eq!(significant(1.5e-9, 3), "1.50e−9");
    }
}
