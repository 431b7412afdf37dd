//! Texts for a terminal: columns, and durations.

use crate::outcome::one_line;

/// Returns rows as lines whose columns stand under each other; the last column is not padded. A cell stays on its line
/// and cannot drive the terminal.
pub fn text<const COLUMNS: usize>(rows: impl Iterator<Item = [String; COLUMNS]>) -> String {
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

/// Returns a duration in at most two units: `12ms`, `3.4s`, `3m 12s`, `2d 3h`.
pub fn span(seconds: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = seconds.max(0.0);
    if seconds < 0.9995 {
        return format!("{:.0}ms", seconds * 1e3);
    }
    let whole = std::time::Duration::try_from_secs_f64(seconds.round()).unwrap_or_default().as_secs();
    if whole < 10 {
        return format!("{seconds:.1}s");
    }
    let first = UNITS.iter().position(|(size, _)| whole >= *size).unwrap_or(UNITS.len() - 1);
    let (size, unit) = UNITS[first];
    match UNITS.get(first + 1).map(|(smaller, name)| (whole % size / smaller, name)) {
        Some((rest, name)) if rest > 0 => format!("{}{unit} {rest}{name}", whole / size),
        _ => format!("{}{unit}", whole / size),
    }
}

/// Returns what names are sorted by as people do it: `svc-2` comes before `svc-10`.
pub fn natural(name: &str) -> Vec<(u64, String)> {
    let mut parts: Vec<(u64, String)> = Vec::new();
    for c in name.chars() {
        let last = parts.last_mut();
        match (c.to_digit(10), last) {
            (Some(digit), Some((number, text))) if text.is_empty() => {
                *number = number.saturating_mul(10).saturating_add(digit.into());
            }
            (Some(digit), _) => parts.push((digit.into(), String::new())),
            (None, Some((_, text))) if !text.is_empty() => text.push(c),
            (None, _) => parts.push((u64::MAX, c.to_string())),
        }
    }
    parts
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

    #[test]
    fn numbers_in_names_are_numbers() {
        let mut names = ["svc-10", "b", "svc-2", "svc", "a2b", "a10", "svc-2-x"];
        names.sort_by_cached_key(|name| super::natural(name));
        assert_eq!(names, ["a2b", "a10", "b", "svc", "svc-2", "svc-2-x", "svc-10"]);
    }

    #[test]
    fn spans_have_at_most_two_units() {
        let spans =
            [-1.0, 0.0004, 0.0123, 0.9994, 0.9996, 9.44, 9.6, 61.0, 3600.0, 3661.0, 90_000.0, f64::NAN];
        let expected =
            ["0ms", "0ms", "12ms", "999ms", "1.0s", "9.4s", "10s", "1m 1s", "1h", "1h 1m", "1d 1h", "0ms"];
        assert_eq!(spans.map(super::span), expected);
    }
}
