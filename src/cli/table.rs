//! Columns for a terminal.

/// Rows as lines whose columns stand under each other; the last column is not padded.
pub(super) fn text<const COLUMNS: usize>(rows: impl Iterator<Item = [String; COLUMNS]>) -> String {
    let rows: Vec<_> = rows.collect();
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
}
