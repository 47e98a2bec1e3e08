//! Events as the log holds them: the index tells where one is, or that there is none, and is believed in nothing else.
//!
//! What follows from such an event, a recording that goes or a second end of a session, follows from the log then. From an
//! index that lacks an event something may follow that the log does not hold with; `log verify` names it.

use bartizan_audit::{Log, Reader};
use bartizan_model::SessionId;
use bartizan_model::event::Event;
use bartizan_store::{EventQuery, IndexStore as _, Store};

use crate::failure::Failure;

/// The newest `most` events of a type of a session, the newest first. The index must hold the whole log.
///
/// # Errors
/// When the index cannot be read; one that is [of an entry](Failure::is_of_entry) when the log cannot be, and one that is
/// [of the index](Failure::is_of_index) when the log has another event in that place.
pub(crate) async fn newest(
    log: &Log,
    store: &Store,
    kind: &'static str,
    session: SessionId,
    most: u32,
) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::new();
    for index in places(store, kind, Some(session), most).await?.into_iter().map(|(index, _)| index) {
        events.push(event(log, kind, session, index).await?);
    }
    Ok(events)
}

/// Where the index has the newest `most` events of a type, of one session or of any, and of which session each is; the
/// newest first.
///
/// # Errors
/// When the index cannot be read.
pub(crate) async fn places(
    store: &Store,
    kind: &'static str,
    session: Option<SessionId>,
    most: u32,
) -> Result<Vec<(u64, Option<SessionId>)>, Failure> {
    let query = EventQuery { kind: Some(kind.into()), session, limit: Some(most), ..EventQuery::default() };
    let found = store.events(&query).await.map_err(Failure::new)?.items;
    let of = |json: &str| serde_json::from_str::<Event>(json).ok().and_then(|event| event.session);
    Ok(found.into_iter().map(|found| (found.index, of(&found.json))).collect())
}

/// The event of a type and a session that the index has in this place, as the log holds it.
///
/// # Errors
/// As [`newest`].
pub(crate) async fn event(
    log: &Log,
    kind: &'static str,
    session: SessionId,
    index: u64,
) -> Result<Event, Failure> {
    let reader = log.reader();
    tokio::task::spawn_blocking(move || read(&reader, kind, session, index)).await.map_err(Failure::new)?
}

fn read(reader: &Reader, kind: &str, session: SessionId, index: u64) -> Result<Event, Failure> {
    let entries = reader.read(index, 1).map_err(Failure::of_entry)?;
    let event = entries.first().and_then(|entry| entry.event().ok());
    event.filter(|event| event.kind() == kind && event.session == Some(session)).ok_or_else(|| {
        Failure::of_index(format!("the index has a {kind} as event {index}, and the log has not"))
            .hint("bartizan log reindex makes the index again from the log")
    })
}

#[cfg(test)]
mod tests;
