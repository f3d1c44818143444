//! Tables for people: columns as wide as their widest cell, numbers to the right.

use std::fmt::Write;

/// A table under construction.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

struct Column {
    name: &'static str,
    right: bool,
}

impl Table {
    /// A table with these columns; a `>` in front of a name moves the column's cells to the right.
    pub fn new(names: &[&'static str]) -> Table {
        let column = |name: &&'static str| match name.strip_prefix('>') {
            Some(name) => Column { name, right: true },
            None => Column { name, right: false },
        };
        Table { columns: names.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row with one cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| if cell.is_empty() { "-".into() } else { cell }).collect());
    }

    /// The text, ready to be printed.
    pub fn text(&self) -> String {
        let width = |(index, column): (usize, &Column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count());
            cells.chain([column.name.len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = self.columns.iter().enumerate().map(width).collect();
        let mut text = String::new();
        let names: Vec<String> = self.columns.iter().map(|column| column.name.to_uppercase()).collect();
        for row in std::iter::once(&names).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, column), width) in row.iter().zip(&self.columns).zip(&widths) {
                // Writing to a string cannot fail.
                let _ = match column.right {
                    true => write!(line, "{cell:>width$}  "),
                    false => write!(line, "{cell:<width$}  "),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// `12 B`, `3.4 KB`, `5.6 MB`…
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["B", "KB", "MB", "GB", "TB"].iter();
    let mut unit = units.next().unwrap_or(&"B");
    for larger in units {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if count < 1000 { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

/// `59s`, `3m07s`, `2h05m`, `4d03h`.
pub fn seconds(count: u64) -> String {
    match count {
        0..60 => format!("{count}s"),
        60..3600 => format!("{}m{:02}s", count / 60, count % 60),
        3600..86_400 => format!("{}h{:02}m", count / 3600, count % 3600 / 60),
        _ => format!("{}d{:02}h", count / 86_400, count % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let mut table = Table::new(&["name", ">packets", "state"]);
        table.row(["wan".into(), "7".into(), "up".into()]);
        table.row(["lan-guests".into(), "1000000".into(), String::new()]);
        assert_eq!(
            table.text(),
            "NAME        PACKETS  STATE\nwan               7  up\nlan-guests  1000000  -\n"
        );
    }

    #[test]
    fn amounts_read_well() {
        for (count, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (2_560_000, "2.6 MB"), (7 << 50, "7881.3 TB")]
        {
            assert_eq!(bytes(count), text);
        }
        for (count, text) in [(7, "7s"), (187, "3m07s"), (7500, "2h05m"), (356_400, "4d03h")] {
            assert_eq!(seconds(count), text);
        }
    }
}
