//! Events of the index: how they are put in, and how pages of them are found.
//!
//! ```text
//!   filters, words ──► terms ──► positions, newest first ──► events ──► looked at, where words do not say it all
//! ```

use std::collections::BTreeMap;

use super::index::{POSITIONS_A_TIME, Span, limit, next, push_page, push_times, span};
use super::search::{POSITION, insert_rows, select_matching};
use super::{Connection, Result, sql, unsql};
use crate::projection::EventRow;
use crate::terms::Terms;
use crate::{EventQuery, IndexedEvent, Page, SearchText};

/// Databases bound how many parameters a statement has: SQLite 32,766, PostgreSQL 65,535.
const ROWS_A_STATEMENT: usize = 256;
/// Most events that are looked at for one page before the page is given as it is.
const LOOKS: usize = 1024;
/// Most events that are looked at for words with a beginning, before the index gathers them: a beginning that one event
/// in forty has costs less to look for.
const FRUITFUL_LOOKS: usize = 4096;
/// Events that are fetched at once to be looked at.
const LOOKS_AT_ONCE: usize = 256;
type Row = (i64, String);

/// Inserts events, by few statements, which costs less than one each.
pub(super) async fn insert(db: &mut Connection, rows: &[(u64, EventRow)]) -> Result<()> {
    for chunk in rows.chunks(ROWS_A_STATEMENT) {
        insert_rows(db, chunk).await?;
    }
    let mut times: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (position, row) in rows {
        let time = row.time.unix_micros();
        let block = times.entry(position - position % POSITIONS_A_TIME).or_insert((time, time));
        *block = (block.0.min(time), block.1.max(time));
    }
    for (first, (earliest, latest)) in times {
        let widen = "INSERT INTO event_times (first_position, earliest, latest) VALUES ($1, $2, $3) \
                     ON CONFLICT (first_position) DO UPDATE SET \
                     earliest = CASE WHEN excluded.earliest < event_times.earliest THEN excluded.earliest \
                     ELSE event_times.earliest END, \
                     latest = CASE WHEN excluded.latest > event_times.latest THEN excluded.latest \
                     ELSE event_times.latest END";
        sqlx::query(widen).bind(sql(first)).bind(sql(earliest)).bind(sql(latest)).execute(&mut *db).await?;
    }
    Ok(())
}

/// One page of a search.
pub(super) async fn page(db: &mut Connection, query: &EventQuery) -> Result<Page<IndexedEvent>> {
    let Some(span) = span(db, query.since, query.until).await? else {
        return Ok(Page { items: Vec::new(), next: None });
    };
    let limit = limit(query.limit);
    let mut search = Search { query, span, after: query.after, found: Vec::new() };
    let Some(text) = query.text.as_ref().filter(|text| text.looks()) else {
        let rows = search.rows(db, &Terms::of(query, true), limit + 1).await?;
        let next = next(&rows, limit, |row| row.0);
        return Ok(Page { items: rows.into_iter().take(limit).map(event).collect(), next });
    };
    let mut done = false;
    if text.beginnings().next().is_some() {
        // A beginning that is common is soon found by looking. One that is rare is gathered in the index, which costs
        // the more, the more events have such words.
        done = search.look(db, &Terms::of(query, false), text, limit, Patience::WhileFruitful).await?;
    }
    if !done && search.found.len() <= limit {
        let terms = Terms::of(query, true);
        if text.looks_at_terms() {
            done = search.look(db, &terms, text, limit, Patience::Full).await?;
        } else {
            let rows = search.rows(db, &terms, limit + 1 - search.found.len()).await?;
            search.found.extend(rows);
            done = search.found.len() <= limit;
        }
    }
    let rows = search.found;
    let next = next(&rows, limit, |row| row.0).or(search.after.filter(|_| !done && rows.len() <= limit));
    Ok(Page { items: rows.into_iter().take(limit).map(event).collect(), next })
}

fn event((index, json): Row) -> IndexedEvent {
    IndexedEvent { index: unsql(index), json }
}

/// How long events are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Until [`LOOKS`] are used up.
    Full,
    /// Until [`FRUITFUL_LOOKS`] are, and only while half as many are found as fill the page by then.
    WhileFruitful,
}

impl Patience {
    const fn looks(self) -> usize {
        match self {
            Self::Full => LOOKS,
            Self::WhileFruitful => FRUITFUL_LOOKS,
        }
    }
}

/// A search under way.
struct Search<'a> {
    query: &'a EventQuery,
    span: Span,
    /// The last position that was looked at.
    after: Option<u64>,
    /// What the page will hold, and one more to know whether there is a next page.
    found: Vec<Row>,
}

impl Search<'_> {
    /// Looks at events that have `terms` until the page is full or patience ends; true when there are no more.
    async fn look(
        &mut self,
        db: &mut Connection,
        terms: &Terms,
        text: &SearchText,
        limit: usize,
        patience: Patience,
    ) -> Result<bool> {
        let mut looked = 0;
        while looked < patience.looks() && self.found.len() <= limit {
            let rows = self.rows(db, terms, LOOKS_AT_ONCE).await?;
            let last = rows.len() < LOOKS_AT_ONCE;
            looked += rows.len();
            for row in rows {
                self.after = Some(unsql(row.0));
                if text.finds(&row.1) {
                    self.found.push(row);
                    if self.found.len() > limit {
                        return Ok(false);
                    }
                }
            }
            if last {
                return Ok(true);
            }
            if patience == Patience::WhileFruitful && 2 * self.found.len() * FRUITFUL_LOOKS < limit * looked {
                break;
            }
        }
        Ok(false)
    }

    /// The next events that have `terms`.
    async fn rows(&self, db: &mut Connection, terms: &Terms, rows: usize) -> Result<Vec<Row>> {
        let (position, mut select) = if terms.is_empty() {
            let all = "SELECT events.position, events.json FROM events WHERE 1 = 1";
            ("events.position", sqlx::QueryBuilder::new(all))
        } else {
            (POSITION, select_matching(terms))
        };
        if self.query.since.is_some() || self.query.until.is_some() {
            select.push(" AND ").push(position).push(" >= ").push_bind(self.span.from);
            select.push(" AND ").push(position).push(" < ").push_bind(self.span.to);
            push_times(&mut select, "events.time", self.query.since, self.query.until);
        }
        push_page(&mut select, position, self.query.order, self.after, rows);
        Ok(select.build_query_as().fetch_all(db).await?)
    }
}
