//! Sections: paragraphs, key numbers, tables, figures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::contact_sheet::contact_sheet;
use super::{Table, escape};
use crate::error::MetricError;

/// A heading and what stands under it, in the order in which it was added. Figures that follow one another stand side by side where there is room.
#[derive(Clone, Debug)]
pub struct Section {
    heading: String,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
enum Block {
    Paragraph(String),
    Numbers(Vec<(String, String)>),
    Table(Table),
    Figure(Figure),
}

#[derive(Clone, Debug)]
struct Figure {
    content: Content,
    caption: String,
}

#[derive(Clone, Debug)]
enum Content {
    Svg(String),
    /// PNG in base64.
    Png(String),
    /// Captions of rows, each with its PNG in base64.
    Rows(Vec<(String, String)>),
}

impl Section {
    /// A section with a heading alone.
    pub fn new(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            blocks: Vec::new(),
        }
    }

    /// Adds a paragraph of plain text.
    #[must_use]
    pub fn paragraph(self, text: impl Into<String>) -> Self {
        self.block(Block::Paragraph(text.into()))
    }

    /// Adds a line of key numbers, each a name and a value: what a reader came for.
    #[must_use]
    pub fn numbers<N: Into<String>, V: Into<String>>(
        self,
        numbers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let numbers = numbers.into_iter();
        let numbers = numbers.map(|(name, value)| (name.into(), value.into()));
        self.block(Block::Numbers(numbers.collect()))
    }

    /// Adds a table.
    #[must_use]
    pub fn table(self, table: Table) -> Self {
        self.block(Block::Table(table))
    }

    /// Adds a figure from [`plot`](crate::plot). The SVG goes into the page as it is: give no one else's.
    #[must_use]
    pub fn svg(self, svg: impl Into<String>, caption: impl Into<String>) -> Self {
        self.figure(Content::Svg(svg.into()), caption.into())
    }

    /// Adds a picture from the bytes of a PNG file.
    #[must_use]
    pub fn png(self, bytes: &[u8], caption: impl Into<String>) -> Self {
        self.figure(Content::Png(STANDARD.encode(bytes)), caption.into())
    }

    /// Adds rows of images, each under its caption; arguments and errors as for [`contact_sheet`].
    ///
    /// # Errors
    /// Those of [`contact_sheet`].
    pub fn contact_sheet(
        self,
        images: &[(&str, Vec<&[u8]>)],
        shape: [usize; 3],
        scale: usize,
        caption: impl Into<String>,
    ) -> Result<Self, MetricError> {
        let rows = images
            .iter()
            .map(|row| {
                let png = contact_sheet(std::slice::from_ref(row), shape, scale)?;
                Ok((row.0.to_owned(), STANDARD.encode(png)))
            })
            .collect::<Result<_, MetricError>>()?;
        Ok(self.figure(Content::Rows(rows), caption.into()))
    }

    fn figure(self, content: Content, caption: String) -> Self {
        self.block(Block::Figure(Figure { content, caption }))
    }

    fn block(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    pub(crate) fn render(&self) -> String {
        let mut html = format!("<section>\n<h2>{}</h2>\n", escape(&self.heading));
        let side_by_side = |a: &Block, b: &Block| a.is_plot() && b.is_plot();
        for blocks in self.blocks.chunk_by(side_by_side) {
            let inner: String = blocks.iter().map(Block::render).collect();
            if blocks[0].is_plot() {
                html.push_str(&format!("<div class=\"figures\">\n{inner}</div>\n"));
            } else {
                html.push_str(&inner);
            }
        }
        html.push_str("</section>\n");
        html
    }
}

impl Block {
    fn is_plot(&self) -> bool {
        matches!(self, Self::Figure(figure) if matches!(figure.content, Content::Svg(_)))
    }

    fn render(&self) -> String {
        match self {
            Self::Paragraph(text) => format!("<p>{}</p>\n", escape(text)),
            Self::Numbers(numbers) => {
                let items: String = numbers
                    .iter()
                    .map(|(name, value)| {
                        let (name, value) = (escape(name), escape(value));
                        format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")
                    })
                    .collect();
                format!("<dl>\n{items}</dl>\n")
            }
            Self::Table(table) => table.render(),
            Self::Figure(figure) => figure.render(),
        }
    }
}

impl Figure {
    fn render(&self) -> String {
        let caption = escape(&self.caption);
        let content = match &self.content {
            Content::Svg(svg) => svg.clone(),
            Content::Png(png) => image(png, &caption),
            Content::Rows(rows) => {
                let rows: String = rows
                    .iter()
                    .map(|(name, png)| {
                        let name = escape(name);
                        format!("<span>{name}</span>{}\n", image(png, &name))
                    })
                    .collect();
                format!("<div class=\"rows\">\n{rows}</div>")
            }
        };
        format!("<figure>\n{content}\n<figcaption>{caption}</figcaption>\n</figure>\n")
    }
}

fn image(png: &str, alternative: &str) -> String {
    format!("<img src=\"data:image/png;base64,{png}\" alt=\"{alternative}\">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_in_a_row_stand_side_by_side() {
        let html = Section::new("s")
            .svg("<svg></svg>", "one")
            .svg("<svg></svg>", "two")
            .paragraph("between")
            .svg("<svg></svg>", "three")
            .render();
        assert_eq!(html.matches("class=\"figures\"").count(), 2);
        assert_eq!(html.matches("<figure>").count(), 3);
    }
}
