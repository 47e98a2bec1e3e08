//! Whether a target can be reached, verified and logged in to: the steps of a session up to its first channel, told
//! one by one, and no channel.
//!
//! The same functions as for a session make them, and the same order holds: [`probe`] takes a [`Logged`] test, which
//! exists only once `target.test` is durable, and a credential is shown to a verified host only.

use std::time::Instant;

use bartizan_audit::Logged;
use bartizan_model::api::{TargetTestStep, TestOutcome};
use bartizan_model::event::{Body, Severity};
use bartizan_model::{HostKeyTrust, LoginName, Target, escape};
use bartizan_ssh::transport::{DisconnectReason, Transport};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::host_key::{self, Verified};
use super::{ConnectError, Errand, GOODBYE, HANDSHAKE, LOGIN, describe, dial, handshake, login};
use crate::evidence::fingerprint;
use crate::hop::{Hop, now};
use crate::parts::Shared;
use crate::trail::Trail;

/// A test of a target that an operator asks for. Wrapped in [`Logged`] it is the dialler's ticket.
pub(crate) struct Probe {
    /// Which target.
    pub(crate) target: Target,
    /// Whom to log in as; nobody, if `None`.
    pub(crate) login: Option<LoginName>,
    /// Who asks: `uid N` of the socket's peer.
    pub(crate) by: String,
    /// Where the steps are told.
    pub(crate) steps: mpsc::Sender<TargetTestStep>,
}

/// Logs a test, makes it, and logs how it went. What is dialled is dialled after the log has it.
pub(crate) async fn test(probe: Probe, shared: &Shared) {
    let trail = Trail::new(shared, None).at(probe.target.name.clone(), probe.login.clone()).urgent(true);
    let body = Body::TargetTest { by: probe.by.clone() };
    let mut steps = Steps { tell: probe.steps.clone(), since: Instant::now() };
    let probe = match trail.append_for(Severity::Notice, body, probe).await {
        Ok(probe) => probe,
        Err(error) => {
            let error = ConnectError::Ours { what: "log the test", error: error.to_string() };
            return steps.failed(&error).await;
        }
    };
    let body = match self::probe(&probe, shared, &trail, &mut steps).await {
        Ok(None) => return,
        Ok(Some(connected)) => trail.note(connected),
        Err(error) => {
            steps.failed(&error).await;
            let (severity, body) = error.event();
            trail.failed(severity, body)
        }
    };
    if let Err(error) = body {
        tracing::error!(%error, "how a test of a target went could not be logged");
    }
}

/// Goes the way of a session as far as its login. Gives what `upstream.connect` says of it, where it logged in.
async fn probe(
    probe: &Logged<Probe>,
    shared: &Shared,
    trail: &Trail,
    steps: &mut Steps,
) -> Result<Option<Body>, ConnectError> {
    let Probe { target, login: whom, .. } = probe.as_ref();
    let addresses = dial::resolve(target).await?;
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    steps.passed("resolve", shown.join(", ")).await;
    let stream = dial::connect(addresses).await?;
    let address = stream.peer_addr().map_err(|error| dial::unusable(&error))?;
    steps.passed("connect", address.to_string()).await;

    let wanted = host_key::wanted_algorithms(&target.host_key)?;
    let transport = Transport::client(shared.client_config(wanted), now())
        .map_err(|error| ConnectError::Handshake(error.into()))?;
    let mut hop = Hop::new(transport, stream);
    let shaken = timeout(HANDSHAKE, handshake(&mut hop, target, shared, trail)).await;
    if let Some(server) = hop.transport.peer_identification() {
        let server = escape(server);
        steps.passed("identify", server).await;
    }
    let (identity, verified) =
        shaken.unwrap_or(Err(ConnectError::TimedOut { stage: "handshake", patience: HANDSHAKE }))?;
    let key = identity.key();
    let how = match (verified, &target.host_key) {
        (Verified::Authority, _) => "certified by its host CA",
        (Verified::FirstUse, _) => "first use: pinned from now on",
        // Somebody else used it first, since the target was looked up.
        (Verified::Pinned, HostKeyTrust::FirstUse) => "pinned a moment ago",
        (Verified::Pinned, _) => "pinned",
    };
    steps.passed("host_key", format!("{} {}, {how}", fingerprint(key), key.algorithm())).await;

    let Some(whom) = whom else {
        steps.skipped("no login was named: --login LOGIN").await;
        hop.disconnect(DisconnectReason::ByApplication, "test", GOODBYE).await;
        return Ok(None);
    };
    let errand = Errand { target, login: whom, shown: &identity, key_id: "bartizan test".into() };
    let logged_in = timeout(LOGIN, login(&mut hop, &errand, None, shared, verified)).await;
    match logged_in.unwrap_or(Err(ConnectError::TimedOut { stage: "authenticate", patience: LOGIN })) {
        Ok(credential) => {
            steps.passed("authenticate", format!("as {whom} with {credential}")).await;
            let connected = describe(address, &identity, verified, credential, &hop);
            hop.disconnect(DisconnectReason::ByApplication, "test", GOODBYE).await;
            Ok(Some(connected))
        }
        // Whose agent that is, only a session knows.
        Err(ConnectError::AgentNeeded { .. }) => {
            steps.skipped("this login takes the keys of the person's own agent").await;
            hop.disconnect(DisconnectReason::ByApplication, "test", GOODBYE).await;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Tells the steps, each with its time. Who asked may have gone: the test goes on, and is logged as it went.
struct Steps {
    tell: mpsc::Sender<TargetTestStep>,
    since: Instant,
}

impl Steps {
    async fn passed(&mut self, step: &str, detail: String) {
        self.step(step, TestOutcome::Passed, detail, None).await;
    }

    async fn skipped(&mut self, why: &str) {
        self.step("authenticate", TestOutcome::Skipped, why.to_owned(), None).await;
    }

    async fn failed(&mut self, error: &ConnectError) {
        let detail = escape(error.to_string().as_bytes());
        self.step(error.stage(), TestOutcome::Failed, detail, error.advice()).await;
    }

    async fn step(&mut self, step: &str, outcome: TestOutcome, detail: String, hint: Option<String>) {
        let took_us = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.since = Instant::now();
        // So many as there are steps fit; see `test_target` of the handle.
        let _ =
            self.tell.send(TargetTestStep { step: step.to_owned(), outcome, took_us, detail, hint }).await;
    }
}
