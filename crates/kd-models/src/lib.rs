//! Image classifiers for knowledge distillation: teachers and students, feature taps, weight import.
