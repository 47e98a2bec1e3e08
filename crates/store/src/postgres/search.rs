//! Terms in PostgreSQL: a `tsvector` made by this program, under a GIN index.
//!
//! The planner knows how common a term is. Where it is rare, the index gives the positions; where it is common, the
//! newest events are looked through, and the page is soon full.

use sqlx::QueryBuilder;

use super::{Connection, Database, Result, sql};
use crate::projection::EventRow;
use crate::terms::Terms;

/// The position in what [`select_matching`] selects from.
pub(super) const POSITION: &str = "events.position";

/// Inserts events and their terms.
pub(super) async fn insert_rows(db: &mut Connection, rows: &[(u64, EventRow)]) -> Result<()> {
    let mut insert = QueryBuilder::<Database>::new("INSERT INTO events (position, time, json, terms) ");
    insert.push_values(rows, |mut columns, (position, row)| {
        let terms: Vec<&str> = row.terms.iter().map(String::as_str).collect();
        columns
            .push_bind(sql(*position))
            .push_bind(sql(row.time.unix_micros()))
            .push_bind(&row.json)
            .push("array_to_tsvector(")
            .push_bind_unseparated(terms)
            .push_unseparated(")");
    });
    // Of another length each time, so not worth a place among the prepared statements.
    insert.build().persistent(false).execute(db).await?;
    Ok(())
}

/// Selects position and JSON of events that have `terms`, of which there is one at least; a condition may follow.
pub(super) fn select_matching(terms: &Terms) -> QueryBuilder<Database> {
    // No term holds a quote or a backslash.
    let all = terms.all.iter().map(|term| format!("'{term}'"));
    let beginnings = terms.beginnings.iter().map(|beginning| format!("'{beginning}':*"));
    let any = terms.any.iter().map(|term| format!("'{term}'")).collect::<Vec<_>>().join(" | ");
    let any = Some(format!("({any})")).filter(|_| !terms.any.is_empty());
    let matching = all.chain(any).chain(beginnings).collect::<Vec<_>>().join(" & ");
    let mut select =
        QueryBuilder::new("SELECT events.position, events.json FROM events WHERE events.terms @@ ");
    select.push_bind(matching).push("::tsquery");
    select
}
