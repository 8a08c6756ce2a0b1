//! Measures for knowledge distillation: how good a teacher, a student, an augmentation is; plots and a report.
