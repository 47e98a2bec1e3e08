//! Events of the server itself.

use bartizan_audit::{Log, Urgency};
use bartizan_model::event::{Body, Event, Severity};
use bartizan_model::{NodeId, Timestamp};

use crate::failure::Failure;

/// Makes an event of the server itself durable.
///
/// # Errors
/// When it is not on record.
pub(crate) async fn note(log: &Log, node: &NodeId, body: Body) -> Result<(), Failure> {
    let mut event = Event::new(node, Timestamp::now(), body);
    event.severity = Severity::Notice;
    log.submit_as(event, Urgency::Closing).map_err(Failure::new)?.await.map(drop).map_err(Failure::new)
}
