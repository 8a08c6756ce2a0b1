//! The networks, a family a file, as the published implementations have them.

pub(crate) mod densenet;
pub(crate) mod lenet;
pub(crate) mod mobilenet;
pub(crate) mod resnet;
pub(crate) mod shufflenet;
pub(crate) mod vgg;
pub(crate) mod wrn;
