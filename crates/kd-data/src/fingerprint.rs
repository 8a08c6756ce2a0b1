use sha2::{Digest as _, Sha256};

use crate::ImageSet;

/// The SHA-256 of everything in a set, in hexadecimal. Every part is preceded by its length, so that no two sets give the same bytes.
pub(crate) fn of(set: &ImageSet) -> String {
    let mut hash = Sha256::new();
    let length = |hash: &mut Sha256, value: usize| hash.update((value as u64).to_le_bytes());
    set.shape().iter().for_each(|&side| length(&mut hash, side));
    length(&mut hash, set.classes());
    for name in set.class_names() {
        length(&mut hash, name.len());
        hash.update(name);
    }
    length(&mut hash, set.len());
    for label in set.labels() {
        hash.update(label.to_le_bytes());
    }
    length(&mut hash, set.soft_labels().map_or(0, <[f32]>::len));
    for value in set.soft_labels().unwrap_or_default() {
        hash.update(value.to_le_bytes());
    }
    hash.update(set.pixels());
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn the_fingerprint_covers_everything() {
        let set = ImageSet::new((0..12).collect(), [2, 1, 2], vec![0, 1, 1], names(2)).unwrap();
        let same = ImageSet::new((0..12).collect(), [2, 1, 2], vec![0, 1, 1], names(2)).unwrap();
        assert_eq!(set.fingerprint(), same.fingerprint());
        let with = |pixels: Vec<u8>, shape, labels, names| {
            ImageSet::new(pixels, shape, labels, names)
                .unwrap()
                .fingerprint()
        };
        let pixels: Vec<u8> = (0..12).collect();
        let mut changed = pixels.clone();
        changed[11] ^= 1;
        let soft = set.clone().with_soft_labels(vec![0.5; 6]).unwrap();
        let all = [
            set.fingerprint(),
            with(changed, [2, 1, 2], vec![0, 1, 1], names(2)),
            with(pixels.clone(), [1, 2, 2], vec![0, 1, 1], names(2)),
            with(pixels.clone(), [2, 1, 2], vec![0, 1, 0], names(2)),
            with(pixels.clone(), [2, 1, 2], vec![0, 1, 1], names(3)),
            with(
                pixels,
                [2, 1, 2],
                vec![0, 1, 1],
                vec!["class 0c".into(), "lass 1".into()],
            ),
            set.take(2).fingerprint(),
            soft.fingerprint(),
        ];
        for (index, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 64);
            assert!(!all[..index].contains(one), "{index}");
        }
    }
}
