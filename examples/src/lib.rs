//! What the examples share: the common options and the JSON result.
