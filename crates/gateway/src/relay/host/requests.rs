//! What is asked for in a channel: programs, terminals, variables, signals.

use bartizan_access::Asked;
use bartizan_model::Permission;
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_ssh::connection::relay::{ChannelKey, RequestVerdict};
use bartizan_ssh::wire::connection::{ChannelRequest, PtyRequest, RequestType};

use super::super::describe;
use super::super::judge::{name_of, text_of};
use super::{Held, HeldMessage, Host, ordinal};

impl Host {
    /// Judges a program; a permitted one waits until its event is durable.
    pub(super) fn program(&mut self, key: ChannelKey, asked: Asked<'_>) -> RequestVerdict {
        let pty = self.channel(key).is_some_and(|channel| channel.pty || channel.pty_wanted.is_some());
        let alone = !pty && self.channel(key).is_some_and(|channel| !channel.started);
        if let Err(denial) = self.judge.program(asked, pty) {
            self.denied(Body::AccessDeny {
                action: denial.action,
                detail: Some(describe::cut(text_of(asked))),
                reason: denial.reason.clone(),
                rules: denial.rules,
            });
            return RequestVerdict::Refuse { text: format!("bartizan: {}\n", denial.reason).into() };
        }
        if let Err(reason) = self.gates.starts(key, asked, alone, &self.judge) {
            let action = name_of(asked).to_owned();
            let (detail, rules) = (Some(describe::cut(text_of(asked))), Vec::new());
            self.denied(Body::AccessDeny { action, detail, reason: reason.to_owned(), rules });
            return RequestVerdict::Refuse { text: format!("bartizan: {reason}\n").into() };
        }
        let body = Body::Command {
            channel: ordinal(key),
            request: name_of(asked).to_owned(),
            command: describe::cut(text_of(asked)),
            length: text_of(asked).len() as u64,
            pty,
        };
        match self.submit(Outcome::Success, Severity::Info, body) {
            Some(receipt) => {
                self.observers.starts(key, ordinal(key), asked, pty);
                if let Some(channel) = self.channel(key) {
                    channel.started = true;
                }
                self.held = Some(Held { message: HeldMessage::Request, receipt });
                RequestVerdict::Hold
            }
            None => RequestVerdict::Refuse { text: "bartizan: the audit log cannot be written\n".into() },
        }
    }

    pub(super) fn pty_request(
        &mut self,
        key: ChannelKey,
        pty: &PtyRequest<'_>,
        want_reply: bool,
    ) -> RequestVerdict {
        if let Err(denied) = self.judge.pty() {
            self.refused(Body::AccessDeny {
                action: denied.action,
                detail: None,
                reason: denied.reason,
                rules: denied.rules,
            });
            return RequestVerdict::Refuse { text: "".into() };
        }
        let (term, cols, rows) = (pty.term.to_vec(), pty.size.cols, pty.size.rows);
        if let Some(channel) = self.channel(key) {
            channel.pty_wanted = Some((term, cols, rows));
        }
        if !want_reply {
            self.pty_granted(key);
        }
        RequestVerdict::Pass
    }

    pub(super) fn pty_granted(&mut self, key: ChannelKey) {
        let Some(channel) = self.channel(key) else { return };
        if let Some((term, cols, rows)) = channel.pty_wanted.take() {
            channel.pty = true;
            self.recorder.set_pty(ordinal(key), &term, cols, rows, self.now);
        }
    }

    pub(super) fn client_request(&mut self, key: ChannelKey, request: &ChannelRequest<'_>) -> RequestVerdict {
        let refuse = || RequestVerdict::Refuse { text: "".into() };
        match request.request_type {
            RequestType::Shell => return self.program(key, Asked::Shell),
            RequestType::Exec { command } => return self.program(key, Asked::Exec(command)),
            RequestType::Subsystem { name } => return self.program(key, Asked::Subsystem(name)),
            RequestType::PtyReq(ref pty) => {
                self.request_event(key, &request.request_type, None);
                return self.pty_request(key, pty, request.want_reply);
            }
            RequestType::WindowChange(size) => {
                self.recorder.resize(ordinal(key), size.cols, size.rows, self.now);
                return RequestVerdict::Pass;
            }
            RequestType::Env { name, .. } if !self.judge.accepts_env(name) => {
                self.request_event(key, &request.request_type, Some("not in accept_env".into()));
                return refuse();
            }
            RequestType::AuthAgentReq | RequestType::AgentReq => {
                match self.judge.permission(Permission::Agent) {
                    Ok(()) => self.forwards.agent = true,
                    Err(denial) => {
                        self.request_event(key, &request.request_type, Some(denial.reason));
                        return refuse();
                    }
                }
            }
            RequestType::X11Req(_) => match self.judge.permission(Permission::X11) {
                Ok(()) => self.forwards.x11 = true,
                Err(denial) => {
                    self.request_event(key, &request.request_type, Some(denial.reason));
                    return refuse();
                }
            },
            RequestType::EndOfWrite | RequestType::Keepalive | RequestType::XonXoff { .. } => {
                return RequestVerdict::Pass;
            }
            // `exit-status` and the like from a client mean nothing to a server; passed on and noted like any other.
            _ => {}
        }
        self.request_event(key, &request.request_type, None);
        RequestVerdict::Pass
    }

    pub(super) fn target_request(&mut self, key: ChannelKey, request: &ChannelRequest<'_>) -> RequestVerdict {
        match request.request_type {
            RequestType::ExitStatus { status } => {
                self.exit_status.get_or_insert(status);
                if let Some(channel) = self.channel(key) {
                    channel.exit_status = Some(status);
                }
            }
            RequestType::ExitSignal(ref exit) => {
                let signal = describe::cut(exit.name);
                if let Some(channel) = self.channel(key) {
                    channel.exit_signal = Some(signal);
                }
            }
            RequestType::EndOfWrite | RequestType::Keepalive | RequestType::XonXoff { .. } => {}
            _ => self.request_event(key, &request.request_type, None),
        }
        RequestVerdict::Pass
    }
}
