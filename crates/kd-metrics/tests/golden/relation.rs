//! Correlations.

use kd_metrics::{PairedDifference, Relation};
use serde::Deserialize;

use crate::{cases, within};

#[derive(Deserialize)]
struct Case {
    name: String,
    x: Vec<f64>,
    y: Vec<f64>,
    pearson: R,
    spearman: R,
    kendall: Tau,
    line: Line,
}

#[derive(Deserialize)]
struct R {
    r: f64,
    p: f64,
}

#[derive(Deserialize)]
struct Tau {
    tau: f64,
    p: f64,
}

#[derive(Deserialize)]
struct Line {
    slope: f64,
    intercept: f64,
}

#[test]
fn correlations() {
    for case in cases::<Case>("relation") {
        let name = &case.name;
        let found = Relation::of(&case.x, &case.y).unwrap();
        for (what, found, expected) in [
            ("Pearson", found.pearson, (case.pearson.r, case.pearson.p)),
            (
                "Spearman",
                found.spearman,
                (case.spearman.r, case.spearman.p),
            ),
            ("Kendall", found.kendall, (case.kendall.tau, case.kendall.p)),
        ] {
            within(&format!("{name}: {what}"), found.value, expected.0, 1e-12);
            // The p-value of a correlation next to 1 depends on its last digits.
            within(&format!("{name}: p of {what}"), found.p, expected.1, 1e-7);
        }
        within(name, found.slope, case.line.slope, 1e-9);
        within(name, found.intercept, case.line.intercept, 1e-9);
    }
}

#[derive(Deserialize)]
struct Exact {
    n: usize,
    dis: usize,
    p: f64,
}

/// An order of n things with so many pairs out of order has Kendall's exact p-value.
#[test]
fn kendall_is_exact_for_small_samples() {
    for case in cases::<Exact>("kendall_exact") {
        if case.n < 3 {
            continue;
        }
        // Built up from the smallest: each next value goes before as many of those that stand there as are still wanted.
        let (mut order, mut left) = (Vec::new(), case.dis);
        for value in 0..case.n {
            // What the values after this one can bring.
            let later: usize = (value + 1..case.n).sum();
            let steps = left.saturating_sub(later);
            order.insert(value - steps, value as f64);
            left -= steps;
        }
        let x: Vec<f64> = (0..case.n).map(|value| value as f64).collect();
        let found = Relation::of(&x, &order).unwrap().kendall;
        within(
            &format!("{} of {}", case.dis, case.n),
            found.p,
            case.p,
            1e-12,
        );
    }
}

#[derive(Deserialize)]
struct Paired {
    first: Vec<f64>,
    second: Vec<f64>,
    level: f64,
    mean: f64,
    deviation: f64,
    interval: (f64, f64),
}

#[test]
fn paired_differences() {
    for case in cases::<Paired>("paired") {
        let found = PairedDifference::of(&case.first, &case.second, case.level).unwrap();
        within("mean", found.mean, case.mean, 1e-12);
        within("deviation", found.deviation, case.deviation, 1e-12);
        within("low", found.interval.0, case.interval.0, 1e-8);
        within("high", found.interval.1, case.interval.1, 1e-8);
    }
}
