//! Signed distances of simple forms: negative inside, zero on the edge.
//!
//! Only `+ - * /` and `sqrt`, which IEEE rounds correctly everywhere: the same pixels on every machine.

/// A place in the plane, x to the right and y down.
pub(super) type Point = [f32; 2];

/// Distance to a disc.
pub(super) fn disc_distance(point: Point, centre: Point, radius: f32) -> f32 {
    length(subtract(point, centre)) - radius
}

/// Distance to an axis-parallel box given by its half sides.
pub(super) fn box_distance(point: Point, centre: Point, half: Point) -> f32 {
    let offset = subtract(point, centre);
    let x = offset[0].abs() - half[0];
    let y = offset[1].abs() - half[1];
    length([x.max(0.0), y.max(0.0)]) + x.max(y).min(0.0)
}

/// Distance to the segment from `start` to `end`, never negative.
pub(super) fn segment_distance(point: Point, start: Point, end: Point) -> f32 {
    let along = subtract(end, start);
    let offset = subtract(point, start);
    let share = (dot(offset, along) / dot(along, along).max(1e-12)).clamp(0.0, 1.0);
    length([offset[0] - share * along[0], offset[1] - share * along[1]])
}

/// Distance to a closed polygon: that of the nearest edge, negative where a ray to the right crosses the outline an odd number of times.
pub(super) fn polygon_distance(corners: &[Point], point: Point) -> f32 {
    let mut nearest = f32::INFINITY;
    let mut inside = false;
    let mut start = corners[corners.len() - 1];
    for &end in corners {
        nearest = nearest.min(segment_distance(point, start, end));
        if (start[1] > point[1]) != (end[1] > point[1]) {
            let share = (point[1] - start[1]) / (end[1] - start[1]);
            if start[0] + share * (end[0] - start[0]) > point[0] {
                inside = !inside;
            }
        }
        start = end;
    }
    if inside { -nearest } else { nearest }
}

fn subtract(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1]]
}

fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1]
}

fn length(a: Point) -> f32 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f32, right: f32) {
        assert!((left - right).abs() < 1e-6, "{left} against {right}");
    }

    #[test]
    fn distances_by_hand() {
        close(disc_distance([3.0, 4.0], [0.0, 0.0], 1.0), 4.0);
        close(disc_distance([0.0, 0.0], [0.0, 0.0], 1.0), -1.0);
        close(box_distance([4.0, 5.0], [0.0, 0.0], [1.0, 1.0]), 5.0);
        close(box_distance([0.0, 0.5], [0.0, 0.0], [3.0, 1.0]), -0.5);
        close(segment_distance([2.0, 1.0], [0.0, 0.0], [4.0, 0.0]), 1.0);
        close(segment_distance([-3.0, 4.0], [0.0, 0.0], [4.0, 0.0]), 5.0);
        close(segment_distance([3.0, 4.0], [0.0, 0.0], [0.0, 0.0]), 5.0);
    }

    #[test]
    fn a_polygon_agrees_with_the_box() {
        let corners = [[-2.0, -1.0], [2.0, -1.0], [2.0, 1.0], [-2.0, 1.0]];
        for step in 0..400 {
            let point = [
                (step % 20) as f32 * 0.3 - 2.87,
                (step / 20) as f32 * 0.3 - 2.87,
            ];
            close(
                polygon_distance(&corners, point),
                box_distance(point, [0.0, 0.0], [2.0, 1.0]),
            );
        }
    }
}
