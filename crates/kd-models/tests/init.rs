//! Initial weights depend on (seed, parameter path) alone.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::module::Module;
use burn::tensor::Device;
use kd_models::{Architecture, Classifier, InputSpec, ModelConfig, Statistics};

fn network(architecture: Architecture, seed: u64) -> Classifier {
    let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    architecture
        .init(&ModelConfig::new(spec).with_seed(seed), &Device::flex())
        .unwrap()
}

/// Every parameter's values, in the order of the module's fields.
fn values(network: &Classifier) -> Vec<Vec<f32>> {
    struct Values(Vec<Vec<f32>>);
    impl burn::module::ModuleVisitor for Values {
        fn visit_float<const D: usize>(
            &mut self,
            param: &burn::module::Param<burn::tensor::Tensor<D>>,
        ) {
            self.0.push(param.val().into_data().try_to_vec().unwrap());
        }
    }
    let mut visitor = Values(Vec::new());
    network.visit(&mut visitor);
    visitor.0
}

#[test]
fn the_order_of_construction_and_other_threads_do_not_matter() {
    let alone = values(&network(Architecture::ResNet8, 3));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let other = network(Architecture::ResNet14, 9);
                let this = network(Architecture::ResNet8, 3);
                drop(other);
                values(&this)
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(alone, thread.join().unwrap());
    }
}

#[test]
fn seeds_differ_and_no_two_parameters_share_a_stream() {
    let first = values(&network(Architecture::ResNet8, 0));
    let second = values(&network(Architecture::ResNet8, 1));
    assert_ne!(first[0], second[0]);
    let drawn: Vec<_> = first
        .iter()
        .filter(|values| values.len() > 1 && values.iter().any(|v| *v != values[0]))
        .collect();
    // Nine convolutions, the head's weight and its bias.
    assert_eq!(drawn.len(), 11);
    for (i, a) in drawn.iter().enumerate() {
        for b in &drawn[i + 1..] {
            assert_ne!(a[0], b[0]);
        }
    }
}

#[test]
fn convolutions_are_kaiming_fan_out_and_the_head_is_bounded() {
    let network = values(&network(Architecture::ResNet8x4, 0));
    let moments = |values: &[f32]| {
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|v| (f64::from(*v) - mean).powi(2));
        (mean, (squares.sum::<f64>() / values.len() as f64).sqrt())
    };
    // The largest convolution, 256 -> 256, 3 x 3. The standard error of a standard deviation over n normal draws is
    // std / sqrt(2 n): four of them.
    let largest = network.iter().max_by_key(|values| values.len()).unwrap();
    assert_eq!(largest.len(), 256 * 256 * 9);
    let expected = (2.0 / (256.0 * 9.0f64)).sqrt();
    let (mean, std) = moments(largest);
    let error = expected / (2.0 * largest.len() as f64).sqrt();
    assert!((std - expected).abs() < 4.0 * error, "{std} {expected}");
    assert!(mean.abs() < 4.0 * expected / (largest.len() as f64).sqrt());
    // 256 -> 10: uniform in +-1/16, and the bias too.
    let head = network.iter().find(|values| values.len() == 2560).unwrap();
    let extreme = head.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(extreme <= 1.0 / 16.0 && extreme > 0.99 / 16.0);
    let bias = network.iter().find(|values| values.len() == 10).unwrap();
    assert!(bias.iter().all(|v| v.abs() <= 1.0 / 16.0));
    assert!(bias.iter().any(|v| *v != 0.0));
}

/// On a device with autodiff, and on one without that is left later.
#[test]
fn every_weight_learns() {
    struct Learning(Vec<bool>);
    impl burn::module::ModuleVisitor for Learning {
        fn visit_float<const D: usize>(
            &mut self,
            param: &burn::module::Param<burn::tensor::Tensor<D>>,
        ) {
            self.0.push(param.val().is_require_grad());
        }
    }
    let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    let config = ModelConfig::new(spec);
    let made_there = Architecture::ResNet8
        .init(&config, &Device::flex().autodiff())
        .unwrap();
    let taken_there = Architecture::ResNet8
        .init(&config, &Device::flex())
        .unwrap()
        .train();
    for network in [made_there, taken_there] {
        let mut learning = Learning(Vec::new());
        network.visit(&mut learning);
        // Of each of the nine norms, mean and variance do not.
        let still = learning.0.iter().filter(|learns| !**learns).count();
        assert_eq!((learning.0.len(), still), (9 * 5 + 2, 9 * 2));
    }
}
