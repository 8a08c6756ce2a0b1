//! Labels moved apart.

/// Moves sorted heights apart until neighbours have `distance` between them, and back inside `top..=bottom` where they fit.
pub(crate) fn spread(heights: &mut [f64], distance: f64, top: f64, bottom: f64) {
    for index in 1..heights.len() {
        heights[index] = heights[index].max(heights[index - 1] + distance);
    }
    let mut ceiling = bottom;
    for height in heights.iter_mut().rev() {
        *height = height.min(ceiling);
        ceiling = *height - distance;
    }
    let mut floor = top;
    for height in heights.iter_mut() {
        *height = height.max(floor);
        floor = *height + distance;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_touch_and_stay_inside() {
        let mut heights = [10.0, 11.0, 12.0, 99.0, 100.0];
        spread(&mut heights, 5.0, 0.0, 100.0);
        assert_eq!(heights, [10.0, 15.0, 20.0, 95.0, 100.0]);
    }
}
