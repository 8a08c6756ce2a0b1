#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
mod catalogue;
use burn::tensor::{Device, Tensor};
use catalogue::*;
use kd_core::*;

fn pattern(kind: &str, batch: usize, width: usize) -> Tensor<2> {
    let v: Vec<f64> = match kind {
        "zero" => vec![0.0; batch * width],
        "one" => vec![1.0; batch * width],
        "big" => vec![1e4; batch * width],
        "huge" => numbers(batch, width, 1.0, 0.4)
            .iter()
            .map(|x| x.signum() * 1e4)
            .collect(),
        "anti" => numbers(batch, width, 1.0, 0.4)
            .iter()
            .map(|x| -x.signum() * 1e4)
            .collect(),
        "tiny" => numbers(batch, width, 1e-8, 0.4),
        "subtiny" => numbers(batch, width, 1e-15, 0.4),
        "equal" => {
            let r = numbers(1, width, 1.0, 0.4);
            (0..batch).flat_map(|_| r.clone()).collect()
        }
        _ => numbers(batch, width, 1.0, 0.9),
    };
    rows(&v, width.max(1), &Device::flex())
}

#[test]
fn finite() {
    let kinds = [
        "zero", "one", "big", "huge", "anti", "tiny", "subtiny", "equal", "normal",
    ];
    for loss in taught().into_iter().chain(untaught()) {
        for b in [1, 2, 3] {
            for s in kinds {
                for t in kinds {
                    let st = pattern(s, b, loss.student);
                    let tt = pattern(t, b, loss.teacher.max(1));
                    let leaf = Tensor::from_inner(st).require_grad();
                    let v = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        let v = loss.of(&leaf, &tt);
                        (number(v.clone()), leaf.grad(&v.backward()).map(host))
                    }));
                    match v {
                        Err(_) => println!("PANIC {} b{b} {s} {t}", loss.name),
                        Ok((v, g)) => {
                            if !v.is_finite() {
                                println!("VALUE {} b{b} {s} {t} {v}", loss.name)
                            }
                            match g {
                                None => println!("NOGRAD {} b{b} {s} {t}", loss.name),
                                Some(g) => {
                                    if g.iter().any(|g| !g.is_finite()) {
                                        println!("GRAD {} b{b} {s} {t}", loss.name)
                                    } else {
                                        let m = g.iter().fold(0f64, |a, b| a.max(b.abs()));
                                        if m > 1e5 {
                                            println!("LARGE {} b{b} {s} {t} {m:e}", loss.name)
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
#[test]
fn temps() {
    let s = pattern("huge", 2, 5);
    let t = pattern("anti", 2, 5);
    let n = pattern("normal", 2, 5);
    for temp in [1.2e-38, 1e-36, 1e-30, 1e-10, 1e10, 1e19, 1e20, 1e30, 3e38] {
        for (s, t) in [(&s, &t), (&n, &t)] {
            println!(
                "{temp:e} kl {} rev {} js {} dkd {} dist {}",
                number(
                    KlLossConfig::new()
                        .with_temperature(temp)
                        .init()
                        .unwrap()
                        .forward(s.clone(), t.clone())
                ),
                number(
                    ReverseKlLossConfig::new()
                        .with_temperature(temp)
                        .init()
                        .unwrap()
                        .forward(s.clone(), t.clone())
                ),
                number(
                    JsLossConfig::new()
                        .with_temperature(temp)
                        .init()
                        .unwrap()
                        .forward(s.clone(), t.clone())
                ),
                number(
                    DkdLossConfig::new()
                        .with_temperature(temp)
                        .init()
                        .unwrap()
                        .forward(s.clone(), t.clone(), labels(2, &Device::flex()))
                ),
                number(
                    DistLossConfig::new()
                        .with_temperature(temp)
                        .init()
                        .unwrap()
                        .forward(s.clone(), t.clone())
                )
            );
        }
    }
}
#[test]
fn crd_cold() {
    for features in [1, 2, 3, 128] {
        for temp in [0.0125, 0.015, 0.02, 0.07] {
            for c in [CrdContrast::Nce, CrdContrast::InfoNce] {
                let mut bad = 0;
                let mut n = 0;
                for seed in 0..20 {
                    let d = Device::flex().autodiff();
                    let loss = CrdLossConfig::new(4, 4, 8)
                        .with_features(features)
                        .with_temperature(temp)
                        .with_contrast(c)
                        .with_seed(seed)
                        .init(&d)
                        .unwrap();
                    let neg = Negatives::new(&[vec![2, 3, 4], vec![4, 5, 6]], 8).unwrap();
                    let s = rows(&numbers(2, 4, 1.0, 0.1), 4, &d).require_grad();
                    let mut l = loss;
                    for _ in 0..5 {
                        let o = l
                            .forward(
                                s.clone(),
                                rows(&numbers(2, 4, 1.0, 0.8), 4, &d),
                                &[0, 1],
                                &neg,
                            )
                            .unwrap();
                        let g = s.grad(&o.loss.clone().backward()).map(host).unwrap();
                        n += 1;
                        if !number(o.loss).is_finite() || g.iter().any(|g| !g.is_finite()) {
                            bad += 1;
                        }
                        l = l.remember(o.update);
                    }
                }
                println!("{features} {temp} {c:?}: {bad}/{n}");
            }
        }
    }
}
