//! What every page has: its head and style, short facts, a table, notes.

use std::fmt::Write;

use crate::html::Esc;
use crate::{DrawError, Table};

const STYLE: &str = include_str!("style.css");

/// The beginning of a page up to its heading; `style` follows the style all pages share.
pub(crate) fn open(title: &str, style: &str) -> String {
    let title = Esc(title);
    // The policy makes browsers refuse whatever the escaping might have missed.
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    )
}

/// The end of a page.
pub(crate) const CLOSE: &str = "</main>\n</body>\n</html>\n";

pub(crate) fn summary(out: &mut String, facts: &[(String, String)]) {
    if facts.is_empty() {
        return;
    }
    out.push_str("<dl class=\"summary\">");
    for (name, value) in facts {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<div><dt>{}</dt><dd>{}</dd></div>",
            Esc(name),
            Esc(value)
        );
    }
    out.push_str("</dl>\n");
}

pub(crate) fn table(out: &mut String, heading: &str, table: &Table) -> Result<(), DrawError> {
    let columns = table.columns.len();
    for (row, cells) in table.rows.iter().map(|row| row.cells.len()).enumerate() {
        if cells != columns {
            return Err(DrawError::Row {
                row,
                cells,
                columns,
            });
        }
    }
    if table.rows.is_empty() {
        return Ok(());
    }
    let numeric: Vec<bool> = (0..columns)
        .map(|i| table.rows.iter().all(|row| is_number(&row.cells[i])))
        .collect();
    let class = |i: usize| if numeric[i] { " class=\"number\"" } else { "" };
    let _ = write!(
        out,
        "<section><h2>{}</h2><div class=\"scroll\"><table><thead><tr>",
        Esc(heading)
    );
    for (i, name) in table.columns.iter().enumerate() {
        let _ = write!(out, "<th{}>{}</th>", class(i), Esc(name));
    }
    out.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        out.push_str("<tr>");
        for (i, cell) in row.cells.iter().enumerate() {
            let _ = write!(out, "<td{}>{}", class(i), Esc(cell));
            if let (0, Some(hint)) = (i, &row.hint) {
                let _ = write!(out, "<small>{}</small>", Esc(hint));
            }
            out.push_str("</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div></section>\n");
    Ok(())
}

/// Whether a cell is aligned as a number: a figure, a percentage or a dash for none.
fn is_number(cell: &str) -> bool {
    let cell = cell.trim();
    matches!(cell, "" | "-" | "–" | "—")
        || cell.trim_end_matches('%').trim_end().parse::<f64>().is_ok()
}

pub(crate) fn notes(out: &mut String, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    out.push_str("<section><h2>Notes</h2><ul class=\"notes\">");
    for note in notes {
        let _ = write!(out, "<li>{}</li>", Esc(note));
    }
    out.push_str("</ul></section>\n");
}
