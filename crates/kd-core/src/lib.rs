//! Losses for knowledge distillation on Burn tensors: what the student is asked to match.
