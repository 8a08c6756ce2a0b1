//! Data augmentation for knowledge distillation: transforms, teacher-labelled mixing and picking.
