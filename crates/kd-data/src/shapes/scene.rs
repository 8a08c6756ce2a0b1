//! One picture: what is drawn at random, and in which order it is painted.

use super::canvas::{Canvas, Colour, inside};
use super::distance::{Point, segment_distance};
use super::{Nuisance, outline};
use crate::stream::Stream;

/// Paints a shape of class `label` with everything that hides it.
///
/// From back to front: a background gradient, strokes behind, the shape, strokes in front, an occluding band, noise.
pub(super) fn paint(label: usize, nuisance: &Nuisance, stream: &mut Stream, pixels: &mut [u8]) {
    let mut canvas = Canvas::new();
    let middle = colour(nuisance.background, stream);
    let background = Gradient::draw(middle, nuisance.gradient, stream);
    let middle = contrasting(middle, nuisance.foreground, nuisance.contrast, stream);
    let foreground = Gradient::draw(middle, nuisance.gradient, stream);
    canvas.paint(|_| 1.0, |point| background.at(point));
    strokes(&mut canvas, nuisance, stream);
    let pose = Pose::draw(nuisance, stream);
    canvas.paint(
        |point| inside(outline::distance(label, pose.to_outline(point)) * pose.radius),
        |point| foreground.at(point),
    );
    strokes(&mut canvas, nuisance, stream);
    if stream.unit() < nuisance.occlusion {
        occlude(&mut canvas, &pose, &background, stream);
    }
    canvas.write(pixels, || nuisance.noise * noise(stream));
}

/// Where the shape stands, how large it is and how far it is turned.
struct Pose {
    centre: Point,
    radius: f32,
    axis: Point,
}

impl Pose {
    fn draw(nuisance: &Nuisance, stream: &mut Stream) -> Self {
        let shift = nuisance.shift;
        Self {
            centre: [stream.range(-shift, shift), stream.range(-shift, shift)],
            radius: stream.range(nuisance.radius[0], nuisance.radius[1]),
            axis: turned(nuisance.turn, stream),
        }
    }

    /// A place in the picture, in the outline's own coordinates.
    fn to_outline(&self, point: Point) -> Point {
        let x = (point[0] - self.centre[0]) / self.radius;
        let y = (point[1] - self.centre[1]) / self.radius;
        [
            self.axis[0] * x + self.axis[1] * y,
            self.axis[0] * y - self.axis[1] * x,
        ]
    }
}

/// A colour that changes evenly along a direction.
struct Gradient {
    middle: Colour,
    change: Colour,
    along: Point,
}

impl Gradient {
    fn draw(middle: Colour, strength: f32, stream: &mut Stream) -> Self {
        Self {
            middle,
            change: [(); 3].map(|()| strength * stream.range(-1.0, 1.0)),
            along: any_direction(stream),
        }
    }

    fn at(&self, point: Point) -> Colour {
        let share = (point[0] * self.along[0] + point[1] * self.along[1]) / 16.0;
        [0, 1, 2]
            .map(|channel| (self.middle[channel] + share * self.change[channel]).clamp(0.0, 1.0))
    }
}

/// Lines and dots of any colour: between none and `nuisance.strokes` of them.
fn strokes(canvas: &mut Canvas, nuisance: &Nuisance, stream: &mut Stream) {
    for _ in 0..stream.below(u64::from(nuisance.strokes) + 1) {
        let start = [stream.range(-16.0, 16.0), stream.range(-16.0, 16.0)];
        let reach = stream.range(0.0, 10.0);
        let along = any_direction(stream);
        let end = [start[0] + reach * along[0], start[1] + reach * along[1]];
        let half_width = stream.range(0.4, 1.0);
        let paint = colour([0.0, 1.0], stream);
        canvas.paint(
            |point| inside(segment_distance(point, start, end) - half_width),
            |_| paint,
        );
    }
}

/// A band of the background's colour across the shape.
fn occlude(canvas: &mut Canvas, pose: &Pose, background: &Gradient, stream: &mut Stream) {
    let across = any_direction(stream);
    let offset = pose.radius * stream.range(-0.8, 0.8);
    let half_width = pose.radius * stream.range(0.1, 0.25);
    canvas.paint(
        |point| {
            let x = point[0] - pose.centre[0];
            let y = point[1] - pose.centre[1];
            inside((across[0] * x + across[1] * y - offset).abs() - half_width)
        },
        |point| background.at(point),
    );
}

/// A colour whose channels all lie in `range`.
fn colour(range: [f32; 2], stream: &mut Stream) -> Colour {
    [(); 3].map(|()| stream.range(range[0], range[1]))
}

/// A colour with channels in `range` that is at least `contrast` away from `other` in RGB; where 32 draws find none, the furthest corner.
fn contrasting(other: Colour, range: [f32; 2], contrast: f32, stream: &mut Stream) -> Colour {
    let [low, high] = range;
    for _ in 0..32 {
        let candidate = colour(range, stream);
        let squared: f32 = (0..3)
            .map(|c| candidate[c] - other[c])
            .map(|difference| difference * difference)
            .sum();
        if squared >= contrast * contrast {
            return candidate;
        }
    }
    other.map(|value| {
        if value - low < high - value {
            high
        } else {
            low
        }
    })
}

/// A unit vector, uniform over all directions: a point in the unit disc by rejection, scaled to length 1.
fn any_direction(stream: &mut Stream) -> Point {
    loop {
        let x = stream.range(-1.0, 1.0);
        let y = stream.range(-1.0, 1.0);
        let squared = x * x + y * y;
        if squared <= 1.0 && squared > 1e-4 {
            let length = squared.sqrt();
            return [x / length, y / length];
        }
    }
}

/// A unit vector whose slope against the x axis is uniform in [-turn, turn].
fn turned(turn: f32, stream: &mut Stream) -> Point {
    let slope = stream.range(-turn, turn);
    let length = (1.0 + slope * slope).sqrt();
    [1.0 / length, slope / length]
}

/// Mean 0, standard deviation 1: the sum of three uniforms, which is bell-shaped and needs no logarithm.
fn noise(stream: &mut Stream) -> f32 {
    2.0 * (stream.unit() + stream.unit() + stream.unit() - 1.5)
}
