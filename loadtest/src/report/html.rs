//! Pieces of an HTML page; and tables, which are text as well.

use super::axis;

/// For text and for values of attributes in double quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' | '\t' => out.push(character),
            // HTML has no way to write these.
            _ if character.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            _ => out.push(character),
        }
    }
    out
}

/// The whole page around `body`, which is markup.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{HATCH}\n<main>\n<h1>{title}</h1>\n{body}</main>\n\
         </body>\n</html>\n"
    )
}

pub(super) fn heading(level: u8, text: &str) -> String {
    format!("<h{level}>{}</h{level}>\n", escaped(text))
}

pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escaped(text))
}

/// Why something is not to be believed.
pub(super) fn warning(text: &str) -> String {
    format!("<p class=\"warning\"><strong>{}</strong></p>\n", escaped(text))
}

/// Nothing where there are no lines.
pub(super) fn list(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
    format!("<ul>\n{items}</ul>\n")
}

/// Side by side where there is room; `wide` ones need more of it.
pub(super) fn figures(wide: bool, figures: &str) -> String {
    let class = if wide { "figures wide" } else { "figures" };
    format!("<div class=\"{class}\">\n{figures}</div>\n")
}

/// A plot.
pub(super) struct Figure<'a> {
    pub(super) title: &'a str,
    /// What is drawn, and how it is to be read.
    pub(super) says: &'a str,
    /// Markup.
    pub(super) svg: &'a str,
    /// The same in numbers.
    pub(super) table: &'a Table,
    /// Whether the table is seen without being asked for.
    pub(super) open: bool,
}

impl Figure<'_> {
    pub(super) fn html(&self) -> String {
        format!(
            "<figure>\n<figcaption><b>{}</b> <span>{}</span></figcaption>\n{}\n\
             <details{}><summary>The same in numbers</summary>\n{}</details>\n</figure>\n",
            escaped(self.title),
            escaped(self.says),
            self.svg,
            if self.open { " open" } else { "" },
            self.table.html(),
        )
    }
}

/// What stands in a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(String),
    /// Nothing known is no number.
    Number(f64),
    Count(u64),
    /// Whether something holds, if it was judged.
    Verdict(Option<bool>),
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => axis::number(*number),
            Self::Count(count) => count.to_string(),
            Self::Verdict(Some(true)) => "✓ holds".into(),
            Self::Verdict(Some(false)) => "✗ broken".into(),
            Self::Verdict(None) => "not judged".into(),
        }
    }

    fn class(&self) -> &'static str {
        match self {
            Self::Number(_) | Self::Count(_) => "",
            Self::Text(_) | Self::Verdict(None) => " class=\"text\"",
            Self::Verdict(Some(true)) => " class=\"text good\"",
            Self::Verdict(Some(false)) => " class=\"text bad\"",
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Option<f64>> for Cell {
    fn from(number: Option<f64>) -> Self {
        Self::Number(number.unwrap_or(f64::NAN))
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

/// Rows of cells; the first of each row is its name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(caption: &str, head: &[&'static str], rows: Vec<Vec<Cell>>) -> Self {
        Self { caption: caption.into(), head: head.to_vec(), rows }
    }

    /// Nothing where there are no rows.
    pub(super) fn html(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let caption = escaped(&self.caption);
        let name = |(column, name): (usize, &&'static str)| {
            let class = if self.is_text(column) { " class=\"text\"" } else { "" };
            format!("<th scope=\"col\"{class}>{}</th>", escaped(name))
        };
        let head: String = self.head.iter().enumerate().map(name).collect();
        let rows: String = self.rows.iter().map(|row| row_html(row)).collect();
        // What scrolls must be reachable without a mouse.
        format!(
            "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table>\n\
             <caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
        )
    }

    /// Nothing where there are no rows.
    pub(super) fn text(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut lines: Vec<Vec<String>> = vec![self.head.iter().map(|name| (*name).to_owned()).collect()];
        lines.extend(self.rows.iter().map(|row| row.iter().map(Cell::text).collect()));
        let width = |column: usize| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let padded = |line: &Vec<String>| {
            let cell = |(column, (cell, &width)): (usize, (&String, &usize))| {
                if self.is_text(column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            };
            let cells: Vec<String> = line.iter().zip(&widths).enumerate().map(cell).collect();
            cells.join("  ").trim_end().to_owned()
        };
        let lines: Vec<String> = lines.iter().map(padded).collect();
        format!("{}\n{}", self.caption, lines.join("\n"))
    }

    fn is_text(&self, column: usize) -> bool {
        self.rows.first().and_then(|row| row.get(column)).is_some_and(|cell| !cell.class().is_empty())
    }
}

fn row_html(row: &[Cell]) -> String {
    let cell = |(column, cell): (usize, &Cell)| {
        let (class, text) = (cell.class(), escaped(&cell.text()));
        if column == 0 { format!("<th scope=\"row\"{class}>{text}</th>") } else { format!("<td{class}>{text}</td>") }
    };
    let cells: String = row.iter().enumerate().map(cell).collect();
    format!("<tr>{cells}</tr>\n")
}

/// What plots fill areas with that are not to be told apart by colour alone.
const HATCH: &str = "<svg class=\"hidden\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>\
    <pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
    <line class=\"hatch\" x1=\"0\" x2=\"0\" y1=\"0\" y2=\"6\"/></pattern></defs></svg>";

const STYLE: &str = include_str!("page.css");

/// Whether every tag is closed in its order, every quote too, and nothing stands twice in one tag.
#[cfg(test)]
pub(super) fn check(page: &str) -> Result<(), String> {
    let (mut open, mut rest) = (Vec::new(), page);
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').ok_or("a tag without an end")?;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if tag.contains('<') || !tag.matches('"').count().is_multiple_of(2) {
            return Err(format!("<{tag}> is torn"));
        }
        let outside = tag.split('"').step_by(2);
        let mut names: Vec<&str> =
            outside.filter_map(|part| part.trim().strip_suffix('=')?.rsplit(' ').next()).collect();
        let attributes = names.len();
        names.sort_unstable();
        names.dedup();
        if names.len() < attributes {
            return Err(format!("<{tag}> says something twice"));
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        if let Some(closed) = tag.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Err(format!("</{closed}> within {open:?}"));
            }
        } else if !tag.starts_with('!') && !tag.ends_with('/') && name != "meta" {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} are not closed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |name: &str, number: f64, holds| vec![name.into(), number.into(), Cell::Verdict(holds), 7_u64.into()];
        let rows = vec![row("a & b", 0.5, Some(true)), row("long name", f64::NAN, Some(false)), row("ü", 100.0, None)];
        Table::new("Some <things>", &["name", "ms", "verdict", "rounds"], rows)
    }

    #[test]
    fn text_is_no_markup() {
        assert_eq!(escaped("<a b=\"c\">&'\u{7}\n"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;\u{fffd}\n");
        check(&paragraph("</p>")).unwrap();
    }

    #[test]
    fn a_table_is_aligned_for_the_terminal() {
        let expected = [
            "Some <things>",
            "name          ms  verdict     rounds",
            "a & b      0.500  ✓ holds          7",
            "long name      –  ✗ broken         7",
            "ü            100  not judged       7",
        ];
        assert_eq!(table().text().lines().collect::<Vec<_>>(), expected);
        assert_eq!(Table::new("empty", &["name"], vec![]).text(), "");
    }

    #[test]
    fn a_table_has_a_caption_and_headers() {
        let html = table().html();
        check(&html).unwrap();
        assert!(html.contains("<caption>Some &lt;things&gt;</caption>"));
        assert!(html.contains("<th scope=\"col\">ms</th><th scope=\"col\" class=\"text\">verdict</th>"), "{html}");
        assert!(html.contains("<th scope=\"row\" class=\"text\">a &amp; b</th><td>0.500</td>"), "{html}");
        assert_eq!(Table::new("empty", &["name"], vec![]).html(), "");
    }

    #[test]
    fn the_check_finds_what_is_torn() {
        for torn in
            ["<p>", "<p><b></p></b>", "</p>", "<p class=\"a></p>", "<p", "<p a=\"1\" a=\"2\"></p>", "<a <b></b></a>"]
        {
            assert!(check(torn).is_err(), "{torn}");
        }
        check("<!doctype html><p class=\"a b\">x<line x1=\"0\" y=\"2%\"/><meta charset=\"utf-8\"></p>").unwrap();
    }
}
