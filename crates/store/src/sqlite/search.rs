//! Terms in SQLite: an FTS5 table without text.
//!
//! Its lists of positions are read backwards as far as a page needs, and where several meet, each skips to where the
//! others are. They take one to two bytes a position; a B-tree of the same column takes some thirty.

use sqlx::QueryBuilder;

use super::{Connection, Database, Result, sql};
use crate::projection::EventRow;
use crate::terms::Terms;

/// The position in what [`select_matching`] selects from.
pub(super) const POSITION: &str = "event_terms.rowid";

/// Inserts events and their terms.
pub(super) async fn insert_rows(db: &mut Connection, rows: &[(u64, EventRow)]) -> Result<()> {
    let mut insert = QueryBuilder::<Database>::new("INSERT INTO events (position, time, json) ");
    insert.push_values(rows, |mut columns, (position, row)| {
        columns.push_bind(sql(*position)).push_bind(sql(row.time.unix_micros())).push_bind(&row.json);
    });
    // Of another length each time, so not worth a place among the prepared statements.
    insert.build().persistent(false).execute(&mut *db).await?;
    let mut insert = QueryBuilder::<Database>::new("INSERT INTO event_terms (rowid, terms) ");
    insert.push_values(rows, |mut columns, (position, row)| {
        let terms = row.terms.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        columns.push_bind(sql(*position)).push_bind(terms);
    });
    insert.build().persistent(false).execute(db).await?;
    Ok(())
}

/// Selects position and JSON of events that have `terms`, of which there is one at least; a condition may follow.
pub(super) fn select_matching(terms: &Terms) -> QueryBuilder<Database> {
    // No term holds a quote. CROSS JOIN keeps the order: terms first.
    let all = terms.all.iter().map(|term| format!("\"{term}\""));
    let beginnings = terms.beginnings.iter().map(|beginning| format!("\"{beginning}\"*"));
    let any = terms.any.iter().map(|term| format!("\"{term}\"")).collect::<Vec<_>>().join(" OR ");
    let any = Some(format!("({any})")).filter(|_| !terms.any.is_empty());
    let matching = all.chain(any).chain(beginnings).collect::<Vec<_>>().join(" AND ");
    let mut select = QueryBuilder::new(
        "SELECT events.position, events.json FROM event_terms \
         CROSS JOIN events ON events.position = event_terms.rowid WHERE event_terms MATCH ",
    );
    select.push_bind(matching);
    select
}
