//! Inputs that the benches share.

use kd::prelude::*;

/// A batch as it comes from the loader: 64 images of Shapes, 32×32 RGB.
pub fn batch() -> kd::data::Batch {
    let set = Shapes::render(0, Split::Train, 64);
    let loader = LoaderConfig::new(64).init(set);
    match loader.map(|loader| loader.epoch(0).next()) {
        Ok(Some(batch)) => batch,
        _ => unreachable!("64 images are one batch of 64"),
    }
}
