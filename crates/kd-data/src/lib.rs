//! Image classification data for knowledge distillation: readers that check, and a deterministic loader.
