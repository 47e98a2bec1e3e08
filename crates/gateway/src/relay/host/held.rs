//! What of the client's waits until its event is durable, and what becomes of it in an emergency.

use bartizan_audit::Pending;
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_record::RecordError;
use bartizan_ssh::connection::relay::{
    ChannelKey, GlobalVerdict, OpenVerdict, Output, Relay, RelayError, RelayHost as _, RequestVerdict, Side,
    Totals,
};
use bartizan_ssh::wire::connection::RequestKind;

use super::{Failure, Host, ordinal};
use crate::emergency;

/// What of the client's waits until its event is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::relay) enum HeldMessage {
    /// A `CHANNEL_OPEN`.
    Open(ChannelKey),
    /// A `CHANNEL_REQUEST` for a program.
    Request(ChannelKey, RequestKind),
    /// A `GLOBAL_REQUEST` about listeners.
    Global {
        /// It wants a reply.
        replies: bool,
    },
}

/// A message of the client that waits until its event is durable.
pub(in crate::relay) struct Held {
    pub(in crate::relay) message: HeldMessage,
    pub(in crate::relay) receipt: Pending,
}

impl Host {
    /// Goes on although nothing can be kept any more, if break-glass grants permit it. Nothing may pass before the
    /// event is durable.
    ///
    /// # Errors
    /// When the session must end.
    pub(in crate::relay) fn goes_on_unrecorded(&mut self, error: RecordError) -> Result<Pending, Failure> {
        match self.judge.break_glass() {
            None => Err(error.into()),
            Some(rules) => {
                let declared = emergency::declare(&self.trail, &rules, error.to_string(), false)?;
                self.gates.emergency(&self.judge);
                Ok(declared)
            }
        }
    }

    /// Refuses what waits for its event: an everyday grant may have permitted it, and it may be asked for again.
    ///
    /// # Errors
    /// Never, unless the relay does not hold what we do.
    pub(in crate::relay) fn refuse_held(
        &mut self,
        relay: &mut Relay,
        out: &mut impl Output,
    ) -> Result<(), RelayError> {
        const WHY: &str = "bartizan: the recording failed while this waited; please try again";
        let Some(Held { message, .. }) = self.held.take() else { return Ok(()) };
        let what = match message {
            HeldMessage::Open(key) => {
                relay.release_open(Side::Client, OpenVerdict::prohibited(WHY), out)?;
                self.closed(key, Totals::default());
                format!("channel {}", ordinal(key))
            }
            HeldMessage::Request(key, kind) => {
                let verdict = RequestVerdict::Refuse { text: format!("{WHY}\n").into() };
                relay.release_request(Side::Client, verdict, self, out)?;
                self.program_answered(key, kind, false);
                format!("the program of channel {}", ordinal(key))
            }
            HeldMessage::Global { replies } => {
                relay.release_global(Side::Client, GlobalVerdict::Refuse, out)?;
                self.forwards.withdrawn(replies);
                "a change of what the target listens for".to_owned()
            }
        };
        let body =
            Body::Anomaly { what: "refused, as the recording failed while it waited".into(), detail: what };
        self.tell(Outcome::Denied, Severity::Notice, body);
        Ok(())
    }
}
