//! Integer-exact movement: mirroring and shifting, with zeros from outside.

use serde::{Deserialize, Serialize};

use super::PixelBox;

/// Moves pixels without changing them: out(x, y) = in(sx(x), y + dy) inside `window`, 0 outside, where
/// sx(x) = dx + x, or dx − x if mirrored.
///
/// Any chain of such movements is again one of them, zeros included: that is what [`Gather::then`] computes, so that
/// pad-and-crop followed by a flip costs one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// Whether x runs backwards.
    #[serde(default)]
    pub mirror: bool,
    /// Source column of column 0.
    pub dx: i32,
    /// Source row of row 0.
    pub dy: i32,
    /// The output pixels that have a source.
    pub window: PixelBox,
}

impl Gather {
    /// Every pixel stays where it is.
    pub fn identity(height: usize, width: usize) -> Self {
        Self {
            mirror: false,
            dx: 0,
            dy: 0,
            window: PixelBox::full(height, width),
        }
    }

    /// Left and right change places.
    pub fn mirrored(height: usize, width: usize) -> Self {
        Self {
            mirror: true,
            dx: width as i32 - 1,
            dy: 0,
            window: PixelBox::full(height, width),
        }
    }

    /// out(x, y) = in(x + dx, y + dy), 0 where that is outside.
    pub fn shifted(dx: i32, dy: i32, height: usize, width: usize) -> Self {
        let (x0, x1) = inside(dx, width);
        let (y0, y1) = inside(dy, height);
        Self {
            mirror: false,
            dx,
            dy,
            window: PixelBox { x0, y0, x1, y1 },
        }
        .canonical()
    }

    /// This movement, then `next`, as one.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        // out(x) = mid(next(x)) = in(self(next(x))), where next(x) is in self's window.
        let (dx, mirror) = if self.mirror {
            (self.dx.saturating_sub(next.dx), !next.mirror)
        } else {
            (self.dx.saturating_add(next.dx), next.mirror)
        };
        let dy = self.dy.saturating_add(next.dy);
        Self {
            mirror,
            dx,
            dy,
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
        let x = x as i32;
        let sx = if self.mirror {
            self.dx - x
        } else {
            self.dx + x
        };
        (sx as usize, (self.dy + y as i32) as usize)
    }

    /// Whether every pixel of the window has its source inside the image.
    pub(crate) fn fits(&self, height: usize, width: usize) -> bool {
        if !self.window.fits(height, width) {
            return false;
        }
        if self.window.is_empty() {
            return true;
        }
        let at = |x: u32| {
            let (dx, x) = (i64::from(self.dx), i64::from(x));
            if self.mirror { dx - x } else { dx + x }
        };
        let row = |y: u32| i64::from(self.dy) + i64::from(y);
        let columns = 0..width as i64;
        let rows = 0..height as i64;
        columns.contains(&at(self.window.x0))
            && columns.contains(&at(self.window.x1 - 1))
            && rows.contains(&row(self.window.y0))
            && rows.contains(&row(self.window.y1 - 1))
    }

    /// The pixels, possibly beyond the image, whose source lies in `area`.
    fn preimage(&self, area: PixelBox) -> PixelBox {
        if area.is_empty() {
            return PixelBox::EMPTY;
        }
        let (first, last) = (area.x0 as i32, area.x1 as i32 - 1);
        let (x0, x1) = if self.mirror {
            (self.dx.saturating_sub(last), self.dx.saturating_sub(first))
        } else {
            (first.saturating_sub(self.dx), last.saturating_sub(self.dx))
        };
        let from_zero = |v: i32| v.max(0) as u32;
        PixelBox {
            x0: from_zero(x0),
            y0: from_zero((area.y0 as i32).saturating_sub(self.dy)),
            x1: from_zero(x1.saturating_add(1)),
            y1: from_zero((area.y1 as i32).saturating_sub(self.dy)),
        }
    }

    /// One form for every movement that leaves only zeros, so that shifts cannot add up.
    fn canonical(self) -> Self {
        if self.window.is_empty() {
            Self {
                mirror: false,
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

    #[test]
    fn known_movements() {
        let input = [1, 2, 3, 4];
        assert_eq!(row(&Gather::mirrored(1, 4), &input), [4, 3, 2, 1]);
        assert_eq!(row(&Gather::shifted(1, 0, 1, 4), &input), [2, 3, 4, 0]);
        assert_eq!(row(&Gather::shifted(-3, 0, 1, 4), &input), [0, 0, 0, 1]);
        // Out and back: what left is lost.
        let there_and_back = Gather::shifted(2, 0, 1, 4).then(&Gather::shifted(-2, 0, 1, 4));
        assert_eq!(row(&there_and_back, &input), [0, 0, 3, 4]);
        let flip = Gather::mirrored(3, 4);
        assert!(flip.then(&flip).is_identity(3, 4));
    }

    #[test]
    fn sources_outside_are_noticed() {
        let good = Gather::shifted(1, -1, 3, 4);
        assert!(good.fits(3, 4));
        assert!(!Gather { dx: 2, ..good }.fits(3, 4));
        assert!(
            !Gather {
                dx: i32::MAX,
                mirror: true,
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
