//! Output formats: tables for people, JSON and ids for programs.

use std::io::{IsTerminal, Write};

use clap::{Args, ValueEnum};
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Row, presets};
use serde::Serialize;

use crate::model::Health;

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// A table.
    Table,
    /// The JSON of the API.
    Json,
    /// One id per line; for tools, the names.
    Ids,
}

/// The flag that selects the output format.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Output format.
    #[arg(long, value_enum, default_value = "table", value_name = "table|json|ids")]
    pub(super) output: OutputFormat,
}

/// Prints a value as indented JSON.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(std::io::stdout().write_all(&text)?)
}

/// Prints each text on a line.
pub(super) fn print_lines(texts: impl IntoIterator<Item: AsRef<str>>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for text in texts {
        writeln!(out, "{}", text.as_ref())?;
    }
    Ok(())
}

/// A table without borders. On a terminal each row is truncated to one line; otherwise nothing is truncated.
pub(super) struct Table {
    table: comfy_table::Table,
    is_terminal: bool,
}

impl Table {
    /// Creates a table with these headings. The column of a heading that ends in `!` is never truncated.
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::NOTHING).set_truncation_indicator("…");
        let titles = headings.iter().map(|heading| heading.trim_end_matches('!'));
        let heading = |text: &str| Cell::new(text).add_attribute(Attribute::Bold);
        let mut header = Row::from(titles.map(heading).collect::<Vec<_>>());
        header.max_height(1);
        table.set_header(header);
        for (column, heading) in table.column_iter_mut().zip(headings) {
            column.set_padding((0, 2));
            if heading.ends_with('!') {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        let is_terminal = std::io::stdout().is_terminal();
        match terminal_width() {
            Some(width) => {
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        if use_color(is_terminal) {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        Self { table, is_terminal }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        let mut row = Row::from(cells);
        if self.is_terminal {
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

/// Returns a cell with untrusted text.
pub(super) fn text_cell(text: &str) -> Cell {
    Cell::new(sanitize(text))
}

/// Returns a cell with a number; empty for 0.
pub(super) fn count_cell(number: usize) -> Cell {
    if number == 0 { Cell::new("") } else { Cell::new(number) }
}

/// Returns a cell with a health, in green or red.
pub(super) fn health_cell(health: Health) -> Cell {
    let color = match health {
        Health::Healthy => Color::Green,
        Health::Unhealthy => Color::Red,
    };
    Cell::new(health.as_str()).fg(color)
}

/// Returns the width of the terminal; none if standard output is not a terminal.
pub(super) fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size().map(|(width, _)| width.0).filter(|_| std::io::stdout().is_terminal())
}

/// Returns whether to use color: on a terminal, unless disabled as <https://no-color.org> describes.
fn use_color(is_terminal: bool) -> bool {
    let is_unset = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    is_terminal && is_unset("NO_COLOR") && !is_dumb
}

/// Returns the text on one line, without control characters and without characters that change the text direction.
pub(super) fn sanitize(text: &str) -> String {
    let is_unsafe = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let words = text.split(|character: char| character.is_whitespace() || is_unsafe(character));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Returns a command quoted for a shell.
pub(super) fn shell_quote(words: &[String]) -> String {
    let is_safe = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./@:=,+%".contains(&byte))
    };
    let quoted = words.iter().map(|word| {
        if is_safe(word) { word.clone() } else { format!("'{}'", sanitize(word).replace('\'', "'\\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_removed_and_commands_are_quoted() {
        assert_eq!(sanitize("a\u{1b}[31mb\r\nc\t\u{202e}d  e"), "a [31mb c d e");
        assert_eq!(
            shell_quote(&["npx".into(), "-y".into(), "a b".into(), "it's".into()]),
            "npx -y 'a b' 'it'\\''s'"
        );
    }
}
