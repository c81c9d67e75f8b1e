//! Tables as CSV, as RFC 4180 has it.
//!
//! A customer's name is foreign text, and a spreadsheet runs what begins like a formula: such
//! cells get an apostrophe in front, which spreadsheets take as "this is text".

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// A value of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Text that others may have chosen.
    Text(String),
    /// A number.
    Number(i128),
    /// No value.
    Empty,
}

/// A table as the answer to a request, to be kept under a name.
pub(crate) fn answer(name: &str, columns: &[&str], rows: &[Vec<Cell>]) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, write(columns, rows)).into_response()
}

fn write(columns: &[&str], rows: &[Vec<Cell>]) -> String {
    let mut text = columns.join(",");
    text.push_str("\r\n");
    for row in rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Number(number) => number.to_string(),
        Cell::Empty => String::new(),
        Cell::Text(text) => {
            let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
            let text = format!("{}{text}", if formula { "'" } else { "" });
            if text.contains([',', '"', '\r', '\n']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_quoted_and_runs_nothing() {
        #[rustfmt::skip]
        let cases = [
            ("Acme Corp",          "Acme Corp"),
            ("Smith, Jones",       "\"Smith, Jones\""),
            ("the \"real\" one",   "\"the \"\"real\"\" one\""),
            ("two\nlines",         "\"two\nlines\""),
            ("=1+1",               "'=1+1"),
            ("@SUM(A1,A2)",        "\"'@SUM(A1,A2)\""),
            ("-78",                "'-78"),
        ];
        for (text, expected) in cases {
            assert_eq!(cell(&Cell::Text(text.to_owned())), expected);
        }
        assert_eq!(cell(&Cell::Number(-78)), "-78");
    }
}
