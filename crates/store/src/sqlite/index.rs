//! The index in SQL.

use bartizan_model::{SessionId, SessionState, SessionSummary, Timestamp};
use sqlx::QueryBuilder;
use tokio::sync::watch;

use super::events::{insert, page};
use super::found::{FoundBy, WALKED, found_by, walk};
use super::{Connection, Database, Result, Store, sql, unsql};
use crate::projection::{SessionChange, SessionSummaryEnd, address, project};
use crate::terms::{digits, range};
use crate::{
    EventQuery, IndexEntry, IndexStore, IndexedEvent, MAX_PAGE, Order, Page, RecordKind, SessionQuery,
    StoreError,
};

impl IndexStore for Store {
    async fn cursor(&self) -> Result<u64> {
        let mut read = self.index_reader().await?;
        cursor(&mut read).await
    }

    async fn apply(&self, entries: &[IndexEntry]) -> Result<u64> {
        let entries = entries.to_vec();
        let this = self.clone();
        Self::detached(async move {
            let rows: Vec<_> = entries.iter().map(|entry| (entry.index, project(&entry.bytes))).collect();
            let mut change = this.index_writer().await?;
            let before = cursor(&mut change).await?;
            let known = rows.iter().take_while(|(position, _)| *position < before).count();
            let rows = &rows[known..];
            let mut expected = before;
            for (position, _) in rows {
                if *position != expected {
                    return Err(StoreError::Gap { expected, found: *position });
                }
                expected += 1;
            }
            insert(&mut change, rows).await?;
            for (position, row) in rows {
                match &row.change {
                    Some(SessionChange::Start(session)) => start(&mut change, *position, session).await?,
                    Some(SessionChange::End(end)) => finish(&mut change, end).await?,
                    Some(SessionChange::BreakGlass(id)) => break_glass(&mut change, id).await?,
                    Some(SessionChange::Removed(id, at)) => removed(&mut change, id, *at).await?,
                    None => {}
                }
            }
            if expected > before {
                sqlx::query("UPDATE index_state SET next_position = $1")
                    .bind(sql(expected))
                    .execute(&mut *change)
                    .await?;
            }
            change.commit().await?;
            Ok(expected)
        })
        .await
    }

    async fn reset(&self) -> Result<()> {
        let this = self.clone();
        Self::detached(async move { this.empty_index().await }).await
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<Page<SessionSummary>> {
        let mut read = self.index_reader().await?;
        let Some(span) = span(&mut read, query.since, query.until).await? else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let limit = limit(query.limit);
        let found_by = found_by(&mut read, query).await?;
        let walk = walk(&mut read, query, found_by, &span, WALKED).await?;
        let mut rows = session_rows(&mut read, query, found_by, &walk, limit + 1).await?;
        if rows.len() <= limit && walk.from > span.from {
            rows = session_rows(&mut read, query, FoundBy::Range, &span, limit + 1).await?;
        }
        let next = next(&rows, limit, |row| row.1);
        let items = rows.into_iter().take(limit).map(summary).collect::<Result<_>>()?;
        Ok(Page { items, next })
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionSummary>> {
        let mut select = QueryBuilder::new(SELECT_SESSIONS);
        select.push(" WHERE id = ").push_bind(id.to_string());
        let mut read = self.index_reader().await?;
        let row: Option<SessionRow> = select.build_query_as().fetch_optional(&mut *read).await?;
        row.map(summary).transpose()
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<IndexedEvent>> {
        let mut read = self.index_reader().await?;
        page(&mut read, query).await
    }

    /// Never changes: [`crate::Store`] counts.
    fn damage(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}

async fn cursor(db: &mut Connection) -> Result<u64> {
    Ok(unsql(sqlx::query_scalar("SELECT next_position FROM index_state").fetch_one(db).await?))
}

async fn start(db: &mut Connection, position: u64, session: &SessionSummary) -> Result<()> {
    // The first start counts, should a log ever hold two with one id.
    let insert = "INSERT INTO sessions \
                  (id, position, person, login, target, state, way, source, source_ip, source_key, started, bytes_in, \
                  bytes_out) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0) ON CONFLICT DO NOTHING";
    sqlx::query(insert)
        .bind(session.id.to_string())
        .bind(sql(position))
        .bind(session.person.as_str())
        .bind(session.login.as_str())
        .bind(session.target.as_str())
        .bind(session.state.to_string())
        .bind(session.way.to_string())
        .bind(session.source.to_string())
        .bind(address(session.source.ip()))
        .bind(digits(session.source.ip()))
        .bind(sql(session.started.unix_micros()))
        .execute(db)
        .await?;
    Ok(())
}

async fn finish(db: &mut Connection, end: &SessionSummaryEnd) -> Result<()> {
    let update = "UPDATE sessions SET state = $1, ended = $2, bytes_in = $3, bytes_out = $4, exit_status = $5, \
                  reason = $6 WHERE id = $7";
    sqlx::query(update)
        .bind(end.state.to_string())
        .bind(sql(end.ended.unix_micros()))
        .bind(sql(end.bytes_in))
        .bind(sql(end.bytes_out))
        .bind(end.exit_status.map(i64::from))
        .bind(&end.reason)
        .bind(&end.id)
        .execute(db)
        .await?;
    Ok(())
}

async fn break_glass(db: &mut Connection, id: &str) -> Result<()> {
    sqlx::query("UPDATE sessions SET break_glass = 1 WHERE id = $1").bind(id).execute(db).await?;
    Ok(())
}

async fn removed(db: &mut Connection, id: &str, at: Option<Timestamp>) -> Result<()> {
    let update = "UPDATE sessions SET removed = $1 WHERE id = $2";
    sqlx::query(update).bind(at.map(|at| sql(at.unix_micros()))).bind(id).execute(db).await?;
    Ok(())
}

/// Positions `from..to` that hold all events of a time, and some others where a clock went back.
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// How many positions one row of `event_times` stands for.
pub(super) const POSITIONS_A_TIME: u64 = 1024;

/// Finds the positions of a time; `None` when no event is of it.
pub(super) async fn span(
    db: &mut Connection,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Option<Span>> {
    let mut span = Span { from: 0, to: i64::MAX };
    if let Some(since) = since {
        let first = "SELECT MIN(first_position) FROM event_times WHERE latest >= $1";
        let first: Option<i64> =
            sqlx::query_scalar(first).bind(sql(since.unix_micros())).fetch_one(&mut *db).await?;
        let Some(first) = first else { return Ok(None) };
        span.from = first;
    }
    if let Some(until) = until {
        let last = "SELECT MAX(first_position) FROM event_times WHERE earliest < $1";
        let last: Option<i64> =
            sqlx::query_scalar(last).bind(sql(until.unix_micros())).fetch_one(&mut *db).await?;
        let Some(last) = last else { return Ok(None) };
        span.to = last.saturating_add(sql(POSITIONS_A_TIME));
    }
    Ok(Some(span))
}

pub(super) fn push_times(
    select: &mut QueryBuilder<Database>,
    column: &'static str,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) {
    if let Some(since) = since {
        select.push(" AND ").push(column).push(" >= ").push_bind(sql(since.unix_micros()));
    }
    if let Some(until) = until {
        select.push(" AND ").push(column).push(" < ").push_bind(sql(until.unix_micros()));
    }
}

/// How many items a page holds.
pub(super) fn limit(asked: Option<u32>) -> usize {
    asked.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE) as usize
}

/// Adds where to go on, order, and how many rows.
pub(super) fn push_page(
    select: &mut QueryBuilder<Database>,
    position: &'static str,
    order: Order,
    after: Option<u64>,
    rows: usize,
) {
    let (beyond, order) = match order {
        Order::NewestFirst => (" < ", " DESC"),
        Order::OldestFirst => (" > ", ""),
    };
    if let Some(after) = after {
        select.push(" AND ").push(position).push(beyond).push_bind(sql(after));
    }
    select.push(" ORDER BY ").push(position).push(order);
    select.push(" LIMIT ").push_bind(sql(rows as u64));
}

/// The last position of the page, if rows beyond it were found.
pub(super) fn next<R>(rows: &[R], limit: usize, position: impl Fn(&R) -> i64) -> Option<u64> {
    rows.get(limit).and_then(|_| rows.get(limit - 1)).map(|row| unsql(position(row)))
}

const SELECT_SESSIONS: &str = "SELECT id, position, person, login, target, state, way, source, started, ended, \
                               bytes_in, bytes_out, exit_status, reason, break_glass, removed FROM sessions";

async fn session_rows(
    db: &mut Connection,
    query: &SessionQuery,
    found_by: FoundBy,
    span: &Span,
    rows: usize,
) -> Result<Vec<SessionRow>> {
    Ok(select_sessions(query, found_by, span, rows).build_query_as().fetch_all(db).await?)
}

/// Selects one page of sessions, and what says whether there is another.
pub(super) fn select_sessions(
    query: &SessionQuery,
    found_by: FoundBy,
    span: &Span,
    rows: usize,
) -> QueryBuilder<Database> {
    let mut select = QueryBuilder::new(SELECT_SESSIONS);
    // An expression finds nothing: what is not to be gone through in its order is made one.
    let (position, network) = match found_by {
        FoundBy::Order => ("position", "(source_key || '')"),
        FoundBy::Range => ("+position", "source_key"),
    };
    select.push(" WHERE ").push(position).push(" >= ").push_bind(span.from);
    select.push(" AND ").push(position).push(" < ").push_bind(span.to);
    if let Some(prefix) = &query.id_prefix {
        // 'g' sorts right after the last digit of an id.
        select.push(" AND id >= ").push_bind(prefix.clone());
        select.push(" AND id < ").push_bind(format!("{prefix}g"));
    }
    if let Some(person) = &query.person {
        select.push(" AND person = ").push_bind(person.as_str());
    }
    if let Some(login) = &query.login {
        select.push(" AND login = ").push_bind(login.as_str());
    }
    if let Some(target) = &query.target {
        select.push(" AND target = ").push_bind(target.as_str());
    }
    if let Some(state) = query.state {
        select.push(" AND state = ").push_bind(state.to_string());
    }
    if let Some(source) = query.source {
        let (first, last) = range(&source);
        if first == last {
            // One address: its sessions are in order already, so the page ends where it is full.
            select.push(" AND source_key = ").push_bind(first);
        } else {
            select.push(" AND ").push(network).push(" >= ").push_bind(first);
            select.push(" AND ").push(network).push(" <= ").push_bind(last);
        }
    }
    push_times(&mut select, "started", query.since, query.until);
    push_page(&mut select, position, Order::NewestFirst, query.after, rows);
    select
}

type SessionRow = (
    String,
    i64,
    String,
    String,
    String,
    String,
    String,
    String,
    i64,
    Option<i64>,
    i64,
    i64,
    Option<i64>,
    Option<String>,
    i64,
    Option<i64>,
);

fn summary(row: SessionRow) -> Result<SessionSummary> {
    let (
        id,
        _,
        person,
        login,
        target,
        state,
        way,
        source,
        started,
        ended,
        bytes_in,
        bytes_out,
        status,
        reason,
        break_glass,
        removed,
    ) = row;
    let read = || -> std::result::Result<SessionSummary, Box<dyn std::error::Error + Send + Sync>> {
        Ok(SessionSummary {
            id: id.parse()?,
            person: person.parse()?,
            login: login.parse()?,
            target: target.parse()?,
            state: serde_json::from_value::<SessionState>(state.into())?,
            way: serde_json::from_value(way.into())?,
            source: source.parse()?,
            started: Timestamp::from_unix_micros(unsql(started)),
            ended: ended.map(|t| Timestamp::from_unix_micros(unsql(t))),
            bytes_in: unsql(bytes_in),
            bytes_out: unsql(bytes_out),
            exit_status: status.map(u32::try_from).transpose()?,
            reason,
            break_glass: break_glass != 0,
            removed: removed.map(|t| Timestamp::from_unix_micros(unsql(t))),
        })
    };
    read().map_err(|e| StoreError::Corrupt {
        record: RecordKind::Session,
        name: id.clone(),
        why: e.to_string(),
    })
}
