//! The readers of the CIFAR sets, and what they share.

mod archive;
mod records;
mod source;

pub mod cifar10;
pub mod cifar100;
pub mod cifar10h;
