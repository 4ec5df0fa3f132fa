//! How answers are shown: tables for people, JSON and ids for programs.

use std::io::{IsTerminal, Write};

use clap::{Args, ValueEnum};
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Row, Table, presets};
use serde::Serialize;

use crate::model::Health;

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For programs: what the API answers.
    Json,
    /// One id a line; of tools, the names.
    Ids,
}

/// The flag for it.
#[derive(Debug, Args)]
pub(super) struct Shown {
    /// How the answer is shown.
    #[arg(long, value_enum, default_value = "table", value_name = "table|json|ids")]
    pub(super) output: Output,
}

/// Prints JSON for people and programs.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(std::io::stdout().write_all(&text)?)
}

/// Prints one text a line.
pub(super) fn lines(texts: impl IntoIterator<Item: AsRef<str>>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for text in texts {
        writeln!(out, "{}", text.as_ref())?;
    }
    Ok(())
}

/// A table without lines, of one line a row, as wide as the terminal at most. Where there is no terminal, nothing is cut.
pub(super) struct Sheet {
    table: Table,
    terminal: bool,
}

impl Sheet {
    /// One with these headings. A heading that ends in `!` is of a column that is never cut.
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_truncation_indicator("…");
        let plain = headings.iter().map(|heading| heading.trim_end_matches('!'));
        let heading = |text: &str| Cell::new(text).add_attribute(Attribute::Bold);
        let mut header = Row::from(plain.map(heading).collect::<Vec<_>>());
        header.max_height(1);
        table.set_header(header);
        for (column, heading) in table.column_iter_mut().zip(headings) {
            column.set_padding((0, 2));
            if heading.ends_with('!') {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        let terminal = std::io::stdout().is_terminal();
        match width() {
            Some(width) => {
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        if is_coloured(terminal) {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        Self { table, terminal }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        let mut row = Row::from(cells);
        if self.terminal {
            row.max_height(1);
        }
        self.table.add_row(row);
    }

    pub(super) fn print(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        for line in self.table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A cell with a text from somebody else.
pub(super) fn cell(text: &str) -> Cell {
    Cell::new(plain(text))
}

/// A cell with a number; nothing for none.
pub(super) fn count(number: usize) -> Cell {
    if number == 0 { Cell::new("") } else { Cell::new(number) }
}

/// A cell with a health, green or red.
pub(super) fn health(health: Health) -> Cell {
    let colour = match health {
        Health::Healthy => Color::Green,
        Health::Unhealthy => Color::Red,
    };
    Cell::new(health.as_str()).fg(colour)
}

/// How many characters fit into a line; none where it is no terminal, and all fit.
pub(super) fn width() -> Option<u16> {
    terminal_size::terminal_size().map(|(width, _)| width.0).filter(|_| std::io::stdout().is_terminal())
}

/// On a terminal, unless <https://no-color.org> is asked for.
fn is_coloured(terminal: bool) -> bool {
    let unset = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    terminal && unset("NO_COLOR") && !dumb
}

/// A text in one line, without what a terminal would act on or that turns the direction of reading.
pub(super) fn plain(text: &str) -> String {
    let odd = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let words = text.split(|character: char| character.is_whitespace() || odd(character));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A command as one would type it.
pub(super) fn command(words: &[String]) -> String {
    let safe = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./@:=,+%".contains(&byte))
    };
    let quoted = words.iter().map(|word| {
        if safe(word) { word.clone() } else { format!("'{}'", plain(word).replace('\'', "'\\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_moves_the_cursor() {
        assert_eq!(plain("a\u{1b}[31mb\r\nc\t\u{202e}d  e"), "a [31mb c d e");
        assert_eq!(
            command(&["npx".into(), "-y".into(), "a b".into(), "it's".into()]),
            "npx -y 'a b' 'it'\\''s'"
        );
    }
}
