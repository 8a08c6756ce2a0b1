//! Distillation runs: methods, view plans and recipes in; checkpoints, logs and a report out.
