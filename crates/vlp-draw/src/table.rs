//! Tables.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::DrawError;

/// A table whose rows have as many cells as there are columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    /// Column headings.
    pub columns: Vec<String>,
    /// Rows, top to bottom.
    pub rows: Vec<Row>,
}

/// One row of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// One text per column; a column of numbers is aligned to the right.
    pub cells: Vec<String>,
    /// A remark below the first cell, such as what a metric means.
    pub hint: Option<String>,
}

impl From<Vec<String>> for Row {
    fn from(cells: Vec<String>) -> Self {
        Self { cells, hint: None }
    }
}

/// A section with the table; nothing for a table without rows.
pub(crate) fn table_section(heading: &str, table: &Table) -> Result<Markup, DrawError> {
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
    let is_numeric: Vec<bool> = (0..columns)
        .map(|column| table.rows.iter().all(|row| is_number(&row.cells[column])))
        .collect();
    Ok(html! {
        @if !table.rows.is_empty() {
            section {
                h2 { (heading) }
                div.scroll {
                    table {
                        thead {
                            tr {
                                @for (name, is_numeric) in table.columns.iter().zip(&is_numeric) {
                                    th class=[number_class(*is_numeric)] { (name) }
                                }
                            }
                        }
                        tbody { @for row in &table.rows { tr { (row_cells(row, &is_numeric)) } } }
                    }
                }
            }
        }
    })
}

fn row_cells(row: &Row, is_numeric: &[bool]) -> Markup {
    html! {
        @for (column, (cell, is_numeric)) in row.cells.iter().zip(is_numeric).enumerate() {
            td class=[number_class(*is_numeric)] {
                (cell)
                @if let (0, Some(hint)) = (column, &row.hint) { small { (hint) } }
            }
        }
    }
}

fn number_class(is_numeric: bool) -> Option<&'static str> {
    is_numeric.then_some("number")
}

/// Whether a cell is aligned as a number: a number, a percentage or a dash for none.
fn is_number(cell: &str) -> bool {
    let cell = cell.trim();
    matches!(cell, "" | "-" | "–" | "—")
        || cell.trim_end_matches('%').trim_end().parse::<f64>().is_ok()
}
