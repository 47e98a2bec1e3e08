//! The index in SQL.

use bartizan_model::{SessionId, SessionState, SessionSummary, Timestamp};
use sqlx::QueryBuilder;

use super::{Connection, Database, Durability, Result, Store, push_words, sql, unsql};
use crate::projection::{EventRow, SessionChange, SessionSummaryEnd, address, project, rank};
use crate::{
    EventQuery, IndexEntry, IndexStore, IndexedEvent, MAX_PAGE, Order, Page, RecordKind, SessionQuery,
    StoreError,
};

impl IndexStore for Store {
    async fn cursor(&self) -> Result<u64> {
        let mut read = self.reader().await?;
        cursor(&mut read).await
    }

    async fn apply(&self, entries: &[IndexEntry]) -> Result<u64> {
        let rows: Vec<_> = entries.iter().map(|entry| (entry.index, project(&entry.bytes))).collect();
        let this = self.clone();
        Self::detached(async move {
            let mut change = this.writer(Durability::Process).await?;
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
            for chunk in rows.chunks(ROWS_A_STATEMENT) {
                insert(&mut change, chunk).await?;
            }
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
        Self::detached(async move {
            let mut change = this.writer(Durability::Process).await?;
            for step in
                ["DELETE FROM events", "DELETE FROM sessions", "UPDATE index_state SET next_position = 0"]
            {
                sqlx::query(step).execute(&mut *change).await?;
            }
            Ok(change.commit().await?)
        })
        .await
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<Page<SessionSummary>> {
        let mut select = QueryBuilder::new(SELECT_SESSIONS);
        select.push(" WHERE 1 = 1");
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
            select.push(" AND source_ip = ").push_bind(address(source));
        }
        push_times(&mut select, "started", query.since, query.until);
        let limit = push_page(&mut select, Order::NewestFirst, query.after, query.limit);
        let mut read = self.reader().await?;
        let rows: Vec<SessionRow> = select.build_query_as().fetch_all(&mut *read).await?;
        let next = next(&rows, limit, |row| row.1);
        let items = rows.into_iter().take(limit).map(summary).collect::<Result<_>>()?;
        Ok(Page { items, next })
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionSummary>> {
        let mut select = QueryBuilder::new(SELECT_SESSIONS);
        select.push(" WHERE id = ").push_bind(id.to_string());
        let mut read = self.reader().await?;
        let row: Option<SessionRow> = select.build_query_as().fetch_optional(&mut *read).await?;
        row.map(summary).transpose()
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<IndexedEvent>> {
        let mut select = QueryBuilder::new("SELECT position, json FROM events WHERE 1 = 1");
        push_event_filters(&mut select, query);
        let limit = push_page(&mut select, query.order, query.after, query.limit);
        let mut read = self.reader().await?;
        let rows: Vec<(i64, String)> = select.build_query_as().fetch_all(&mut *read).await?;
        let next = next(&rows, limit, |row| row.0);
        let event = |(index, json)| IndexedEvent { index: unsql(index), json };
        Ok(Page { items: rows.into_iter().take(limit).map(event).collect(), next })
    }
}

/// Databases bound how many parameters a statement has: SQLite 32,766, PostgreSQL 65,535.
const ROWS_A_STATEMENT: usize = 256;

async fn cursor(db: &mut Connection) -> Result<u64> {
    Ok(unsql(sqlx::query_scalar("SELECT next_position FROM index_state").fetch_one(db).await?))
}

/// Inserts events by one statement, which costs less than one each.
async fn insert(db: &mut Connection, rows: &[(u64, EventRow)]) -> Result<()> {
    const INSERT: &str = "INSERT INTO events \
                          (position, time, kind, severity, outcome, person, login, target, session, source, words, json) ";
    let mut insert = QueryBuilder::new(INSERT);
    insert.push_values(rows, |mut columns, (position, row)| {
        columns
            .push_bind(sql(*position))
            .push_bind(sql(row.time.unix_micros()))
            .push_bind(&row.kind)
            .push_bind(row.severity)
            .push_bind(&row.outcome)
            .push_bind(&row.person)
            .push_bind(&row.login)
            .push_bind(&row.target)
            .push_bind(&row.session)
            .push_bind(&row.source)
            .push_bind(&row.words)
            .push_bind(&row.json);
    });
    // Of another length each time, so not worth a place among the prepared statements.
    insert.build().persistent(false).execute(db).await?;
    Ok(())
}

async fn start(db: &mut Connection, position: u64, session: &SessionSummary) -> Result<()> {
    // The first start counts, should a log ever hold two with one id.
    let insert = "INSERT INTO sessions \
                  (id, position, person, login, target, state, way, source, source_ip, started, bytes_in, bytes_out) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0) ON CONFLICT DO NOTHING";
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

async fn removed(db: &mut Connection, id: &str, at: Timestamp) -> Result<()> {
    let update = "UPDATE sessions SET removed = $1 WHERE id = $2";
    sqlx::query(update).bind(sql(at.unix_micros())).bind(id).execute(db).await?;
    Ok(())
}

fn push_event_filters(select: &mut QueryBuilder<Database>, query: &EventQuery) {
    match query.kind.as_deref() {
        None => {}
        Some(kind) if kind.ends_with('.') => {
            select.push(" AND kind LIKE ").push_bind(format!("{}%", like(kind))).push(" ESCAPE '\\'");
        }
        Some(kind) => {
            select.push(" AND kind = ").push_bind(kind.to_owned());
        }
    }
    if let Some(person) = &query.person {
        select.push(" AND person = ").push_bind(person.to_string());
    }
    if let Some(login) = &query.login {
        select.push(" AND login = ").push_bind(login.to_string());
    }
    if let Some(target) = &query.target {
        select.push(" AND target = ").push_bind(target.to_string());
    }
    if let Some(session) = query.session {
        select.push(" AND session = ").push_bind(session.to_string());
    }
    if let Some(source) = query.source {
        select.push(" AND source = ").push_bind(address(source));
    }
    if let Some(severity) = query.severity {
        select.push(" AND severity >= ").push_bind(rank(severity));
    }
    if let Some(outcome) = query.outcome {
        let word = serde_json::to_string(&outcome).unwrap_or_default();
        select.push(" AND outcome = ").push_bind(word.trim_matches('"').to_owned());
    }
    if let Some(text) = query.text.as_deref().filter(|text| !text.is_empty()) {
        let pattern = format!("%{}%", like(&text.replace('\0', "\u{fffd}").to_lowercase()));
        push_words(select, pattern);
    }
    push_times(select, "time", query.since, query.until);
}

fn push_times(
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

/// Adds order and bounds; asks for one row more than the page holds, to know whether there is a next page.
fn push_page(
    select: &mut QueryBuilder<Database>,
    order: Order,
    after: Option<u64>,
    limit: Option<u32>,
) -> usize {
    let (beyond, order) = match order {
        Order::NewestFirst => (" AND position < ", " ORDER BY position DESC"),
        Order::OldestFirst => (" AND position > ", " ORDER BY position"),
    };
    if let Some(after) = after {
        select.push(beyond).push_bind(sql(after));
    }
    let limit = limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    select.push(order).push(" LIMIT ").push_bind(i64::from(limit) + 1);
    limit as usize
}

/// The last position of the page, if rows beyond it were found.
fn next<R>(rows: &[R], limit: usize, position: impl Fn(&R) -> i64) -> Option<u64> {
    rows.get(limit).and_then(|_| rows.get(limit - 1)).map(|row| unsql(position(row)))
}

/// Text as a LIKE pattern that matches only itself.
fn like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

const SELECT_SESSIONS: &str = "SELECT id, position, person, login, target, state, way, source, started, ended, \
                               bytes_in, bytes_out, exit_status, reason, break_glass, removed FROM sessions";

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
