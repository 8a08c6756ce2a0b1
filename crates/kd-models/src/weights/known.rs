//! Published checkpoints that say nothing of the statistics they were trained with.

use crate::Statistics;

/// First eight hexadecimal digits of the file's SHA-256, which the releases also carry in their
/// names, and the statistics. The CIFAR-10 ResNets of option A, by Yerlan Idelbayev, were trained
/// with ImageNet's.
const CHECKPOINTS: [(&str, Statistics); 5] = [
    ("12fca82f", Statistics::IMAGENET), // resnet20
    ("d509ac18", Statistics::IMAGENET), // resnet32
    ("014dd654", Statistics::IMAGENET), // resnet44
    ("4bfd9763", Statistics::IMAGENET), // resnet56
    ("1d1ed7c2", Statistics::IMAGENET), // resnet110
];

/// The statistics of a checkpoint with this SHA-256, if it is a known one.
pub(super) fn statistics(sha256: &str) -> Option<Statistics> {
    CHECKPOINTS
        .iter()
        .find(|(prefix, _)| sha256.starts_with(prefix))
        .map(|(_, statistics)| *statistics)
}
