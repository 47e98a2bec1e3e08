//! What is asked for in a channel: programs, terminals, variables, signals.

use bartizan_access::Asked;
use bartizan_model::Permission;
use bartizan_model::event::Body;
use bartizan_ssh::connection::relay::{ChannelKey, RequestVerdict};
use bartizan_ssh::wire::connection::{ChannelRequest, PtyRequest, RequestType};

use super::super::describe;
use super::{Host, ordinal};

impl Host {
    pub(super) fn pty_request(
        &mut self,
        key: ChannelKey,
        pty: &PtyRequest<'_>,
        want_reply: bool,
    ) -> RequestVerdict {
        if let Err(denied) = self.ask().pty() {
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
        let replies = request.want_reply;
        match request.request_type {
            RequestType::Shell => return self.program(key, Asked::Shell, replies),
            RequestType::Exec { command } => return self.program(key, Asked::Exec(command), replies),
            RequestType::Subsystem { name } => return self.program(key, Asked::Subsystem(name), replies),
            // Which of two the target would refuse is not known before it answers.
            RequestType::PtyReq(_) if self.channel(key).is_some_and(|channel| channel.has_pty()) => {
                self.request_event(key, &request.request_type, Some("a channel has one terminal".into()));
                return refuse();
            }
            RequestType::PtyReq(ref pty) => {
                self.request_event(key, &request.request_type, None);
                return self.pty_request(key, pty, replies);
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
                match self.ask().permission(Permission::Agent) {
                    Ok(()) => self.forwards.agent = true,
                    Err(denial) => {
                        self.request_event(key, &request.request_type, Some(denial.reason));
                        return refuse();
                    }
                }
            }
            RequestType::X11Req(_) => match self.ask().permission(Permission::X11) {
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
