//! In steady state a training step touches no page for the first time.
//!
//! The one test of its process: page faults are counted for all threads.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs, unsafe_code)]

use burn::module::Param;
use burn::nn::PaddingConfig2d;
use burn::tensor::{Device, Distribution, Tensor};
use kd_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Fused};

/// Minor page faults of this process so far.
fn faults() -> i64 {
    // SAFETY: `getrusage` fills the struct that it is given.
    unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage.ru_minflt
    }
}

struct Net {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
}

impl Net {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (conv, norm) = (&self.convs, &self.norms);
        let y = Fused::new().conv(&conv[0]).norm(&norm[0]).relu().forward(x);
        Fused::new()
            .conv(&conv[1])
            .norm(&norm[1])
            .relu()
            .conv(&conv[2])
            .norm(&norm[2])
            .add_shortcut()
            .relu()
            .branch()
            .conv(&conv[3])
            .norm(&norm[3])
            .relu()
            .conv(&conv[4])
            .norm(&norm[4])
            .add_projection(&conv[5], &norm[5])
            .relu()
            .forward(y)
    }

    /// One step of gradient descent on the mean square of the output.
    fn step(&mut self, x: &Tensor<4>) {
        let y = self.forward(x.clone());
        let gradients = (y.clone() * y).mean().backward();
        fn descend<const D: usize>(
            param: &mut Param<Tensor<D>>,
            gradients: &burn::tensor::Gradients,
        ) {
            let gradient = param.val().grad(gradients).unwrap();
            *param = param.clone().map(|value| {
                Tensor::from_inner(value.inner() - gradient.mul_scalar(1e-3)).require_grad()
            });
        }
        for conv in &mut self.convs {
            descend(&mut conv.weight, &gradients);
        }
        for norm in &mut self.norms {
            descend(&mut norm.gamma, &gradients);
            descend(&mut norm.beta, &gradients);
        }
    }
}

/// An activation of this network has 512 pages, and a step makes a dozen: without memory that is kept a step has thousands of faults, as the
/// first one has. The bound is one fault in a hundred of those: what is left are Burn's own small tensors and graphs, whose memory
/// comes from an allocator that gives some of it back to the system.
#[test]
fn a_step_in_steady_state_touches_no_new_pages() {
    let device = Device::flex().autodiff();
    let conv = |channels: [usize; 2], kernel: usize, stride: usize| {
        let pad = kernel / 2;
        Conv2dConfig::new(channels, [kernel; 2])
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .with_bias(false)
            .init(&device)
    };
    let mut net = Net {
        convs: vec![
            conv([3, 16], 3, 1),
            conv([16, 16], 3, 1),
            conv([16, 16], 3, 1),
            conv([16, 32], 3, 2),
            conv([32, 32], 3, 1),
            conv([16, 32], 1, 2),
        ],
        norms: [16, 16, 16, 32, 32, 32]
            .map(|channels| BatchNormConfig::new(channels).init(&device))
            .into(),
    };
    let x = Tensor::<4>::random([32, 3, 32, 32], Distribution::Default, &device);
    let start = faults();
    net.step(&x);
    let first = faults() - start;
    for _ in 0..4 {
        net.step(&x);
    }
    let steps = 20;
    let start = faults();
    for _ in 0..steps {
        net.step(&x);
    }
    let found = faults() - start;
    println!("{first} faults in the first step, {found} in {steps} steps of steady state");
    assert!(first > 2_000, "{first} faults in the first step");
    assert!(
        found * 100 < first * steps,
        "{found} faults in {steps} steps, {first} in the first one"
    );
}
