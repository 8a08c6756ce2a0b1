//! probe
#![allow(missing_docs, clippy::unwrap_used)]
use kd::prelude::*;
use kd::burn::tensor::{Tensor, Distribution, Device, Int};
use kd::burn::module::Module;
use kd::burn::optim::{SgdConfig, GradientsParams, Optimizer};
use std::time::Instant;
fn main() {
    let name = std::env::args().nth(1).unwrap_or("resnet20".into());
    let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    let b = 64;
    let d = Device::flex();
    let ad = d.clone().autodiff();
    let model = name.parse::<Architecture>().unwrap().init(&ModelConfig::new(spec), &ad);
    let x = Tensor::<4>::random([b, 3, 32, 32], Distribution::Default, &d);
    let valid = model.valid();
    let mut f = vec![];
    for _ in 0..20 { let t = Instant::now(); let y = valid.forward(x.clone()); std::hint::black_box(y.into_data()); f.push(t.elapsed().as_secs_f64() * 1e3); }
    let xa = Tensor::<4>::from_inner(x);
    let mut s = vec![]; let mut parts = [0.0; 3];
    let labels = Tensor::<1, Int>::zeros([b], &ad);
    for _ in 0..20 {
        let t = Instant::now();
        let y = model.forward(xa.clone());
        let l = kd::burn::nn::loss::CrossEntropyLossConfig::new().init(&ad).forward(y, labels.clone());
        let a = t.elapsed().as_secs_f64() * 1e3;
        let g = l.backward();
        let bb = t.elapsed().as_secs_f64() * 1e3;
        let g = GradientsParams::from_grads(g, &model);
        std::hint::black_box(g);
        let c = t.elapsed().as_secs_f64() * 1e3;
        s.push(c); parts = [a, bb - a, c - bb];
    }
    f.sort_by(f64::total_cmp); s.sort_by(f64::total_cmp);
    println!("{name}: forward {:.1} (min {:.1}) step {:.1} (min {:.1}) last parts {:?}", f[10], f[0], s[10], s[0], parts);
}
