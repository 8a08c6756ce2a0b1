//! The page around the sections.

use super::{Section, escape};

/// A page of sections; [`render`](Self::render) gives it as one HTML file.
///
/// ```
/// use kd_metrics::report::{Report, Section, Table};
///
/// let html = Report::new("Two students")
///     .lead("The same teacher and the same steps, with and without mixing.")
///     .section(
///         Section::new("Accuracy").table(
///             Table::new(["student", "top-1"])
///                 .row(["plain", "88.1 %"])
///                 .row(["mixed", "89.4 %"]),
///         ),
///     )
///     .render();
/// assert!(html.contains("89.4 %"));
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    lead: Option<String>,
    sections: Vec<Section>,
}

impl Report {
    /// A page without sections.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            lead: None,
            sections: Vec::new(),
        }
    }

    /// A sentence or two under the title: what was done, on what.
    #[must_use]
    pub fn lead(mut self, text: impl Into<String>) -> Self {
        self.lead = Some(text.into());
        self
    }

    /// Adds a section at the end.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The page as one self-contained HTML file.
    pub fn render(&self) -> String {
        let title = escape(&self.title);
        let lead = self.lead.as_ref().map_or(String::new(), |lead| {
            format!("<p class=\"lead\">{}</p>\n", escape(lead))
        });
        let sections: String = self.sections.iter().map(Section::render).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <header>\n<h1>{title}</h1>\n{lead}</header>\n{sections}</main>\n</body>\n</html>\n"
        )
    }
}

const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Table;

    #[test]
    fn text_is_escaped_everywhere() {
        let evil = "<script>alert('&\"')</script>";
        let section = Section::new(evil)
            .paragraph(evil)
            .numbers([(evil, evil)])
            .table(Table::new([evil]).row([evil]).caption(evil))
            .svg("<svg></svg>", evil)
            .png(&[1, 2, 3], evil);
        let html = Report::new(evil).lead(evil).section(section).render();
        assert!(!html.contains("<script") && !html.contains("alert('"));
        // Title twice, lead, heading, paragraph, number twice, table three times, caption twice and once as the picture's text.
        assert_eq!(html.matches("&lt;script&gt;").count(), 13);
    }

    #[test]
    fn the_page_asks_for_nothing() {
        let html = Report::new("t")
            .section(Section::new("s").png(&[0], "c"))
            .render();
        for forbidden in ["http://", "https://", "<script", "@import", "url("] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        assert!(html.contains("name=\"viewport\"") && html.contains("prefers-color-scheme: dark"));
    }
}
