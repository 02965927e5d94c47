//! HTML that no text can break: text becomes markup only by being escaped.

use std::fmt::{self, Display};

use sealwire::text::escaped;

/// Finished markup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Markup(String);

/// `text`, which may be anything.
pub(super) fn text(text: impl Display) -> Markup {
    let text = escaped(&text.to_string()).to_string();
    let mut all = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => all += "&amp;",
            '<' => all += "&lt;",
            '>' => all += "&gt;",
            '"' => all += "&quot;",
            '\'' => all += "&#39;",
            other => all.push(other),
        }
    }
    Markup(all)
}

/// What this program itself has as markup.
pub(super) fn own(markup: impl Into<String>) -> Markup {
    Markup(markup.into())
}

/// An element: its name with a class, as in `p.note`; and what is in it.
pub(super) fn element(name: &str, inner: Markup) -> Markup {
    let (name, class) = name.split_once('.').unwrap_or((name, ""));
    let class = match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    };
    Markup(format!("<{name}{class}>{inner}</{name}>\n"))
}

/// A section with its heading, which is left out where it would be empty. Its id is the heading's
/// letters, so that a link can lead to it, as in `#over-time`.
pub(super) fn section(heading: &str, parts: impl IntoIterator<Item = Markup>) -> Markup {
    let parts: Markup = parts.into_iter().collect();
    match parts.is_empty() {
        true => Markup::default(),
        false => {
            let inner = element("h2", text(heading)) + parts;
            Markup(format!(
                "<section id=\"{}\">{inner}</section>\n",
                id(heading)
            ))
        }
    }
}

fn id(heading: &str) -> String {
    let words = heading.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_ascii_lowercase()
}

/// A list with an item for each text; nothing if there is none.
pub(super) fn list(name: &str, items: impl IntoIterator<Item = String>) -> Markup {
    let items: Markup = items
        .into_iter()
        .map(|one| element("li", text(one)))
        .collect();
    match items.is_empty() {
        true => Markup::default(),
        false => element(name, items),
    }
}

/// A table; the first cell of each row names it. It scrolls by itself where it is too wide.
pub(super) fn table(head: &[String], rows: impl IntoIterator<Item = Vec<String>>) -> Markup {
    let head = head.iter().map(|cell| element("th", text(cell)));
    let head = element("thead", element("tr", head.collect()));
    let rows: Markup = rows.into_iter().map(row).collect();
    let table = element("table", head + element("tbody", rows));
    element("div.scroll", table)
}

fn row(cells: Vec<String>) -> Markup {
    let cells = cells.into_iter().enumerate();
    let cells = cells.map(|(index, cell)| match index {
        0 => element("th", text(cell)),
        _ => element("td", text(cell)),
    });
    element("tr", cells.collect())
}

/// What is shown when the reader opens it.
pub(super) fn details(summary: &str, inner: Markup) -> Markup {
    element("details", element("summary", text(summary)) + inner)
}

impl Markup {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Display for Markup {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl std::ops::Add for Markup {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.0 += &other.0;
        self
    }
}

impl FromIterator<Markup> for Markup {
    fn from_iter<T: IntoIterator<Item = Markup>>(parts: T) -> Self {
        Self(parts.into_iter().map(|part| part.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: text stays text, whatever it has. Method: all that means something in HTML, a control
    /// character, in text, in a list and in a table.
    #[test]
    fn text_stays_text() {
        let bad = "<b a=\"1\" c='2'>&\u{1b}";
        let due = "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\\u{1b}";
        assert_eq!(text(bad).to_string(), due);
        let table = table(&[bad.into()], [vec![bad.into(), bad.into()]]);
        for markup in [list("ul", [bad.into()]), table, section(bad, [text(bad)])] {
            let markup = markup.to_string();
            assert!(markup.contains(due) && !markup.contains("<b"), "{markup}");
        }
    }

    /// Goal: what is empty leaves no trace; what is not can be linked to. Method: a list and sections
    /// without anything; one with text.
    #[test]
    fn nothing_is_nothing() {
        assert!(list("ul", []).is_empty() && section("Notes", []).is_empty());
        let section = section("Over time, round 1", [text("1")]).to_string();
        assert!(
            section.starts_with("<section id=\"over-time-round-1\"><h2>"),
            "{section}"
        );
    }
}
