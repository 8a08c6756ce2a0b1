//! Every operation against Pillow and torchvision, see `tools/ops_golden.py`.
//!
//! All steps are exact, bit for bit, except: bilinear warps depend on the platform's sine and tangent (Pillow's formula is
//! followed, so that the tolerance of 1 level is not used where those agree); the Gaussian blur sums in another order than
//! torchvision (1 level).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kd_augment::plan::{Border, Gather, Resize, Segment, Shift};
use kd_augment::{
    Augmentation, AutoAugment, AutoAugmentPolicy, DrawKey, ImageOp, ImagePlan, Images,
    Interpolation, PixelBox, Plan, Policy, PolicyOp, PolicyStep, RandAugment, SpaceEntry,
    TrivialAugmentWide, cpu,
};
use serde::Deserialize;

/// Operation, probability, bin.
type NamedStep = (PolicyOp, f64, Option<usize>);

#[derive(Deserialize)]
struct Fixture {
    images: Vec<Image>,
    cases: Vec<Case>,
    regions: Vec<Region>,
    policies: BTreeMap<String, Vec<[NamedStep; 2]>>,
    spaces: Vec<Space>,
    applied: Vec<Applied>,
}

#[derive(Deserialize)]
struct Image {
    shape: [usize; 3],
    pixels: String,
}

#[derive(Deserialize)]
struct Case {
    image: usize,
    ops: Vec<ImageOp>,
    expected: String,
    tolerance: u8,
}

#[derive(Deserialize)]
struct Region {
    image: usize,
    step: Step,
    expected: String,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Step {
    Shift {
        dx: i32,
        dy: i32,
        padding: String,
    },
    Resize {
        #[serde(rename = "box")]
        area: [u32; 4],
        interpolation: Interpolation,
    },
}

#[derive(Deserialize)]
struct Space {
    which: String,
    bins: usize,
    height: usize,
    width: usize,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    op: PolicyOp,
    signed: bool,
    magnitudes: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Applied {
    image: usize,
    which: String,
    bins: usize,
    op: PolicyOp,
    index: usize,
    negative: bool,
    expected: String,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/ops.json")).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}

/// Pixels of an image after a plan.
fn apply(images: ImagePlan, image: &Image) -> Vec<u8> {
    let [c, h, w] = image.shape;
    let pixels = bytes(&image.pixels);
    let mut out = vec![0; pixels.len()];
    let plan = Plan { images, mix: None };
    cpu::apply_u8(&plan, Images::new(&pixels, [1, c, h, w]).unwrap(), &mut out).unwrap();
    out
}

fn run(ops: Vec<ImageOp>, image: &Image) -> Vec<u8> {
    let augmentation = ops
        .into_iter()
        .fold(Augmentation::identity(), Augmentation::with_op);
    let plan = augmentation
        .sample(&DrawKey::new(0), &[0], 0, image.shape)
        .unwrap();
    apply(plan.images, image)
}

fn largest_difference(found: &[u8], expected: &[u8]) -> u8 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn operations_are_pillows() {
    let Fixture { images, cases, .. } = fixture();
    assert!(cases.len() > 1000);
    let (mut failures, mut compared) = (Vec::new(), 0);
    for case in cases {
        // A turn of nothing changes nothing here; there it still goes through 8 bits of hue.
        let still = serde_json::to_string(&case.ops)
            .unwrap()
            .contains(r#""shift":0.0"#);
        if still {
            continue;
        }
        compared += 1;
        let image = &images[case.image];
        let text = format!("{:?} on {:?}", case.ops, image.shape);
        let difference = largest_difference(&run(case.ops, image), &bytes(&case.expected));
        if difference > case.tolerance {
            failures.push(format!("{text}: {difference}"));
        }
    }
    assert!(compared > 1000);
    let shown = failures.iter().take(20).cloned().collect::<Vec<_>>();
    assert!(
        failures.is_empty(),
        "{} of {compared}:\n{}",
        failures.len(),
        shown.join("\n")
    );
}

#[test]
fn regions_and_borders_are_pillows() {
    let Fixture {
        images, regions, ..
    } = fixture();
    assert!(regions.len() > 200);
    for Region {
        image,
        step,
        expected,
    } in regions
    {
        let image = &images[image];
        let [_, h, w] = image.shape;
        let segment = match &step {
            Step::Shift { dx, dy, padding } => {
                let border = match padding.as_str() {
                    "zero" => None,
                    "reflect" => Some(Border::Reflect),
                    "replicate" => Some(Border::Replicate),
                    other => panic!("{other}"),
                };
                match border {
                    None => Segment::Gather(Gather::shifted(*dx, *dy, h, w)),
                    // Beyond the outermost row or column nothing new comes; the operation clamps alike.
                    Some(border) => Segment::Shift(Shift {
                        dx: (*dx).clamp(1 - w as i32, w as i32 - 1),
                        dy: (*dy).clamp(1 - h as i32, h as i32 - 1),
                        border,
                    }),
                }
            }
            Step::Resize {
                area: [x0, y0, x1, y1],
                interpolation,
            } => Segment::Resize(Resize {
                area: PixelBox {
                    x0: *x0,
                    y0: *y0,
                    x1: *x1,
                    y1: *y1,
                },
                interpolation: *interpolation,
            }),
        };
        let mut plan = ImagePlan::new(image.shape).unwrap();
        plan.add_image();
        plan.push(segment);
        assert_eq!(
            apply(plan, image),
            bytes(&expected),
            "{segment:?} on {:?}",
            image.shape
        );
    }
}

#[test]
fn published_policies_are_torchvisions() {
    let policies = fixture().policies;
    for (name, policy) in [
        ("cifar10", AutoAugmentPolicy::Cifar10),
        ("imagenet", AutoAugmentPolicy::ImageNet),
        ("svhn", AutoAugmentPolicy::Svhn),
    ] {
        let expected = &policies[name];
        let table = policy.table().sub_policies;
        assert_eq!((table.len(), expected.len()), (25, 25));
        for (found, expected) in table.iter().zip(expected) {
            let found: Vec<_> = found
                .iter()
                .map(|step| (step.op, step.p, step.magnitude))
                .collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}

fn space(which: &str) -> Vec<SpaceEntry> {
    match which {
        "auto_augment" => AutoAugmentPolicy::Cifar10.table().space,
        "rand_augment" => RandAugment::default().space,
        "trivial_augment_wide" => TrivialAugmentWide::default().space,
        other => panic!("{other}"),
    }
}

#[test]
fn magnitudes_are_torchvisions() {
    let spaces = fixture().spaces;
    assert_eq!(spaces.len(), 12);
    for expected in spaces {
        let found = space(&expected.which);
        let size = [expected.height, expected.width];
        assert_eq!(found.len(), expected.entries.len());
        for (found, entry) in found.iter().zip(&expected.entries) {
            assert_eq!((found.op, found.signed), (entry.op, entry.signed));
            assert_eq!(found.op.has_magnitude(), entry.magnitudes.is_some());
            for (bin, magnitude) in entry.magnitudes.iter().flatten().enumerate() {
                let found = found.magnitude(bin, expected.bins, size);
                assert_eq!(found, *magnitude, "{:?} bin {bin} at {size:?}", entry.op);
            }
        }
    }
}

#[test]
fn steps_of_policies_are_torchvisions() {
    let Fixture {
        images, applied, ..
    } = fixture();
    assert!(applied.len() > 100);
    for case in applied {
        let mut entry = *space(&case.which)
            .iter()
            .find(|entry| entry.op == case.op)
            .unwrap();
        entry.signed = false;
        if case.negative {
            (entry.low, entry.high) = (-entry.low, -entry.high);
        }
        let policy = Policy {
            bins: case.bins,
            space: vec![entry],
            sub_policies: vec![vec![PolicyStep {
                op: case.op,
                p: 1.0,
                magnitude: Some(case.index),
            }]],
        };
        let op = AutoAugment::new(AutoAugmentPolicy::Custom(policy));
        let found = run(vec![op.into()], &images[case.image]);
        let text = format!("{} {:?} bin {}", case.which, case.op, case.index);
        assert_eq!(found, bytes(&case.expected), "{text} {}", case.negative);
    }
}

/// The same, compiled for less than this machine has: a process of its own, since the choice is made once.
#[test]
fn every_instruction_set_gives_these_pixels() {
    if std::env::var_os("KD_AUGMENT_ISA").is_some() {
        return;
    }
    for isa in ["portable", "avx2"] {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .env("KD_AUGMENT_ISA", isa)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{isa}");
    }
}
