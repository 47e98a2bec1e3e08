//! What is asked for in a channel: programs, terminals, variables, signals.
//!
//! What is permitted is always on record, so there is an end to it in each channel. What nobody knows passes as long as it is
//! short and has its event; two ends in league pass nothing by it that is worth the name.

use bartizan_access::Asked;
use bartizan_model::Permission;
use bartizan_model::event::Body;
use bartizan_ssh::connection::relay::{ChannelKey, RequestVerdict};
use bartizan_ssh::wire::connection::{ChannelRequest, PtyRequest, RequestType};

use super::super::describe;
use super::programs::Program;
use super::{Host, ordinal};

/// Variables of one channel.
const VARIABLES: u32 = 32;
/// Bytes of one variable, name and value together: an event holds it whole.
const VARIABLE_BYTES: usize = 4 * 1024;
/// Other requests of one channel that are permitted.
const OTHERS: u32 = 1000;
/// Bytes of the texts of one other request: terminals, displays, signals.
const REQUEST_BYTES: usize = 4 * 1024;
/// Bytes of a request that nobody knows.
const UNKNOWN_BYTES: usize = 64;
const TOO_LONG: &str = "it is longer than anybody needs";
const UNKNOWN_LONG: &str = "what is not known passes with at most 64 bytes";
/// What PuTTY says of itself, again and again: it carries nothing, and is no news.
const QUIET: [&str; 2] = ["winadj@putty.projects.tartarus.org", "simple@putty.projects.tartarus.org"];

/// What a client asked for in a channel, besides its program, and was permitted.
#[derive(Default)]
pub(super) struct Asks {
    variables: u32,
    others: u32,
}

impl Asks {
    /// Whether another one fits.
    ///
    /// # Errors
    /// Why not.
    fn fits(&self, request: &RequestType<'_>) -> Result<(), &'static str> {
        let length = match request {
            RequestType::Env { .. } if self.variables >= VARIABLES => {
                return Err("a channel has at most 32 variables");
            }
            RequestType::Env { name, value } if name.len() + value.len() > VARIABLE_BYTES => {
                return Err("a variable has at most 4 KiB");
            }
            RequestType::Env { .. } => return Ok(()),
            _ if self.others >= OTHERS => return Err("a channel has at most 1,000 requests"),
            RequestType::Unknown { data, .. } if data.len() > UNKNOWN_BYTES => {
                return Err(UNKNOWN_LONG);
            }
            RequestType::PtyReq(pty) => pty.term.len() + pty.modes.0.len(),
            RequestType::X11Req(x11) => x11.protocol.len() + x11.cookie.0.len(),
            RequestType::Signal { name } => name.len(),
            _ => 0,
        };
        if length > REQUEST_BYTES { Err(TOO_LONG) } else { Ok(()) }
    }

    const fn count(&mut self, request: &RequestType<'_>) {
        match request {
            RequestType::Env { .. } => self.variables += 1,
            // They have the session's budget.
            RequestType::Unknown { .. } => {}
            _ => self.others += 1,
        }
    }
}

impl Host {
    /// Judges a terminal. Whether there is one the target says, which is asked in any case: it may ignore the request, and
    /// what a channel without one is sent must be kept.
    fn pty_request(&mut self, key: ChannelKey, pty: &PtyRequest<'_>) -> Result<RequestVerdict, String> {
        let Some(channel) = self.channel(key) else { return Err("there is no such channel".into()) };
        if channel.kind != "session" {
            return Err("only a session has a terminal".into());
        }
        // Which of two the target would refuse is not known before it answers.
        if channel.has_pty() {
            return Err("a channel has one terminal".into());
        }
        if channel.program != Program::None {
            return Err("a terminal comes before the program".into());
        }
        channel.pty_wanted = Some((pty.term.to_vec(), pty.size.cols, pty.size.rows));
        Ok(RequestVerdict::Confirm)
    }

    pub(super) fn pty_granted(&mut self, key: ChannelKey) {
        let Some(channel) = self.channel(key) else { return };
        if let Some((term, cols, rows)) = channel.pty_wanted.take() {
            channel.pty = true;
            self.recorder.set_pty(ordinal(key), &term, cols, rows, self.now);
        }
    }

    pub(super) fn client_request(&mut self, key: ChannelKey, request: &ChannelRequest<'_>) -> RequestVerdict {
        let replies = request.want_reply;
        match request.request_type {
            RequestType::Shell => return self.program(key, Asked::Shell, replies),
            RequestType::Exec { command } => return self.program(key, Asked::Exec(command), replies),
            RequestType::Subsystem { name } => return self.program(key, Asked::Subsystem(name), replies),
            RequestType::WindowChange(size) => {
                self.recorder.resize(ordinal(key), size.cols, size.rows, self.now);
                return RequestVerdict::Pass;
            }
            RequestType::EndOfWrite | RequestType::Keepalive | RequestType::XonXoff { .. } => {
                return RequestVerdict::Pass;
            }
            RequestType::Unknown { name, data: b"" } if QUIET.contains(&name) => return RequestVerdict::Pass,
            RequestType::PtyReq(_) => {
                if let Err(denied) = self.ask().pty() {
                    self.refused(Body::AccessDeny {
                        action: denied.action,
                        detail: None,
                        reason: denied.reason,
                        rules: denied.rules,
                    });
                    return RequestVerdict::Refuse { text: "".into() };
                }
            }
            _ => {}
        }
        let verdict = self.judged(key, &request.request_type);
        self.logged(key, &request.request_type, verdict)
    }

    /// Judges what starts no program.
    ///
    /// # Errors
    /// Why it is refused.
    fn judged(&mut self, key: ChannelKey, request: &RequestType<'_>) -> Result<RequestVerdict, String> {
        if let Some(channel) = self.channel(key) {
            channel.asks.fits(request)?;
        }
        match *request {
            RequestType::PtyReq(ref pty) => return self.pty_request(key, pty),
            RequestType::Env { name, .. } if !self.judge.accepts_env(name) => {
                return Err("not in accept_env".into());
            }
            RequestType::AuthAgentReq | RequestType::AgentReq => {
                self.ask().permission(Permission::Agent).map_err(|denied| denied.reason)?;
                self.forwards.agent = true;
            }
            RequestType::X11Req(_) => {
                self.ask().permission(Permission::X11).map_err(|denied| denied.reason)?;
                self.forwards.x11 = true;
            }
            // `exit-status` and the like from a client mean nothing to a server; passed on and noted like any other.
            _ => {}
        }
        Ok(RequestVerdict::Pass)
    }

    /// Logs what was judged. What nobody knows passes only with its event.
    fn logged(
        &mut self,
        key: ChannelKey,
        request: &RequestType<'_>,
        verdict: Result<RequestVerdict, String>,
    ) -> RequestVerdict {
        let unknown = matches!(request, RequestType::Unknown { .. });
        match verdict {
            Ok(verdict) if !unknown || self.may_note() => {
                self.permitted_request(key, request);
                if let Some(channel) = self.channel(key) {
                    channel.asks.count(request);
                }
                return verdict;
            }
            Ok(_) => {}
            Err(reason) => self.refused_request(key, request, reason),
        }
        RequestVerdict::Refuse { text: "".into() }
    }

    pub(super) fn target_request(&mut self, key: ChannelKey, request: &ChannelRequest<'_>) -> RequestVerdict {
        let fits = match request.request_type {
            RequestType::ExitStatus { status } => {
                self.exit_status.get_or_insert(status);
                if let Some(channel) = self.channel(key) {
                    channel.exit_status = Some(status);
                }
                return RequestVerdict::Pass;
            }
            RequestType::ExitSignal(ref exit)
                if exit.name.len() + exit.message.len() + exit.language.len() > REQUEST_BYTES =>
            {
                Err(TOO_LONG.into())
            }
            RequestType::ExitSignal(ref exit) => {
                let signal = describe::cut(exit.name);
                if let Some(channel) = self.channel(key) {
                    channel.exit_signal = Some(signal);
                }
                return RequestVerdict::Pass;
            }
            RequestType::EndOfWrite | RequestType::Keepalive | RequestType::XonXoff { .. } => {
                return RequestVerdict::Pass;
            }
            RequestType::Unknown { data, .. } if data.len() > UNKNOWN_BYTES => Err(UNKNOWN_LONG.into()),
            RequestType::Unknown { .. } => Ok(RequestVerdict::Pass),
            _ => Err("no target asks for this".into()),
        };
        self.logged(key, &request.request_type, fits)
    }
}
