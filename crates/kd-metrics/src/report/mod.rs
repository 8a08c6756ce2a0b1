//! A page of sections with tables and figures, in one HTML file that needs nothing else.
//!
//! The page has no script and asks for no other file: figures are inline SVG, pictures are PNG in the page. It is laid out for desktop and phone,
//! for light and dark, and for print. It knows nothing of what it reports; text is escaped wherever it is given.

mod contact_sheet;
mod page;
mod section;
mod table;

pub use contact_sheet::contact_sheet;
pub use page::Report;
pub use section::Section;
pub use table::Table;

/// Text for use between tags or in a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
