//! Events as the log holds them: the index tells where one is, and is believed in nothing else.
//!
//! What follows from such an event, a recording that goes or a second end of a session, follows from the log then; an
//! index that was changed decides neither.

use bartizan_audit::{Log, Reader};
use bartizan_model::SessionId;
use bartizan_model::event::Event;
use bartizan_store::{EventQuery, IndexStore as _, Store};

use crate::failure::Failure;

/// The newest `most` events of a type, of one session or of any, the newest first. The index must hold the whole log.
///
/// # Errors
/// When the index or the log cannot be read; one that is [of the index](Failure::is_of_index) when the log has another
/// event in that place.
pub(crate) async fn newest(
    log: &Log,
    store: &Store,
    kind: &'static str,
    session: Option<SessionId>,
    most: u32,
) -> Result<Vec<Event>, Failure> {
    let query = EventQuery { kind: Some(kind.into()), session, limit: Some(most), ..EventQuery::default() };
    let found = store.events(&query).await.map_err(Failure::new)?.items;
    let reader = log.reader();
    let read = move || found.into_iter().map(|found| read(&reader, kind, session, found.index)).collect();
    tokio::task::spawn_blocking(read).await.map_err(Failure::new)?
}

/// The event that the index has in this place, as the log holds it.
fn read(reader: &Reader, kind: &str, session: Option<SessionId>, index: u64) -> Result<Event, Failure> {
    let entries = reader.read(index, 1).map_err(Failure::new)?;
    let event = entries.first().and_then(|entry| entry.event().ok());
    event
        .filter(|event| event.kind() == kind && session.is_none_or(|id| event.session == Some(id)))
        .ok_or_else(|| {
            Failure::of_index(format!("the index has a {kind} as event {index}, and the log has not"))
                .hint("bartizan log reindex makes the index again from the log")
        })
}

#[cfg(test)]
mod tests;
