//! Global requests and their replies, in order.

use super::host::{GlobalVerdict, Output, RelayHost, Side};
use super::replies::{GlobalPending, GlobalReply};
use super::{ConnectionError, Flow, Held, Relay, RelayError};
use crate::wire::connection::{GlobalRequest, GlobalRequestType, Message};

impl Relay {
    pub(super) fn global_request(
        &mut self,
        from: Side,
        request: &GlobalRequest<'_>,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<Flow, ConnectionError> {
        let limit = self.limits.max_pending_replies;
        if request.want_reply && self.global[from.other()].is_full(limit) {
            return Err(ConnectionError::TooManyRequests { limit });
        }
        if from == Side::Client && request.request_type == GlobalRequestType::NoMoreSessions {
            self.no_more_sessions = true;
        }
        if self.ended {
            self.decide_global(from, request, GlobalVerdict::Refuse, payload, out);
            return Ok(Flow::Continue);
        }
        match host.global_request(from, request) {
            GlobalVerdict::Hold => {
                self.held[from] = Some(Held::Global { payload: payload.to_vec() });
                Ok(Flow::Held)
            }
            verdict => {
                self.decide_global(from, request, verdict, payload, out);
                Ok(Flow::Continue)
            }
        }
    }

    pub(super) fn decide_global(
        &mut self,
        from: Side,
        request: &GlobalRequest<'_>,
        verdict: GlobalVerdict,
        payload: &[u8],
        out: &mut impl Output,
    ) {
        let reply = match verdict {
            GlobalVerdict::Pass => {
                if request.want_reply {
                    let kind = request.request_type.kind();
                    self.global[from.other()].push(GlobalPending::Passed(kind));
                }
                out.to(from.other(), payload);
                return;
            }
            GlobalVerdict::Refuse => GlobalReply::Failure,
            GlobalVerdict::Swallow => GlobalReply::Success(Vec::new()),
            GlobalVerdict::Answer(data) => GlobalReply::Success(data),
            // Both callers keep a held request instead of coming here.
            GlobalVerdict::Hold => return,
        };
        if !request.want_reply {
            return;
        }
        let queue = &mut self.global[from.other()];
        if queue.must_wait() {
            queue.push(GlobalPending::Ours(reply));
        } else {
            send_reply(from, &reply, out);
        }
    }

    /// `data` is `None` for a failure.
    pub(super) fn global_reply(
        &mut self,
        from: Side,
        data: Option<&[u8]>,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) {
        match self.global[from].pop() {
            Some(GlobalPending::Passed(kind)) => {
                host.global_request_reply(from, kind, data.is_some(), data.unwrap_or_default());
                out.to(from.other(), payload);
            }
            Some(GlobalPending::Own) => {
                host.own_request_reply(from, data.is_some(), data.unwrap_or_default())
            }
            // A reply to nothing puts no other out of order, and OpenSSH ignores it likewise.
            Some(GlobalPending::AnsweredForIt | GlobalPending::Ours(_)) | None => {}
        }
        for reply in self.global[from].take_due() {
            send_reply(from.other(), &reply, out);
        }
    }

    /// Gives the verdict on a held `GLOBAL_REQUEST`; that end may then be fed again.
    ///
    /// # Errors
    /// [`RelayError::Misused`] when no global request of this end is held, or the verdict is to hold on.
    pub fn release_global(
        &mut self,
        from: Side,
        verdict: GlobalVerdict,
        out: &mut impl Output,
    ) -> Result<(), RelayError> {
        if verdict == GlobalVerdict::Hold {
            return Err(RelayError::Misused("released with the verdict to hold"));
        }
        match self.held[from].take() {
            Some(Held::Global { payload }) => {
                if let Ok(Message::GlobalRequest(request)) = Message::parse(&payload) {
                    self.decide_global(from, &request, verdict, &payload, out);
                }
                Ok(())
            }
            None if self.ended => Ok(()),
            other => {
                self.held[from] = other;
                Err(RelayError::Misused("no GLOBAL_REQUEST of this end is held"))
            }
        }
    }

    /// Sends a global request of our own, such as `hostkeys-00@openssh.com` or a keepalive. Its reply, if it
    /// wants one, comes to [`RelayHost::own_request_reply`] and goes no further.
    ///
    /// # Errors
    /// [`RelayError::Misused`] when too many requests already await a reply of that end, or it is lost.
    pub fn send_global_request(
        &mut self,
        to: Side,
        request: &GlobalRequest<'_>,
        out: &mut impl Output,
    ) -> Result<(), RelayError> {
        if self.target_lost && to == Side::Target {
            return Err(RelayError::Misused("the target is lost"));
        }
        if request.want_reply {
            if self.global[to].is_full(self.limits.max_pending_replies) {
                return Err(RelayError::Misused("too many requests without a reply"));
            }
            self.global[to].push(GlobalPending::Own);
        }
        out.to(to, &Message::GlobalRequest(*request).to_payload());
        Ok(())
    }

    /// Answers every global request that waits for an end, in the place of that end.
    pub(super) fn answer_waiting(&mut self, out: &mut impl Output) {
        for side in Side::BOTH {
            let mut awaited = 0;
            while let Some(pending) = self.global[side].pop() {
                match pending {
                    GlobalPending::Passed(_) => {
                        send_reply(side.other(), &GlobalReply::Failure, out);
                        awaited += 1;
                    }
                    GlobalPending::Ours(reply) => send_reply(side.other(), &reply, out),
                    GlobalPending::Own | GlobalPending::AnsweredForIt => awaited += 1,
                }
            }
            for _ in 0..awaited {
                self.global[side].push(GlobalPending::AnsweredForIt);
            }
        }
    }
}

fn send_reply(asker: Side, reply: &GlobalReply, out: &mut impl Output) {
    let message = match reply {
        GlobalReply::Success(data) => Message::RequestSuccess { data },
        GlobalReply::Failure => Message::RequestFailure,
    };
    out.to(asker, &message.to_payload());
}
