//! The ten outlines, each as a signed distance: negative inside, in units where the outline's radius is about 1.
//!
//! Each is its own mirror image left to right, so that a flip changes neither the class nor how often a pose is seen.

use super::distance::{Point, box_distance, disc_distance, polygon_distance};

/// The names of the classes, in label order.
pub(super) const NAMES: [&str; 10] = [
    "disc",
    "ring",
    "crescent",
    "half-disc",
    "triangle",
    "square",
    "star",
    "cross",
    "bars",
    "arrow",
];

const TRIANGLE: [Point; 3] = [[0.0, -1.1], [0.953, 0.55], [-0.953, 0.55]];
const SQUARE: [Point; 4] = [[-0.8, -0.8], [0.8, -0.8], [0.8, 0.8], [-0.8, 0.8]];
const STAR: [Point; 10] = [
    [0.0, -1.15],
    [0.259, -0.356],
    [1.094, -0.355],
    [0.418, 0.136],
    [0.676, 0.930],
    [0.0, 0.44],
    [-0.676, 0.930],
    [-0.418, 0.136],
    [-1.094, -0.355],
    [-0.259, -0.356],
];
const ARROW: [Point; 7] = [
    [0.0, -1.1],
    [0.9, -0.1],
    [0.32, -0.1],
    [0.32, 1.05],
    [-0.32, 1.05],
    [-0.32, -0.1],
    [-0.9, -0.1],
];

/// The signed distance from `point` to the outline of class `label`, one of 0..10.
pub(super) fn distance(label: usize, point: Point) -> f32 {
    match label {
        0 => disc_distance(point, [0.0, 0.0], 0.92),
        1 => ring(point),
        2 => crescent(point),
        3 => half_disc(point),
        4 => polygon_distance(&TRIANGLE, point),
        5 => polygon_distance(&SQUARE, point),
        6 => polygon_distance(&STAR, point),
        7 => cross(point),
        8 => bars(point),
        _ => polygon_distance(&ARROW, point),
    }
}

fn ring(point: Point) -> f32 {
    disc_distance(point, [0.0, 0.0], 0.74).abs() - 0.24
}

/// A disc without the part that a second disc covers: horns up.
fn crescent(point: Point) -> f32 {
    let whole = disc_distance(point, [0.0, 0.1], 1.0);
    let bite = disc_distance(point, [0.0, -0.42], 0.78);
    whole.max(-bite)
}

/// The upper half of a disc.
fn half_disc(point: Point) -> f32 {
    let whole = disc_distance(point, [0.0, 0.45], 1.12);
    whole.max(point[1] - 0.45)
}

fn cross(point: Point) -> f32 {
    box_distance(point, [0.0, 0.0], [1.0, 0.32]).min(box_distance(point, [0.0, 0.0], [0.32, 1.0]))
}

fn bars(point: Point) -> f32 {
    box_distance(point, [0.0, -0.55], [0.95, 0.28]).min(box_distance(
        point,
        [0.0, 0.55],
        [0.95, 0.28],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points over the square that holds every outline, none on an axis of symmetry.
    fn grid() -> impl Iterator<Item = Point> {
        (0..4900).map(|i| {
            [
                (i % 70) as f32 * 0.04 - 1.379,
                (i / 70) as f32 * 0.04 - 1.379,
            ]
        })
    }

    #[test]
    fn a_flip_keeps_every_outline() {
        for (label, name) in NAMES.iter().enumerate() {
            for [x, y] in grid() {
                let (here, there) = (distance(label, [x, y]), distance(label, [-x, y]));
                // Rounded corner coordinates: a thousandth of the radius is far below a pixel.
                assert!((here - there).abs() < 2e-3, "{name} at {x}, {y}");
            }
        }
    }

    #[test]
    fn every_outline_fits_and_fills() {
        for (label, name) in NAMES.iter().enumerate() {
            let cells = grid().filter(|&point| distance(label, point) < 0.0).count();
            let area = cells as f32 * 0.04 * 0.04;
            assert!((1.0..2.8).contains(&area), "{name} has area {area}");
            for [x, y] in grid().filter(|[x, y]| x * x + y * y > 1.25 * 1.25) {
                assert!(distance(label, [x, y]) > 0.0, "{name} reaches {x}, {y}");
            }
        }
    }

    #[test]
    fn areas_by_hand() {
        let area =
            |label| grid().filter(|&point| distance(label, point) < 0.0).count() as f32 * 0.0016;
        for (label, expected) in [
            (0, 0.92 * 0.92 * std::f32::consts::PI),
            (1, (0.98 * 0.98 - 0.5 * 0.5) * std::f32::consts::PI),
            (5, 2.56),
            (7, 4.0 * 0.64 - 0.64 * 0.64),
            (8, 2.0 * 1.9 * 0.56),
        ] {
            // Cells of 0.04 along an outline some 8 long.
            assert!(
                (area(label) - expected).abs() < 0.06,
                "{}: {}",
                NAMES[label],
                area(label)
            );
        }
    }

    #[test]
    fn no_two_outlines_are_the_same() {
        for (one, name) in NAMES.iter().enumerate() {
            for (other, other_name) in NAMES[..one].iter().enumerate() {
                let differing = grid()
                    .filter(|&p| (distance(one, p) < 0.0) != (distance(other, p) < 0.0))
                    .count();
                assert!(differing as f32 * 0.0016 > 0.25, "{name} and {other_name}");
            }
        }
    }
}
