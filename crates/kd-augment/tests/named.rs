//! A scheme that a recipe names has the parameters of the data.
#![allow(clippy::unwrap_used, missing_docs)]

use kd_augment::{Augmentation, AutoAugment, AutoAugmentPolicy, Cutout, ParamSharing, Preset};

#[derive(serde::Deserialize)]
struct Recipe {
    augmentation: Augmentation,
}

fn read(text: &str) -> Augmentation {
    let recipe: Recipe = toml::from_str(&format!("augmentation = {text}")).unwrap();
    recipe.augmentation
}

const PRESETS: [Preset; 4] = [
    Preset::Cifar10,
    Preset::Cifar100,
    Preset::TinyImagenet,
    Preset::Imagenet,
];

#[test]
fn a_named_cutout_cuts_what_the_data_says() {
    // This was 16 pixels of every data set.
    for (preset, length) in PRESETS.into_iter().zip([16, 8, 16, 56]) {
        let named = read("'cutout'").for_data(preset);
        assert_eq!(named.ops, [Cutout::new(length).into()], "{preset:?}");
    }
}

#[test]
fn every_name_has_the_parameters_of_the_data() {
    for name in Augmentation::SCHEMES {
        for preset in PRESETS {
            let expected = preset.scheme(name).unwrap();
            let read = read(&format!("'{name}'"));
            assert_eq!(read, Preset::Cifar10.scheme(name).unwrap());
            assert_eq!(read.for_data(preset), expected, "{name} {preset:?}");
            let parsed: Augmentation = name.parse().unwrap();
            assert_eq!(
                parsed.clone().for_data(preset),
                expected,
                "{name} {preset:?}"
            );
            // Once they are known they stay, and what shares them too.
            assert_eq!(expected.clone().for_data(Preset::Cifar10), expected);
            let shared = parsed.with_sharing(ParamSharing::Batch).for_data(preset);
            assert_eq!(shared, expected.with_sharing(ParamSharing::Batch));
        }
    }
}

#[test]
fn what_is_written_out_stays() {
    for text in [
        "{ ops = [{ op = 'cutout', length = 16 }] }",
        "{ ops = [{ op = 'pad_crop', pad = 4 }, { op = 'horizontal_flip' }] }",
        "{ mix = { op = 'cutmix' } }",
    ] {
        let written = read(text);
        for preset in PRESETS {
            assert_eq!(
                written.clone().for_data(preset),
                written,
                "{text} {preset:?}"
            );
        }
    }
    let built = Augmentation::cutout(16);
    assert_eq!(built.clone().for_data(Preset::Imagenet), built);
    // A name and what was put on top of it.
    let more = read("'flip'").with_op(AutoAugment::new(AutoAugmentPolicy::Cifar10));
    assert_eq!(more.clone().for_data(Preset::Imagenet), more);
    let mut changed = read("'cutout'");
    changed.ops = vec![Cutout::new(5).into()];
    assert_eq!(changed.clone().for_data(Preset::Imagenet), changed);
}

#[test]
fn a_saved_recipe_has_the_parameters_and_keeps_them() {
    let named = read("'cutout'").for_data(Preset::Cifar100);
    let saved = serde_json::to_string(&named).unwrap();
    assert!(saved.contains("\"length\":8"), "{saved}");
    let again: Augmentation = serde_json::from_str(&saved).unwrap();
    assert_eq!(again.for_data(Preset::Cifar10), named);
}

#[test]
fn a_name_is_written_as_a_name_until_the_data_is_known() {
    // A recipe is written and read again when a key is changed; the name must outlive it.
    for name in Augmentation::SCHEMES {
        let named: Augmentation = name.parse().unwrap();
        let text = serde_json::to_string(&named).unwrap();
        assert_eq!(text, format!("\"{name}\""));
        let again: Augmentation = serde_json::from_str(&text).unwrap();
        let expected = Preset::Imagenet.scheme(name).unwrap();
        assert_eq!(again.for_data(Preset::Imagenet), expected);
        // A table is all that can hold what a name does not say.
        let shared = named.with_sharing(ParamSharing::Batch);
        let text = serde_json::to_string(&shared).unwrap();
        let again: Augmentation = serde_json::from_str(&text).unwrap();
        assert_eq!(again, shared);
    }
    let written = Augmentation::cutout(16);
    assert!(
        serde_json::to_string(&written)
            .unwrap()
            .contains("\"length\":16")
    );
}
