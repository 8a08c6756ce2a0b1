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

/// What the published code of each family draws, in its largest convolution, its head and the head's bias.
#[test]
fn every_family_is_drawn_as_its_published_code_draws_it() {
    struct Named {
        path: Vec<String>,
        found: Vec<(String, Vec<usize>, Vec<f64>)>,
    }
    impl burn::module::ModuleVisitor for Named {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(
            &mut self,
            param: &burn::module::Param<burn::tensor::Tensor<D>>,
        ) {
            let values = param.val().into_data().iter::<f64>().collect();
            let shape = param.lazy_shape().to_vec();
            self.found.push((self.path.join("."), shape, values));
        }
    }
    let std = |values: &[f64]| {
        let squares: f64 = values.iter().map(|v| v * v).sum();
        (squares / values.len() as f64).sqrt()
    };
    // Whether weights of convolutions come from a fan-out, a fan-in or are PyTorch's; of the head, whether they are PyTorch's or N(0, 0.01),
    // and whether there is a bias at the start.
    #[derive(PartialEq)]
    enum Conv {
        Out,
        In,
        PyTorch,
    }
    let families = [
        ("resnet18", Conv::Out, true, true),
        ("wrn_16_2", Conv::Out, true, false),
        ("wrn_20_8", Conv::Out, true, true),
        ("vgg8", Conv::Out, false, false),
        ("mobilenet_v2", Conv::Out, false, false),
        ("shufflenet_v1", Conv::PyTorch, true, true),
        ("shufflenet_v2", Conv::PyTorch, true, true),
        ("densenet_40_12", Conv::In, true, false),
        ("alexnet", Conv::PyTorch, true, true),
        ("imagenet/resnet18", Conv::Out, true, true),
        ("imagenet/mobilenet_v2", Conv::Out, false, false),
        ("imagenet/shufflenet_v2_x1_0", Conv::PyTorch, true, true),
    ];
    for (name, conv, head_is_pytorch, bias_is_drawn) in families {
        let network = network(name.parse().unwrap(), 0);
        let mut named = Named {
            path: Vec::new(),
            found: Vec::new(),
        };
        network.visit(&mut named);
        let convs = named.found.iter().filter(|(_, shape, _)| shape.len() == 4);
        let (path, shape, values) = convs.max_by_key(|(.., values)| values.len()).unwrap();
        let pixels = shape[2] * shape[3];
        let (fan_out, fan_in) = ((shape[0] * pixels) as f64, (shape[1] * pixels) as f64);
        let expected = match conv {
            Conv::Out => (2.0 / fan_out).sqrt(),
            Conv::In => (2.0 / fan_in).sqrt(),
            // Uniform in ±1 / sqrt(fan_in).
            Conv::PyTorch => (1.0 / (3.0 * fan_in)).sqrt(),
        };
        // Five standard errors of a normal sample's deviation.
        let error = 5.0 / (2.0 * values.len() as f64).sqrt();
        let found = std(values);
        assert!(
            (found / expected - 1.0).abs() < error,
            "{name}: {path} {found} {expected}"
        );

        let mut heads = named.found.iter().filter(|(_, shape, _)| shape.len() == 2);
        let (path, shape, values) = heads.next_back().unwrap();
        let expected = match head_is_pytorch {
            true => (1.0 / (3.0 * shape[0] as f64)).sqrt(),
            false => 0.01,
        };
        let error = 5.0 / (2.0 * values.len() as f64).sqrt();
        let found = std(values);
        assert!(
            (found / expected - 1.0).abs() < error,
            "{name}: {path} {found} {expected}"
        );
        let bias = path.replace("weight", "bias");
        let (.., values) = named.found.iter().find(|(path, ..)| *path == bias).unwrap();
        assert_eq!(
            values.iter().any(|v| *v != 0.0),
            bias_is_drawn,
            "{name}: {bias}"
        );

        // Norms begin as the identity.
        for (path, _, values) in &named.found {
            let constant = match path.rsplit('.').next() {
                Some("gamma" | "running_var") => 1.0,
                Some("beta" | "running_mean") => 0.0,
                _ => continue,
            };
            assert!(values.iter().all(|v| *v == constant), "{name}: {path}");
        }
    }
}
