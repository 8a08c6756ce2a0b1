//! Integer-exact movement: mirroring and shifting, with zeros from outside.

use serde::{Deserialize, Serialize};

use super::PixelBox;

/// Moves pixels without changing them: out(x, y) = in(sx(x), sy(y)) inside `window`, 0 outside, where sx(x) = dx + x, or
/// dx − x if mirrored, and the same for y.
///
/// Any chain of such movements is again one of them, zeros included: that is what [`Gather::then`] computes, so that
/// pad-and-crop followed by a flip costs one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// Whether x runs backwards.
    #[serde(default)]
    pub mirror_x: bool,
    /// Whether y runs backwards.
    #[serde(default)]
    pub mirror_y: bool,
    /// Source column of column 0.
    pub dx: i32,
    /// Source row of row 0.
    pub dy: i32,
    /// The output pixels that have a source.
    pub window: PixelBox,
}

/// A movement along one axis: v ↦ offset + v, or offset − v.
#[derive(Clone, Copy)]
struct Axis {
    mirror: bool,
    offset: i32,
}

impl Axis {
    fn source(self, v: i64) -> i64 {
        let offset = i64::from(self.offset);
        if self.mirror { offset - v } else { offset + v }
    }

    /// This axis after `next`: where the source of the source is.
    fn then(self, next: Self) -> Self {
        Self {
            mirror: self.mirror != next.mirror,
            offset: match self.mirror {
                true => self.offset.saturating_sub(next.offset),
                false => self.offset.saturating_add(next.offset),
            },
        }
    }

    /// The coordinates from 0 on, possibly beyond the image, whose source lies in `first..end`.
    fn preimage(self, first: u32, end: u32) -> (u32, u32) {
        let (first, last) = (i64::from(first), i64::from(end) - 1);
        let offset = i64::from(self.offset);
        let (low, high) = match self.mirror {
            true => (offset - last, offset - first),
            false => (first - offset, last - offset),
        };
        let clamp = |v: i64| v.clamp(0, i64::from(u32::MAX)) as u32;
        (clamp(low), clamp(high + 1))
    }

    /// Whether the sources of `first..end` lie in `0..size`.
    fn fits(self, first: u32, end: u32, size: usize) -> bool {
        let inside = |v: u32| (0..size as i64).contains(&self.source(i64::from(v)));
        inside(first) && inside(end - 1)
    }
}

impl Gather {
    /// Every pixel stays where it is.
    pub fn identity(height: usize, width: usize) -> Self {
        Self {
            mirror_x: false,
            mirror_y: false,
            dx: 0,
            dy: 0,
            window: PixelBox::full(height, width),
        }
    }

    /// Left and right change places.
    pub fn mirrored(height: usize, width: usize) -> Self {
        Self {
            mirror_x: true,
            dx: width as i32 - 1,
            ..Self::identity(height, width)
        }
    }

    /// Top and bottom change places.
    pub fn upside_down(height: usize, width: usize) -> Self {
        Self {
            mirror_y: true,
            dy: height as i32 - 1,
            ..Self::identity(height, width)
        }
    }

    /// out(x, y) = in(x + dx, y + dy), 0 where that is outside.
    pub fn shifted(dx: i32, dy: i32, height: usize, width: usize) -> Self {
        let (x0, x1) = inside(dx, width);
        let (y0, y1) = inside(dy, height);
        Self {
            dx,
            dy,
            window: PixelBox { x0, y0, x1, y1 },
            ..Self::identity(height, width)
        }
        .canonical()
    }

    /// This movement, then `next`, as one.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        // out(v) = mid(next(v)) = in(self(next(v))), where next(v) is in self's window.
        let (x, y) = (self.x().then(next.x()), self.y().then(next.y()));
        Self {
            mirror_x: x.mirror,
            mirror_y: y.mirror,
            dx: x.offset,
            dy: y.offset,
            window: next.window.intersect(&next.preimage(self.window)),
        }
        .canonical()
    }

    /// Whether nothing moves in an image of this size.
    pub fn is_identity(&self, height: usize, width: usize) -> bool {
        *self == Self::identity(height, width)
    }

    /// Source of an output pixel in the window.
    #[inline]
    pub fn source(&self, x: usize, y: usize) -> (usize, usize) {
        let source = |axis: Axis, v: usize| axis.source(v as i64) as usize;
        (source(self.x(), x), source(self.y(), y))
    }

    /// Whether every pixel of the window has its source inside the image.
    pub(crate) fn fits(&self, height: usize, width: usize) -> bool {
        let PixelBox { x0, y0, x1, y1 } = self.window;
        self.window.fits(height, width)
            && (self.window.is_empty()
                || self.x().fits(x0, x1, width) && self.y().fits(y0, y1, height))
    }

    #[inline]
    fn x(&self) -> Axis {
        Axis {
            mirror: self.mirror_x,
            offset: self.dx,
        }
    }

    #[inline]
    fn y(&self) -> Axis {
        Axis {
            mirror: self.mirror_y,
            offset: self.dy,
        }
    }

    /// The pixels, possibly beyond the image, whose source lies in `area`.
    fn preimage(&self, area: PixelBox) -> PixelBox {
        if area.is_empty() {
            return PixelBox::EMPTY;
        }
        let (x0, x1) = self.x().preimage(area.x0, area.x1);
        let (y0, y1) = self.y().preimage(area.y0, area.y1);
        PixelBox { x0, y0, x1, y1 }
    }

    /// One form for every movement that leaves only zeros, so that shifts cannot add up.
    fn canonical(self) -> Self {
        if self.window.is_empty() {
            Self {
                mirror_x: false,
                mirror_y: false,
                dx: 0,
                dy: 0,
                window: PixelBox::EMPTY,
            }
        } else {
            self
        }
    }
}

/// The coordinates x of `0..size` with `x + shift` in `0..size`.
fn inside(shift: i32, size: usize) -> (u32, u32) {
    let size = size as i32;
    (
        shift.saturating_neg().clamp(0, size) as u32,
        size.saturating_sub(shift).clamp(0, size) as u32,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row, written pixel by pixel from the definition.
    fn row(gather: &Gather, input: &[u8]) -> Vec<u8> {
        (0..input.len())
            .map(|x| {
                let inside = gather.window.columns().contains(&x) && !gather.window.is_empty();
                if inside {
                    input[gather.source(x, 0).0]
                } else {
                    0
                }
            })
            .collect()
    }

    #[test]
    fn chains_are_one_movement_zeros_included() {
        let width = 5;
        let input = [1, 2, 3, 4, 5];
        let mut moves = vec![Gather::mirrored(1, width), Gather::identity(1, width)];
        moves.extend((-6..=6).map(|dx| Gather::shifted(dx, 0, 1, width)));
        for a in &moves {
            for b in &moves {
                for c in &moves {
                    let fused = a.then(b).then(c);
                    assert!(fused.fits(1, width));
                    assert_eq!(
                        row(&fused, &input),
                        row(c, &row(b, &row(a, &input))),
                        "{a:?} {b:?} {c:?}"
                    );
                    assert_eq!(fused, a.then(&b.then(c)));
                }
            }
        }
    }

    /// Both axes obey one rule: rows are columns of the transposed image.
    #[test]
    fn rows_move_as_columns_do() {
        let moves = |transposed: bool| {
            let mut moves = vec![match transposed {
                true => Gather::upside_down(5, 1),
                false => Gather::mirrored(1, 5),
            }];
            moves.extend((-6..=6).map(|d| match transposed {
                true => Gather::shifted(0, d, 5, 1),
                false => Gather::shifted(d, 0, 1, 5),
            }));
            moves
        };
        let turned = |g: Gather| Gather {
            mirror_x: g.mirror_y,
            mirror_y: g.mirror_x,
            dx: g.dy,
            dy: g.dx,
            window: PixelBox {
                x0: g.window.y0,
                y0: g.window.x0,
                x1: g.window.y1,
                y1: g.window.x1,
            },
        };
        for (a, turned_a) in moves(false).into_iter().zip(moves(true)) {
            assert_eq!(turned(a), turned_a);
            for (b, turned_b) in moves(false).iter().zip(&moves(true)) {
                assert_eq!(turned(a.then(b)), turned_a.then(turned_b));
            }
        }
    }

    #[test]
    fn known_movements() {
        let input = [1, 2, 3, 4];
        assert_eq!(row(&Gather::mirrored(1, 4), &input), [4, 3, 2, 1]);
        assert_eq!(row(&Gather::shifted(1, 0, 1, 4), &input), [2, 3, 4, 0]);
        assert_eq!(row(&Gather::shifted(-3, 0, 1, 4), &input), [0, 0, 0, 1]);
        // Out and back: what left is lost.
        let there_and_back = Gather::shifted(2, 0, 1, 4).then(&Gather::shifted(-2, 0, 1, 4));
        assert_eq!(row(&there_and_back, &input), [0, 0, 3, 4]);
        for flip in [Gather::mirrored(3, 4), Gather::upside_down(3, 4)] {
            assert!(flip.then(&flip).is_identity(3, 4));
            assert!(!flip.is_identity(3, 4));
        }
    }

    #[test]
    fn sources_outside_are_noticed() {
        let good = Gather::shifted(1, -1, 3, 4);
        assert!(good.fits(3, 4));
        assert!(!Gather { dx: 2, ..good }.fits(3, 4));
        assert!(
            !Gather {
                dx: i32::MAX,
                mirror_x: true,
                ..good
            }
            .fits(3, 4)
        );
        assert!(
            !Gather {
                dy: i32::MIN,
                ..good
            }
            .fits(3, 4)
        );
        assert!(
            !Gather {
                window: PixelBox {
                    x0: 0,
                    y0: 0,
                    x1: 5,
                    y1: 1
                },
                ..good
            }
            .fits(3, 4)
        );
    }
}
