//! Fewer points than a screen can show, without losing a peak.

/// Thins a curve, given in pixels and sorted by x, to at most four points a pixel column: the first, the lowest, the highest and the last.
pub(crate) fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    for column in points.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        if column.len() <= 4 {
            kept.extend_from_slice(column);
            continue;
        }
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let position = |found: Option<&(f64, f64)>| {
            found.and_then(|found| column.iter().position(|point| std::ptr::eq(point, found)))
        };
        let mut indices = vec![0, column.len() - 1];
        indices.extend(position(column.iter().min_by(by_height)));
        indices.extend(position(column.iter().max_by(by_height)));
        indices.sort_unstable();
        indices.dedup();
        kept.extend(indices.into_iter().map(|index| column[index]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_survive() {
        let mut points: Vec<(f64, f64)> =
            (0..10_000).map(|i| (f64::from(i) / 100.0, 5.0)).collect();
        points[4321].1 = 99.0;
        points[8765].1 = -99.0;
        let kept = thin(&points);
        assert!(kept.len() <= 400);
        assert!(kept.contains(&points[4321]) && kept.contains(&points[8765]));
        assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
    }
}
