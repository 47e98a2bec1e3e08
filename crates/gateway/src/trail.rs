//! Events of one connection or session: the common blocks are filled in once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bartizan_audit::{Log, LogError, Logged, Pending, Urgency};
use bartizan_model::event::{Body, Event, Outcome, Severity};
use bartizan_model::{LoginName, PersonName, SessionId, TargetName, Timestamp};

use crate::counts::Counts;
use crate::live::Vitals;
use crate::parts::Shared;

/// Writes the events of one connection or session.
#[derive(Clone)]
pub(crate) struct Trail {
    log: Log,
    counts: Arc<Counts>,
    template: Event,
    /// Of somebody who may put things right: events are logged also on a full disk.
    urgent: bool,
    /// Whether the session passes by break-glass grants alone, and what passed; shared by all trails of the session.
    vitals: Arc<Vitals>,
}

impl Trail {
    /// Events from `source`, nobody known yet.
    pub(crate) fn new(shared: &Shared, source: Option<SocketAddr>) -> Self {
        // The body is replaced in every event.
        let mut template = Event::new(
            &shared.node,
            Timestamp::now(),
            Body::ConnectionRefuse { reason: String::new(), count: None },
        );
        template.source = source;
        Self {
            log: shared.log.clone(),
            counts: shared.counts.clone(),
            template,
            urgent: false,
            vitals: Arc::default(),
        }
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

    /// The same, in a session that begins. It is urgent once an emergency is declared.
    pub(crate) fn in_session(mut self, session: SessionId) -> Self {
        self.template.session = Some(session);
        self.urgent = false;
        self.vitals = Arc::default();
        self
    }

    /// The same, with events that are logged also on a full disk, if `urgent`.
    pub(crate) const fn urgent(mut self, urgent: bool) -> Self {
        self.urgent = urgent;
        self
    }

    /// The session passes by break-glass grants alone from now on, and its events are logged also on a full disk.
    pub(crate) fn declare_emergency(&self) {
        self.vitals.emergency.store(true, Ordering::Relaxed);
    }

    /// How the session goes, for who looks from elsewhere.
    pub(crate) fn vitals(&self) -> Arc<Vitals> {
        self.vitals.clone()
    }

    /// Whether the session passes by break-glass grants alone.
    pub(crate) fn is_emergency(&self) -> bool {
        self.vitals.emergency.load(Ordering::Relaxed)
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
        self.submit(Outcome::Success, Severity::Info, body)
    }

    /// Queues an event of something refused by policy.
    ///
    /// # Errors
    /// When the log can't be written.
    pub(crate) fn denied(&self, body: Body) -> Result<Pending, LogError> {
        self.submit(Outcome::Denied, Severity::Notice, body)
    }

    /// Queues an event of something that failed.
    ///
    /// # Errors
    /// When the log can't be written.
    pub(crate) fn failed(&self, severity: Severity, body: Body) -> Result<Pending, LogError> {
        self.submit(Outcome::Failure, severity, body)
    }

    /// Queues any event.
    ///
    /// # Errors
    /// When the log can't be written.
    pub(crate) fn submit(
        &self,
        outcome: Outcome,
        severity: Severity,
        body: Body,
    ) -> Result<Pending, LogError> {
        self.log.submit_as(self.event(outcome, severity, body), self.urgency())
    }

    /// Queues an event whose receipt holds nothing up: it may wait a moment for others.
    ///
    /// # Errors
    /// When the log can't be written.
    pub(crate) fn unhurried(
        &self,
        outcome: Outcome,
        severity: Severity,
        body: Body,
    ) -> Result<Pending, LogError> {
        self.log.submit_unhurried(self.event(outcome, severity, body), self.urgency())
    }

    /// Queues the end of something that was begun: it has its room also on a full disk.
    ///
    /// # Errors
    /// When the log can't be written.
    pub(crate) fn closing(
        &self,
        outcome: Outcome,
        severity: Severity,
        body: Body,
    ) -> Result<Pending, LogError> {
        self.log.submit_as(self.event(outcome, severity, body), Urgency::Closing)
    }

    /// Logs an event and, once it is durable, marks `value` with it.
    ///
    /// # Errors
    /// When the log can't be written, or has no room.
    pub(crate) async fn append_for<T>(
        &self,
        severity: Severity,
        body: Body,
        value: T,
    ) -> Result<Logged<T>, LogError> {
        self.log.append_as(self.event(Outcome::Success, severity, body), self.urgency(), value).await
    }

    /// Queues the end of a channel: it has its room also on a full disk, and may wait for the end of the session.
    ///
    /// # Errors
    /// When the log can't be written.
    pub(crate) fn channel_over(&self, body: Body) -> Result<Pending, LogError> {
        let event = self.event(Outcome::Success, Severity::Info, body);
        self.log.submit_unhurried(event, Urgency::Closing)
    }

    fn urgency(&self) -> Urgency {
        if self.urgent || self.is_emergency() { Urgency::Emergency } else { Urgency::Ordinary }
    }
}
