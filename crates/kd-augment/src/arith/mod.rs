//! The arithmetic that the engines share: what a step means, number by number.

mod hsv;
mod kernel;
mod level;
mod normal;
mod resample;
mod table;

pub(crate) use hsv::turn_hue;
pub(crate) use kernel::gaussian;
pub(crate) use level::{rounded, truncated_f64};
pub(crate) use normal::{fill_normal, noisy};
pub(crate) use resample::{PRECISION, Taps, nearest_indices};
pub(crate) use table::{
    Table, auto_contrast, blend, contrast, equalize, identity, luminance, point,
};
