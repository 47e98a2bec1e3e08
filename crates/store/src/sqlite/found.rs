//! How a page of sessions is found, so that it costs no walk through all there are.

use super::index::Span;
use super::{Connection, Result, sql, unsql};
use crate::SessionQuery;
use crate::terms::range;

/// From so many digits of an id on, sessions are found by them: ids begin with their time, and these tell it to 4.7 hours.
const TELLING_DIGITS: usize = 6;

/// So many sessions are sorted for a page without a walk first. A network that more came from may be common enough that
/// going through all sessions in order fills the page soon.
const MOST_SORTED: usize = 4096;

/// So many sessions are gone through for a page of a network; where they do not fill it, because its sessions lie far back, it
/// is found by them.
pub(super) const WALKED: usize = 16_384;

/// What a page of sessions is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoundBy {
    /// Sessions in their order, or those of one person, login, target, state or address, in theirs.
    Order,
    /// All that the id or the network has, sorted.
    Range,
}

/// Looks which of both it is.
pub(super) async fn found_by(db: &mut Connection, query: &SessionQuery) -> Result<FoundBy> {
    if query.id_prefix.as_ref().is_some_and(|prefix| prefix.len() >= TELLING_DIGITS) {
        return Ok(FoundBy::Range);
    }
    let Some((first, last)) = query.source.as_ref().map(range).filter(|(first, last)| first != last) else {
        return Ok(FoundBy::Order);
    };
    let count = "SELECT COUNT(*) FROM (SELECT 1 FROM sessions WHERE source_key >= $1 AND source_key <= $2 LIMIT $3) few";
    let count: i64 =
        sqlx::query_scalar(count).bind(first).bind(last).bind(sql(MOST_SORTED as u64)).fetch_one(db).await?;
    Ok(if unsql(count) < MOST_SORTED as u64 { FoundBy::Range } else { FoundBy::Order })
}

/// Where a walk in order is to end: after `walked` sessions, when it looks for a network and nothing else, and before it has
/// gone through the whole `span`.
pub(super) async fn walk(
    db: &mut Connection,
    query: &SessionQuery,
    found_by: FoundBy,
    span: &Span,
    walked: usize,
) -> Result<Span> {
    let whole = Span { from: span.from, to: span.to };
    let of_network = query.source.as_ref().map(range).is_some_and(|(first, last)| first != last);
    // Others have an order of their own.
    let of_others =
        query.person.is_some() || query.login.is_some() || query.target.is_some() || query.state.is_some();
    if found_by == FoundBy::Range || !of_network || of_others {
        return Ok(whole);
    }
    let before = query.after.map_or(span.to, |after| sql(after).min(span.to));
    let end = "SELECT position FROM sessions WHERE position < $1 ORDER BY position DESC LIMIT 1 OFFSET $2";
    let end: Option<i64> =
        sqlx::query_scalar(end).bind(before).bind(sql(walked as u64)).fetch_optional(db).await?;
    Ok(Span { from: end.map_or(span.from, |end| end.max(span.from)), to: span.to })
}
