//! What the examples share: their common options, the data behind them, and how they end.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod config;
mod costs;
mod data;
mod network;
mod result;
pub mod sheet;
mod student;

pub use config::at_least_one;
pub use costs::{MultiplyAdds, costs, costs_json};
pub use data::{CommonOptions, Sets, Statistics, clear_shapes};
pub use network::NetworkOptions;
pub use result::{interrupt, make_folder, note, print, start, start_with, write_page, write_whole};
pub use student::Student;
