//! Columns for a terminal.

use crate::outcome::one_line;

/// Rows as lines whose columns stand under each other; the last column is not padded. A cell stays on its line
/// and cannot drive the terminal.
pub(super) fn text<const COLUMNS: usize>(rows: impl Iterator<Item = [String; COLUMNS]>) -> String {
    let rows: Vec<_> = rows.map(|row| row.map(|cell| one_line(&cell))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_stand_under_each_other() {
        let rows = [["A", "BB", "C"], ["long", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(super::text(rows.into_iter()), "A     BB  C\nlong  b\n");
    }

    #[test]
    fn a_cell_cannot_leave_its_line() {
        let rows = [["a\nb", "\u{1b}[2J"], ["", "c"]].map(|row| row.map(str::to_owned));
        assert_eq!(super::text(rows.into_iter()), "a b  \\u{1b}[2J\n     c\n");
    }
}
