use serde::{Deserialize, Serialize};

use crate::DataError;

/// How the pictures of [`Shapes`](crate::Shapes) vary in ways that say nothing about the class.
///
/// Lengths are in pixels of a 32×32 picture, colours on the scale from 0 to 1. Every draw is uniform. The defaults are tuned: of the single
/// settings, the shift costs a linear classifier most and a convolutional network next to nothing; turns and overlapping colour ranges
/// cost both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nuisance {
    /// The smallest and the largest radius of a shape, above 0 and up to 16; 6.5 to 11 by default.
    pub radius: [f32; 2],
    /// The largest distance of the shape's centre from the middle, along each axis, 0 to 16; 5 by default.
    pub shift: f32,
    /// The steepest slope that a shape is turned to, 0 to 100: 0.5, the default, is 27 degrees either way.
    pub turn: f32,
    /// The range of each channel of the background's colour, within [0, 1]; 0 to 0.45 by default.
    pub background: [f32; 2],
    /// The range of each channel of the shape's colour, within [0, 1]; 0.55 to 1 by default.
    pub foreground: [f32; 2],
    /// The smallest distance in RGB between the two colours, where their ranges allow it, 0 to 1.7; 0.4 by default.
    pub contrast: f32,
    /// The largest change of a channel from the middle to 16 pixels beside it, in shape and background, 0 to 1; 0.2 by default.
    pub gradient: f32,
    /// The largest number of strokes behind the shape, and of those before it, 0 to 100; 3 by default.
    pub strokes: u32,
    /// The probability that a band of background hides a part of the shape, 0 to 1; 0.3 by default.
    pub occlusion: f32,
    /// The standard deviation of the noise on every value, 0 to 1; 0.06 by default.
    pub noise: f32,
}

impl Default for Nuisance {
    fn default() -> Self {
        Self {
            radius: [6.5, 11.0],
            shift: 5.0,
            turn: 0.5,
            background: [0.0, 0.45],
            foreground: [0.55, 1.0],
            contrast: 0.4,
            gradient: 0.2,
            strokes: 3,
            occlusion: 0.3,
            noise: 0.06,
        }
    }
}

impl Nuisance {
    pub(super) fn check(&self) -> Result<(), DataError> {
        range(
            "radius",
            self.radius,
            "two values, rising, above 0 and up to 16",
            16.0,
        )?;
        if self.radius[0] == 0.0 {
            return Err(wrong(
                "radius",
                "two values, rising, above 0 and up to 16",
                &self.radius,
            ));
        }
        range(
            "background",
            self.background,
            "two values, rising, in [0, 1]",
            1.0,
        )?;
        range(
            "foreground",
            self.foreground,
            "two values, rising, in [0, 1]",
            1.0,
        )?;
        within("shift", self.shift, "a value in [0, 16]", 16.0)?;
        within("turn", self.turn, "a value in [0, 100]", 100.0)?;
        within("contrast", self.contrast, "a value in [0, 1.7]", 1.7)?;
        within("gradient", self.gradient, "a value in [0, 1]", 1.0)?;
        within("strokes", self.strokes as f32, "a number in 0..=100", 100.0)?;
        within("occlusion", self.occlusion, "a value in [0, 1]", 1.0)?;
        within("noise", self.noise, "a value in [0, 1]", 1.0)
    }
}

fn within(
    setting: &'static str,
    value: f32,
    expected: &'static str,
    most: f32,
) -> Result<(), DataError> {
    if (0.0..=most).contains(&value) {
        Ok(())
    } else {
        Err(wrong(setting, expected, &value))
    }
}

fn range(
    setting: &'static str,
    value: [f32; 2],
    expected: &'static str,
    most: f32,
) -> Result<(), DataError> {
    let [low, high] = value;
    if 0.0 <= low && low <= high && high <= most {
        Ok(())
    } else {
        Err(wrong(setting, expected, &value))
    }
}

fn wrong(setting: &'static str, expected: &'static str, found: &dyn std::fmt::Debug) -> DataError {
    DataError::Setting {
        setting,
        expected,
        found: format!("{found:?}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn values_outside_their_range_are_refused() {
        type Change = fn(&mut Nuisance);
        let changes: [(Change, &str); 9] = [
            (
                |n| n.radius = [0.0, 5.0],
                "radius: expected two values, rising, above 0 and up to 16, found [0.0, 5.0]",
            ),
            (|n| n.radius = [9.0, 8.0], "radius"),
            (|n| n.background = [0.0, 1.5], "background"),
            (|n| n.foreground = [f32::NAN, 1.0], "foreground"),
            (|n| n.shift = f32::INFINITY, "shift"),
            (
                |n| n.turn = -1.0,
                "turn: expected a value in [0, 100], found -1.0",
            ),
            (|n| n.strokes = 101, "strokes"),
            (|n| n.occlusion = 1.01, "occlusion"),
            (|n| n.noise = f32::NAN, "noise"),
        ];
        Nuisance::default().check().unwrap();
        for (change, message) in changes {
            let mut nuisance = Nuisance::default();
            change(&mut nuisance);
            let error = nuisance.check().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
