//! Expected pixels from PyTorch, see `tools/augment_golden.py`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use kd_augment::plan::{Blend, Erase, Fill, Gather, Segment};
use kd_augment::{Affine, ImagePlan, Images, MixPlan, PixelBox, Plan, cpu};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    images: Vec<ImageCase>,
    mixes: Vec<MixCase>,
}

#[derive(Deserialize)]
struct ImageCase {
    shape: [usize; 3],
    index: usize,
    steps: Vec<Step>,
    expected: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Step {
    Flip,
    Crop {
        pad: i32,
        ox: i32,
        oy: i32,
    },
    Erase {
        #[serde(rename = "box")]
        area: [u32; 4],
        fill: Fill,
    },
}

#[derive(Deserialize)]
struct MixCase {
    shape: [usize; 3],
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    partner: Vec<usize>,
    lambda: Vec<f32>,
    boxes: Vec<[u32; 4]>,
    linear: Vec<f64>,
    pasted: Vec<f64>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/augment.json")).unwrap()
}

/// The formula that the generator uses.
fn image([c, h, w]: [usize; 3], index: usize) -> Vec<u8> {
    (0..c * h * w)
        .map(|k| ((k * 37 + index * 101 + 11) % 256) as u8)
        .collect()
}

fn pixel_box([x0, y0, x1, y1]: [u32; 4]) -> PixelBox {
    PixelBox { x0, y0, x1, y1 }
}

/// Movements, erased boxes and their chains: the same bytes.
#[test]
fn image_operations_match_pytorch() {
    let cases = fixture().images;
    assert_eq!(cases.len(), 42);
    for case in cases {
        let [c, h, w] = case.shape;
        let mut plan = ImagePlan::new(case.shape).unwrap();
        plan.add_image();
        for step in case.steps {
            plan.push(match step {
                Step::Flip => Segment::Gather(Gather::mirrored(h, w)),
                Step::Crop { pad, ox, oy } => {
                    Segment::Gather(Gather::shifted(ox - pad, oy - pad, h, w))
                }
                Step::Erase { area, fill } => Segment::Erase(Erase {
                    area: pixel_box(area),
                    fill,
                }),
            });
        }
        let pixels = image(case.shape, case.index);
        let images = Images::new(&pixels, [1, c, h, w]).unwrap();
        let mut out = vec![99; pixels.len()];
        cpu::apply_u8(
            &Plan {
                images: plan,
                mix: None,
            },
            images,
            &mut out,
        )
        .unwrap();
        assert_eq!(
            out, case.expected,
            "shape {:?}, chain {}",
            case.shape, case.index
        );
    }
}

/// Mixes, in [0, 1] and normalised. The reference is in f64; values reach 2.8, so that 1e-6 is about four roundings in
/// f32.
#[test]
fn mixes_match_pytorch() {
    for case in fixture().mixes {
        let [c, h, w] = case.shape;
        let affine = match (&case.mean, &case.std) {
            (Some(mean), Some(std)) => Affine::normalize(mean, std).unwrap(),
            _ => Affine::unit(),
        };
        let pixels: Vec<u8> = (0..3).flat_map(|i| image(case.shape, i)).collect();
        let images = Images::new(&pixels, [3, c, h, w]).unwrap();
        let mut untouched = ImagePlan::new(case.shape).unwrap();
        (0..3).for_each(|_| untouched.add_image());
        let boxes: Vec<PixelBox> = case.boxes.iter().copied().map(pixel_box).collect();
        for (blend, expected) in [
            (Blend::Linear, &case.linear),
            (Blend::Paste(boxes), &case.pasted),
        ] {
            let mix = MixPlan {
                partner: case.partner.clone(),
                lambda: case.lambda.clone(),
                blend,
            };
            let plan = Plan {
                images: untouched.clone(),
                mix: Some(mix),
            };
            let mut out = vec![f32::NAN; pixels.len()];
            cpu::apply(&plan, images, &mut out, &affine).unwrap();
            let error = out
                .iter()
                .zip(expected)
                .map(|(found, expected)| (f64::from(*found) - expected).abs())
                .fold(0.0, f64::max);
            assert!(error < 1e-6, "shape {:?}: {error}", case.shape);
        }
    }
}
