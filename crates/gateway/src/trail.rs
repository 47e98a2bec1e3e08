//! Events of one connection or session: the common blocks are filled in once.

use std::net::SocketAddr;
use std::sync::Arc;

use bartizan_audit::{Log, LogError, Pending};
use bartizan_model::event::{Body, Event, Outcome, Severity};
use bartizan_model::{LoginName, PersonName, SessionId, TargetName, Timestamp};

use crate::counts::Counts;
use crate::parts::Shared;

/// Writes the events of one connection or session.
#[derive(Clone)]
pub(crate) struct Trail {
    log: Log,
    counts: Arc<Counts>,
    template: Event,
}

impl Trail {
    /// Events from `source`, nobody known yet.
    pub(crate) fn new(shared: &Shared, source: Option<SocketAddr>) -> Self {
        // The body is replaced in every event.
        let mut template =
            Event::new(&shared.node, Timestamp::now(), Body::ConnectionRefuse { reason: String::new() });
        template.source = source;
        Self { log: shared.log.clone(), counts: shared.counts.clone(), template }
    }

    /// The same, with the person known and how they proved it.
    pub(crate) fn identified(mut self, person: PersonName, method: String) -> Self {
        self.template.person = Some(person);
        self.template.method = Some(method);
        self
    }

    /// The same, on the way to a login on a target.
    pub(crate) fn towards(mut self, target: TargetName, login: LoginName) -> Self {
        self.template.target = Some(target);
        self.template.login = Some(login);
        self
    }

    /// The same, about a target, and a login where there is one.
    pub(crate) fn at(mut self, target: TargetName, login: Option<LoginName>) -> Self {
        self.template.target = Some(target);
        self.template.login = login;
        self
    }

    /// The same, in a session.
    pub(crate) fn in_session(mut self, session: SessionId) -> Self {
        self.template.session = Some(session);
        self
    }

    /// The log itself.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// An event that `body` becomes here and now, to be logged; it is counted.
    pub(crate) fn event(&self, outcome: Outcome, severity: Severity, body: Body) -> Event {
        let event = Event { time: Timestamp::now(), outcome, severity, body, ..self.template.clone() };
        self.counts.event(&event);
        event
    }

    /// Queues an everyday event; order of calls is order in the log.
    ///
    /// # Errors
    /// When the log can't be written: nothing may go on.
    pub(crate) fn note(&self, body: Body) -> Result<Pending, LogError> {
        self.log.submit(self.event(Outcome::Success, Severity::Info, body))
    }

    /// Queues an event of something refused by policy.
    ///
    /// # Errors
    /// When the log can't be written.
    pub(crate) fn denied(&self, body: Body) -> Result<Pending, LogError> {
        self.log.submit(self.event(Outcome::Denied, Severity::Notice, body))
    }

    /// Queues an event of something that failed.
    ///
    /// # Errors
    /// When the log can't be written.
    pub(crate) fn failed(&self, severity: Severity, body: Body) -> Result<Pending, LogError> {
        self.log.submit(self.event(Outcome::Failure, severity, body))
    }
}
