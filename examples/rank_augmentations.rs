//! rank_augmentations
fn main() {}
