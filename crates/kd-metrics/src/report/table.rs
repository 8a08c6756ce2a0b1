//! Tables.

use super::escape;

/// A text of so many characters is broken into lines.
const LONG: usize = 32;

/// A table of texts. Columns of numbers are set to the right, so that digits stand under each other.
#[derive(Clone, Debug)]
pub struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
    caption: Option<String>,
}

impl Table {
    /// A table without rows.
    pub fn new<T: Into<String>>(headers: impl IntoIterator<Item = T>) -> Self {
        Self {
            headers: headers.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
            caption: None,
        }
    }

    /// Adds a row; cells that are missing stay empty.
    #[must_use]
    pub fn row<T: Into<String>>(mut self, cells: impl IntoIterator<Item = T>) -> Self {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }

    /// Says what the table shows.
    #[must_use]
    pub fn caption(mut self, text: impl Into<String>) -> Self {
        self.caption = Some(text.into());
        self
    }

    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let columns = columns.max(self.headers.len());
        let numeric: Vec<bool> = (0..columns).map(|column| self.is_numeric(column)).collect();
        let line = |tag: &str, cells: &[String]| {
            let cells: String = numeric
                .iter()
                .enumerate()
                .map(|(column, &numeric)| {
                    let text = cells.get(column).map_or("", String::as_str);
                    let class = match (numeric, text.chars().count()) {
                        (true, _) => " class=\"number\"",
                        (false, LONG..) => " class=\"long\"",
                        _ => "",
                    };
                    format!("<{tag}{class}>{}</{tag}>", escape(text))
                })
                .collect();
            format!("<tr>{cells}</tr>\n")
        };
        // Outside the table, which scrolls where it is wider than the page; the caption stays.
        let caption = self.caption.as_ref().map_or(String::new(), |caption| {
            format!("<figcaption>{}</figcaption>\n", escape(caption))
        });
        let head = line("th", &self.headers);
        let body: String = self.rows.iter().map(|row| line("td", row)).collect();
        // A reader without a mouse scrolls a wide table with the keyboard, which needs the focus.
        format!(
            "<figure>\n{caption}<div class=\"table\" tabindex=\"0\"><table>\n<thead>{head}</thead>\n\
             <tbody>\n{body}</tbody></table></div>\n</figure>\n"
        )
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self
            .rows
            .iter()
            .filter_map(|row| row.get(column))
            .filter(|cell| !is_blank(cell))
            .peekable();
        cells.peek().is_some() && cells.all(|cell| is_number(cell))
    }
}

fn is_blank(cell: &str) -> bool {
    matches!(cell.trim(), "" | "-" | "–" | "—")
}

/// Whether a cell is a number, perhaps with a short unit: `91.73 %`, `−0.2 ± 0.1`, `[0.1, 0.2]`, `1e-4`, `12 s`.
fn is_number(cell: &str) -> bool {
    let digits = cell
        .trim()
        .trim_start_matches(['+', '-', '−', '±', '[', '(', '<', '≈', '.']);
    // The exponent of a number is no unit.
    let is_word = |text: &&str| {
        text.contains(char::is_alphabetic) && text.replace('−', "-").parse::<f64>().is_err()
    };
    let mut words = digits.split_whitespace().filter(is_word);
    let unit = words.next().unwrap_or("");
    digits.starts_with(|character: char| character.is_ascii_digit())
        && unit.chars().count() <= 5
        && words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_numbers_are_set_to_the_right() {
        for cell in [
            "91.73 %",
            "−0.2 ± 0.1",
            "[0.015, 0.018]",
            "1e-4",
            "−1.24e−4",
            "12 s",
            "1,564",
            "0.28 nats",
        ] {
            assert!(is_number(cell), "{cell}");
        }
        for cell in [
            "resnet20",
            "8 of the 10 classes",
            "",
            "n/a",
            "2026-01-01 by us",
        ] {
            assert!(!is_number(cell), "{cell}");
        }
        let table = Table::new(["name", "value", "empty"])
            .row(["a", "1.5", ""])
            .row(["b", "–"]);
        let html = table.render();
        assert_eq!(html.matches("<td class=\"number\">").count(), 2);
        assert_eq!(html.matches("<td").count(), 6, "missing cells stay empty");
    }
}
