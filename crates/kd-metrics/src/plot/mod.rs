//! Figures as SVG strings in one quiet style.
//!
//! Text takes the colour of its surroundings (`currentColor`), so a figure is legible on a light and on a dark page; series take the colours of
//! Okabe and Ito, which people with any colour vision tell apart, and dashes, which survive print without colour. Lines are labelled where they
//! end instead of in a legend. No font is needed to draw: the viewer sets the text.

mod axis;
mod bars;
mod canvas;
mod dash;
mod frame;
mod line;
mod reliability;
mod series;
mod spread;
mod thin;

pub use bars::{Bar, bar_with_interval};
pub use line::LineChart;
pub use reliability::reliability_diagram;
