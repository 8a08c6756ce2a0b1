//! Figures as SVG strings in one quiet style; with the feature `png`, as pictures too.
//!
//! Text takes the colour of its surroundings (`currentColor`), so a figure is legible on a light and on a dark page; series take the colours of
//! Okabe and Ito, which people with any colour vision tell apart, and dashes, which survive print without colour. Lines are labelled where they
//! end instead of in a legend. No font is needed to draw: the viewer sets the text.

mod axis;
mod bars;
mod canvas;
mod dash;
mod frame;
mod heatmap;
mod line;
#[cfg(feature = "png")]
mod png;
mod reliability;
mod scatter;
mod series;
mod spread;
mod thin;

pub use bars::{Bar, bar_with_interval};
pub use heatmap::heatmap;
pub use line::LineChart;
#[cfg(feature = "png")]
pub use png::png;
pub use reliability::reliability_diagram;
pub use scatter::ScatterChart;
