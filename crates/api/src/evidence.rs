//! Changes of the directory as events: in as many as they take.
//!
//! An event has a bound, and what a removal takes along has none. So the lists of a value that is longer are cut between
//! their items, and go over several events, each with its number in the value: `part` of `parts`. All of them are
//! durable before the change is made.

use bartizan_audit::{LogError, Logged, Urgency};
use bartizan_model::event::{Body, Event, Outcome, Severity};
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::peer::Peer;
use crate::state::ApiState;

/// Most bytes of a value in one event of several; what else an event holds has room beside it.
const PIECE_BYTES: usize = 60_000;

/// What the log says about a change.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    action: &'static str,
    record: String,
    name: String,
    value: Value,
}

/// The events of one change. With the last of them all are durable.
#[derive(Debug)]
pub(crate) struct Telling {
    before: Vec<Event>,
    last: Event,
}

impl Description {
    pub(crate) fn new(
        action: &'static str,
        record: impl ToString,
        name: impl ToString,
        value: Value,
    ) -> Self {
        Self { action, record: record.to_string(), name: name.to_string(), value }
    }

    /// The change as events.
    pub(crate) fn telling(&self, state: &ApiState, peer: Peer) -> Telling {
        let event = |value| Event { severity: Severity::Notice, ..state.event(self.body(value, peer)) };
        let (before, last) = pieces(&self.value);
        Telling { before: before.into_iter().map(event).collect(), last: event(last) }
    }

    /// Says that the change was not made after it was told, and in `value` why.
    ///
    /// # Errors
    /// When the log does not take that.
    pub(crate) async fn failed(&self, state: &ApiState, peer: Peer, value: Value) -> Result<()> {
        let body = self.body(value, peer);
        let event = Event { severity: Severity::Warning, outcome: Outcome::Failure, ..state.event(body) };
        state.append(event).await
    }

    fn body(&self, value: Value, peer: Peer) -> Body {
        Body::DirectoryChange {
            action: self.action.into(),
            record: self.record.clone(),
            name: self.name.clone(),
            value,
            by: peer.to_string(),
        }
    }
}

impl Telling {
    /// Finds out whether the log can take every event. One that it refuses after others would leave these without
    /// what they tell of.
    ///
    /// # Errors
    /// [`LogError::TooLong`].
    pub(crate) fn check(&self, state: &ApiState) -> std::result::Result<(), LogError> {
        self.events().try_for_each(|event| state.parts.log.check(event))
    }

    /// True when the change takes one event alone.
    pub(crate) const fn is_one(&self) -> bool {
        self.before.is_empty()
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.before.iter().chain([&self.last])
    }

    /// The events, in their order.
    pub(crate) fn into_events(self) -> impl Iterator<Item = Event> {
        self.before.into_iter().chain([self.last])
    }

    /// Logs the events, and once all are durable marks `value` as [`Logged`].
    ///
    /// # Errors
    /// When the log does not take one; those before it are logged nevertheless.
    pub(crate) async fn log<T>(self, state: &ApiState, value: T) -> Result<Logged<T>> {
        let log = &state.parts.log;
        let mut waiting = Vec::with_capacity(self.before.len());
        for event in self.before {
            waiting.push(log.submit_as(event, Urgency::Emergency)?);
        }
        for event in waiting {
            event.await?;
        }
        Ok(log.append_as(self.last, Urgency::Emergency, value).await?)
    }
}

/// Says that a change was not made, when the log took some of its events and then no more: most likely not this one.
pub(crate) fn unmade(marked: Result<()>) {
    if let Err(error) = marked {
        tracing::error!(%error, "the log tells of a change that was not made, and takes no event that says so");
    }
}

/// A value in pieces, and the last of them: one, where it is short enough. What is no list stands in the first.
fn pieces(value: &Value) -> (Vec<Value>, Value) {
    let Value::Object(fields) = value else { return (Vec::new(), value.clone()) };
    if bytes(value) <= PIECE_BYTES {
        return (Vec::new(), value.clone());
    }
    let is_list = |field: &Value| field.as_array().is_some_and(|items| !items.is_empty());
    let (lists, plain): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, field)| is_list(field));
    let mut piece: Map<_, _> = plain.into_iter().map(|(name, field)| (name.clone(), field.clone())).collect();
    let mut used: usize = piece.iter().map(|(name, field)| name.len() + bytes(field) + 4).sum();
    let mut whole = Vec::new();
    for (name, items) in lists {
        for item in items.as_array().into_iter().flatten() {
            let takes = bytes(item) + 1;
            if used + takes > PIECE_BYTES && !piece.is_empty() {
                whole.push(std::mem::take(&mut piece));
                used = 0;
            }
            let list = piece.entry(name.clone()).or_insert_with(|| {
                used += name.len() + 6;
                json!([])
            });
            list.as_array_mut().into_iter().for_each(|list| list.push(item.clone()));
            used += takes;
        }
    }
    numbered(whole, piece)
}

fn numbered(before: Vec<Map<String, Value>>, mut last: Map<String, Value>) -> (Vec<Value>, Value) {
    let parts = before.len() + 1;
    if parts == 1 {
        return (Vec::new(), last.into());
    }
    let number = |piece: &mut Map<String, Value>, part: usize| {
        piece.insert("part".into(), part.into());
        piece.insert("parts".into(), parts.into());
    };
    number(&mut last, parts);
    let before = before.into_iter().zip(1..).map(|(mut piece, part)| {
        number(&mut piece, part);
        Value::Object(piece)
    });
    (before.collect(), last.into())
}

fn bytes(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_stays_in_one_piece() {
        for value in [json!(null), json!("x".repeat(70_000)), json!({"a": [1, 2], "b": []})] {
            assert_eq!(pieces(&value), (Vec::new(), value));
        }
        // No list to cut: the log will refuse it.
        let long = json!({"a": "x".repeat(70_000)});
        assert_eq!(pieces(&long), (Vec::new(), long));
    }

    #[test]
    fn lists_are_cut_between_their_items_and_nothing_is_lost() {
        for length in [1, 100, 20_000, 59_000] {
            let count = 200_000 / length.max(20);
            let items = |list| (0..count).map(|n| format!("{list}{n:0>length$}")).collect::<Vec<_>>();
            let (a, b) = (items('a'), items('b'));
            let (mut all, last) = pieces(&json!({"who": "alice", "a": a, "none": [], "b": b}));
            all.push(last);
            let (mut found_a, mut found_b) = (Vec::new(), Vec::new());
            for (n, piece) in all.iter().enumerate() {
                assert!(bytes(piece) <= PIECE_BYTES + 50, "{length}: {}", bytes(piece));
                assert_eq!((&piece["part"], &piece["parts"]), (&json!(n + 1), &json!(all.len())));
                assert_eq!(piece.get("who").is_some(), n == 0);
                assert_eq!(piece.get("none"), (n == 0).then_some(&json!([])));
                for (list, found) in [("a", &mut found_a), ("b", &mut found_b)] {
                    let items = piece.get(list).and_then(Value::as_array).into_iter().flatten();
                    found.extend(items.map(|item| item.as_str().unwrap().to_owned()));
                }
            }
            assert!(all.len() > 1 && (found_a, found_b) == (a, b), "{length}");
        }
    }
}
