//! Paths cut into dashes, which plotters' backend does not do.

/// Pieces of a path: dashes and gaps alternate with the given lengths along it.
pub(crate) fn split(points: &[(f64, f64)], lengths: &[f64]) -> Vec<Vec<(f64, f64)>> {
    let mut pieces = Vec::new();
    let mut lengths = lengths.iter().copied().cycle();
    let Some((&first, mut left)) = points.first().zip(lengths.next()) else {
        return pieces;
    };
    let mut inked = true;
    let mut piece = vec![first];
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let distance = dx.hypot(dy);
            if distance <= left {
                left -= distance;
                break;
            }
            from = (from.0 + dx * left / distance, from.1 + dy * left / distance);
            if inked {
                piece.push(from);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![from];
            }
            inked = !inked;
            left = lengths.next().unwrap_or(f64::INFINITY);
        }
        if inked {
            piece.push(to);
        }
    }
    if inked && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_follow_the_path_round_corners() {
        let path = [(0.0, 0.0), (3.0, 0.0), (3.0, 4.0)];
        let pieces = split(&path, &[4.0, 2.0]);
        assert_eq!(
            pieces,
            [
                vec![(0.0, 0.0), (3.0, 0.0), (3.0, 1.0)],
                vec![(3.0, 3.0), (3.0, 4.0)],
            ]
        );
    }
}
