//! The program of a channel: one, from when it is asked for until the target says that it failed.
//!
//! Replies carry no number, and RFC 4254 §6.5 lets one program of a channel succeed. So another one is refused while one runs
//! or may yet: what a failure takes away, the gate of its files and its decoder, is always that of the program that failed.

use bartizan_access::Asked;
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_ssh::connection::relay::{ChannelKey, RequestVerdict};
use bartizan_ssh::wire::connection::RequestKind;

use super::super::describe;
use super::super::judge::{name_of, text_of};
use super::{Held, HeldMessage, Host, UNLOGGED, ordinal};

/// How far the program of a channel is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Program {
    /// None was passed on, or it failed.
    #[default]
    None,
    /// Passed on, or about to be; the target has to answer.
    Asked,
    /// It runs, or nobody will say whether.
    Runs,
}

impl Host {
    /// Judges a program; a permitted one waits until its event is durable.
    pub(super) fn program(&mut self, key: ChannelKey, asked: Asked<'_>, replies: bool) -> RequestVerdict {
        if self.channel(key).is_some_and(|channel| channel.program != Program::None) {
            if self.may_note() {
                self.program_refused(
                    asked,
                    "a channel runs one program, and another one was asked for before",
                );
            }
            // Nothing of ours comes between what the other one says.
            return RequestVerdict::Refuse { text: "".into() };
        }
        let pty = self.channel(key).is_some_and(|channel| channel.has_pty());
        if let Err(denial) = self.ask().program(asked, pty) {
            self.denied(Body::AccessDeny {
                action: denial.action,
                detail: Some(describe::cut(text_of(asked))),
                reason: denial.reason.clone(),
                rules: denial.rules,
            });
            return RequestVerdict::Refuse { text: format!("bartizan: {}\n", denial.reason).into() };
        }
        if let Err(reason) = self.gates.starts(key, asked, pty, &self.judge) {
            self.program_refused(asked, reason);
            return RequestVerdict::Refuse { text: format!("bartizan: {reason}\n").into() };
        }
        self.permitted(key, asked, pty, replies)
    }

    /// Logs a program that may start, and holds it until that is durable.
    fn permitted(&mut self, key: ChannelKey, asked: Asked<'_>, pty: bool, replies: bool) -> RequestVerdict {
        let text = text_of(asked);
        let is_cut = text.len() > describe::TEXT_BYTES;
        let body = Body::Command {
            channel: ordinal(key),
            request: name_of(asked).to_owned(),
            command: describe::cut(text),
            length: text.len() as u64,
            sha256: is_cut.then(|| self.recorder.command(ordinal(key), text, self.now)),
            pty,
        };
        match self.submit(Outcome::Success, Severity::Info, body) {
            Some(receipt) => {
                self.observers.starts(key, ordinal(key), asked, pty);
                self.observed();
                if let Some(channel) = self.channel(key) {
                    channel.program = if replies { Program::Asked } else { Program::Runs };
                }
                self.held = Some(Held { message: HeldMessage::Request(key, kind_of(asked)), receipt });
                RequestVerdict::Hold
            }
            None => RequestVerdict::Refuse { text: format!("{UNLOGGED}\n").into() },
        }
    }

    fn program_refused(&mut self, asked: Asked<'_>, reason: &str) {
        let action = name_of(asked).to_owned();
        let (detail, rules) = (Some(describe::cut(text_of(asked))), Vec::new());
        self.denied(Body::AccessDeny { action, detail, reason: reason.to_owned(), rules });
    }

    /// The target has answered the program that was asked for.
    pub(super) fn program_answered(&mut self, key: ChannelKey, request: RequestKind, ok: bool) {
        if !ok {
            self.gates.ends(key);
            self.observers.failed(key);
        }
        let Some(channel) = self.channel(key) else { return };
        channel.program = if ok { Program::Runs } else { Program::None };
        if ok && request == RequestKind::Shell && channel.pty {
            self.greet.push(key);
        }
    }
}

const fn kind_of(asked: Asked<'_>) -> RequestKind {
    match asked {
        Asked::Shell => RequestKind::Shell,
        Asked::Exec(_) => RequestKind::Exec,
        Asked::Subsystem(_) => RequestKind::Subsystem,
    }
}
