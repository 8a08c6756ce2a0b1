//! Knowledge distillation with data augmentation, on Burn: one dependency for the whole family of crates.
