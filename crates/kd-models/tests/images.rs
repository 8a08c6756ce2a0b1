//! Images that a network cannot take, and images of a size that nobody has.
#![allow(clippy::unwrap_used, missing_docs)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor};
use kd_models::{
    Architecture, BranchedClassifier, Classifier, Classify, InputSpec, ModelConfig, ModelError,
    Statistics,
};

fn spec(size: [usize; 3], classes: usize) -> InputSpec {
    let names = (0..classes).map(|class| class.to_string()).collect();
    InputSpec::new(size, vec![0.5; size[0]], vec![0.25; size[0]], names).unwrap()
}

fn network(architecture: Architecture, size: [usize; 3]) -> Classifier {
    let config = ModelConfig::new(spec(size, 4));
    architecture.init(&config, &Device::flex()).unwrap()
}

/// What the network says when it is shown images of this size, if it refuses them.
fn shown(network: &Classifier, [channels, height, width]: [usize; 3]) -> Option<String> {
    let images = Tensor::<4>::zeros([2, channels, height, width], &Device::flex());
    panic_of(|| network.forward(images).dims()[0])
}

fn panic_of(f: impl FnOnce() -> usize) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(f)).err()?;
    Some(match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().unwrap().to_string(),
    })
}

#[test]
fn images_of_another_number_of_channels_are_refused_with_both_numbers() {
    for (made, found) in [(3, 1), (3, 4), (3, 2), (1, 3)] {
        let network = network(Architecture::ResNet8, [made, 16, 16]);
        let message = shown(&network, [found, 16, 16]).unwrap();
        for part in [format!("{made} channels"), format!("found {found}")] {
            assert!(message.contains(&part), "{made} {found}: {message}");
        }
        assert_eq!(shown(&network, [made, 16, 16]), None);
    }
}

#[test]
fn branches_refuse_them_too() {
    let config = ModelConfig::new(spec([3, 16, 16], 4));
    let network =
        BranchedClassifier::new(Architecture::ResNet8, &config, 2, &Device::flex()).unwrap();
    let images = Tensor::<4>::zeros([2, 1, 16, 16], &Device::flex());
    let message = panic_of(|| network.forward_heads(images).heads.len()).unwrap();
    assert!(
        message.contains("3 channels") && message.contains("found 1"),
        "{message}"
    );
}

#[test]
fn a_spec_normalises_images_of_its_own_channels_alone() {
    // Every network of one's own begins with it.
    let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    let gray = Tensor::<4>::zeros([2, 1, 32, 32], &Device::flex());
    let message = panic_of(|| spec.normalize(gray).dims()[1]).unwrap();
    assert!(
        message.contains("3 channels") && message.contains("found 1"),
        "{message}"
    );
}

#[test]
fn images_of_another_size_are_taken_or_refused_with_both_sizes() {
    for (architecture, made) in [
        (Architecture::ResNet8, [3, 32, 32]),
        (Architecture::Wrn16_1, [3, 32, 32]),
        (Architecture::LeNet5, [3, 32, 32]),
        (Architecture::AlexNet, [1, 28, 28]),
        (Architecture::Vgg8, [3, 32, 32]),
        (Architecture::Vgg16Mlp, [3, 32, 32]),
        (Architecture::MobileNetV2, [3, 32, 32]),
        (Architecture::ShuffleNetV2X0_3, [3, 32, 32]),
        (Architecture::DenseNet40_12, [3, 32, 32]),
    ] {
        let network = network(architecture, made);
        let mut refused = 0;
        for side in [1, 2, 4, 7, 15, 16, 28, 31, 33, 40] {
            for [height, width] in [[side, side], [side, 32]] {
                let size = [made[0], height, width];
                let Some(message) = shown(&network, size) else {
                    continue;
                };
                refused += 1;
                for part in [
                    architecture.name(),
                    &format!("{made:?}"),
                    &format!("{size:?}"),
                ] {
                    assert!(message.contains(part), "{architecture} {size:?}: {message}");
                }
            }
        }
        // Those that flatten the last map take no half size; a mean of all pixels takes it.
        let flat = ["lenet5", "alexnet", "vgg16_mlp"].contains(&architecture.name());
        let half = shown(&network, [made[0], 16, 16]);
        assert_eq!(half.is_some(), flat, "{architecture}: {half:?}");
        assert!(!flat || refused > 8, "{architecture}: {refused} refused");
        assert_eq!(shown(&network, made), None);
    }
}

#[test]
fn counts_that_wrap_are_refused() {
    for (architecture, size) in [
        (Architecture::ResNet20, [3, 1 << 40, 1 << 40]),
        (Architecture::ResNet20, [3, usize::MAX, 1]),
        (Architecture::ResNet20, [3, usize::MAX, usize::MAX]),
        (Architecture::Vgg16Mlp, [3, 1 << 36, 1 << 36]),
        (Architecture::AlexNet, [3, 1 << 31, 1 << 31]),
        (Architecture::ImageNetVgg11, [3, 1 << 40, 1 << 22]),
        (Architecture::DenseNet40_12, [3, usize::MAX - 1, 5]),
    ] {
        let error = architecture.summary(&ModelConfig::new(spec(size, 10)));
        let error = error.unwrap_err();
        assert!(
            matches!(error, ModelError::TooLarge { .. }),
            "{architecture}: {error}"
        );
        assert!(error.to_string().contains(&format!("{size:?}")), "{error}");
    }
    let wide = ModelConfig::new(spec([3, 224, 224], 10)).with_hidden(usize::MAX);
    let error = Architecture::ImageNetVgg11.summary(&wide).unwrap_err();
    assert!(matches!(error, ModelError::TooLarge { .. }), "{error}");
}

#[test]
fn a_large_image_is_counted() {
    // 2^16 pixels each way: 2^22 times as many as 32×32, the head apart.
    let count = |side| {
        let config = ModelConfig::new(spec([3, side, side], 10));
        Architecture::ResNet20.summary(&config).unwrap()
    };
    let head = 2 * 64 * 10;
    let (small, large) = (count(32), count(1 << 16));
    assert_eq!(large.params, small.params);
    assert_eq!(large.flops - head, (small.flops - head) << 22);
}
