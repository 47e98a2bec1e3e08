//! Policy as one session asks it, on the directory as it is at that moment.

use std::sync::Arc;
use std::time::Duration;

use bartizan_access::{
    Action, Asked, Decision, DenyReason, Directory, FileDenial, Needs, Permit, Request, classify, not_plain,
    program,
};
use bartizan_model::event::Body;
use bartizan_model::{ForwardEnd, GrantId, Permission, PermissionSet, Timestamp};

use crate::emergency;
use crate::grant::Grant;
use crate::parts::Shared;
use crate::trail::Trail;

/// How long a change of the wall clock may go unnoticed.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// The name of a request that starts a program (RFC 4254 §6.5).
pub(super) const fn name_of(asked: Asked<'_>) -> &'static str {
    match asked {
        Asked::Shell => "shell",
        Asked::Exec(_) => "exec",
        Asked::Subsystem(_) => "subsystem",
    }
}

/// The command or the subsystem's name.
pub(super) const fn text_of(asked: Asked<'_>) -> &[u8] {
    match asked {
        Asked::Shell => b"",
        Asked::Exec(text) | Asked::Subsystem(text) => text,
    }
}

/// Why something was refused.
#[derive(Debug)]
pub(super) struct Denied {
    /// What was asked for: `connect`, or permissions.
    pub(super) action: String,
    /// Why, in words for the person.
    pub(super) reason: String,
    /// The rules that forbid it.
    pub(super) rules: Vec<GrantId>,
}

impl Denied {
    /// The event of a session that policy permits no longer.
    pub(super) fn event(&self) -> Body {
        let Self { action, reason, rules } = self;
        let (action, reason, rules) = (action.clone(), reason.clone(), rules.clone());
        Body::AccessDeny { action, detail: None, reason, rules }
    }
}

/// Asks policy for one session.
#[derive(Clone)]
pub(super) struct Judge {
    shared: Arc<Shared>,
    grant: Grant,
    /// Tells whether the session is an emergency.
    trail: Trail,
}

impl Judge {
    pub(super) const fn new(shared: Arc<Shared>, grant: Grant, trail: Trail) -> Self {
        Self { shared, grant, trail }
    }

    /// Whether the session may still be, and so open another channel.
    pub(super) fn connect(&self) -> Result<(), Denied> {
        self.ask(Action::Continue).map(drop)
    }

    /// Whether the person has a permission here and now.
    pub(super) fn permission(&self, permission: Permission) -> Result<(), Denied> {
        self.ask(Action::Permission(permission)).map(drop)
    }

    /// Whether the person may forward to this destination, or have the target listen there, here and now.
    pub(super) fn forward(&self, permission: Permission, end: &ForwardEnd) -> Result<(), Denied> {
        self.ask_of(Action::Permission(permission), Some(end)).map(drop)
    }

    /// Whether a terminal may be asked for.
    pub(super) fn pty(&self) -> Result<(), Denied> {
        match self.ask(Action::Continue)? {
            permit if permit.pty() => Ok(()),
            _ => Err(self.denied("pty", "the certificate does not permit a terminal".into())),
        }
    }

    /// Whether a program may run: one of the ways in which it can be permitted is enough.
    pub(super) fn program(&self, asked: Asked<'_>, pty: bool) -> Result<(), Denied> {
        let needs = classify(asked, pty);
        let permit = self.ask(Action::Continue)?;
        if needs.met_by(permit.allow()) {
            return Self::paths(asked, &permit);
        }
        let mut denied = self.without(&needs);
        // Who may run this program, and not with this line, is told what is wrong with the line.
        if let Some((_, why)) = not_plain(asked, pty).filter(|(narrow, _)| permit.allow().contains(*narrow)) {
            denied.reason = format!("{}; {why}", denied.reason);
        }
        Err(denied)
    }

    /// Why nothing that would do is permitted. What policy says of one of them (a rule forbids it, a certificate holds it
    /// back) tells more than that no grant permits it.
    fn without(&self, needs: &Needs) -> Denied {
        let said =
            needs.alternatives().iter().flat_map(PermissionSet::iter).find_map(|permission| {
                match self.decide(Action::Permission(permission), None) {
                    Decision::Deny(denial) if denial.reason != DenyReason::NoRule => Some(denial),
                    _ => None,
                }
            });
        let Grant { login, target, .. } = &self.grant;
        let what = format!("{needs} for {login} on {}", target.name);
        let (reason, rules) = match said {
            None => (format!("no grant permits {what}"), Vec::new()),
            Some(denial) if denial.reason == DenyReason::Forbidden => {
                (format!("a policy forbids {what}"), denial.rules)
            }
            Some(denial) => (format!("{}: {what}", denial.reason), denial.rules),
        };
        Denied { action: needs.to_string(), reason, rules }
    }

    /// Whether a program may have the paths that it names, where it alone is permitted: `exec` permits every command.
    fn paths(asked: Asked<'_>, permit: &Permit) -> Result<(), Denied> {
        let Some(program) = program(asked) else { return Ok(()) };
        if permit.allow().contains(Permission::Exec) {
            return Ok(());
        }
        permit.files().judge_program(&program).map_err(|FileDenial { reason, rules }| Denied {
            action: program.permission().as_str().to_owned(),
            reason,
            rules,
        })
    }

    fn denied(&self, action: &str, reason: String) -> Denied {
        Denied { action: action.to_owned(), reason, rules: Vec::new() }
    }

    /// Waits until policy no longer permits the session: after each change of the directory, and when a grant ends.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(super) async fn revoked(&self) -> Denied {
        let mut directory = self.shared.directory.clone();
        loop {
            let again = match self.ask(Action::Continue) {
                Ok(permit) => permit.judge_again_at(),
                Err(denied) => return denied,
            };
            tokio::select! {
                // Without a publisher the server is stopping, which ends the session by itself.
                changed = directory.changed() => if changed.is_err() { std::future::pending::<()>().await },
                () = sleep_until_wall(again) => {}
            }
        }
    }

    /// Whether a client may set this environment variable.
    pub(super) fn accepts_env(&self, name: &[u8]) -> bool {
        self.shared.settings().accepts_env(name)
    }

    /// Whether break-glass grants alone count.
    pub(super) fn is_emergency(&self) -> bool {
        self.trail.is_emergency()
    }

    /// The directory as it is at this moment.
    pub(super) fn directory(&self) -> Arc<Directory> {
        self.shared.directory()
    }

    /// The break-glass grants by which the session may go on when it cannot be recorded any more; none, if it may not.
    pub(super) fn break_glass(&self) -> Option<Vec<GrantId>> {
        let permit = self.ask(Action::Continue).ok()?;
        let (directory, request) = (self.shared.directory(), emergency::request(&self.grant));
        emergency::pass(&directory, &self.grant.who, &request, &permit).map(|permit| permit.rules().to_vec())
    }

    fn decide(&self, action: Action, forward: Option<&ForwardEnd>) -> Decision {
        let Grant { who, login, target, source, .. } = &self.grant;
        let request = Request { target: &target.name, login, action, source: source.ip(), forward };
        let (directory, now) = (self.shared.directory(), Timestamp::now());
        match self.trail.is_emergency() {
            false => directory.judge(who, &request, now),
            true => directory.judge_break_glass(who, &request, now),
        }
    }

    pub(super) fn ask(&self, action: Action) -> Result<Permit, Denied> {
        self.ask_of(action, None)
    }

    fn ask_of(&self, action: Action, forward: Option<&ForwardEnd>) -> Result<Permit, Denied> {
        let Grant { login, target, .. } = &self.grant;
        match self.decide(action, forward) {
            Decision::Permit(permit) => Ok(permit),
            Decision::Deny(denial) => {
                let reason = match (denial.reason, action) {
                    _ if let Some(detail) = denial.detail => detail,
                    (DenyReason::NoRule, Action::Permission(permission)) => {
                        format!("no grant permits {permission} for {login} on {}", target.name)
                    }
                    (reason, _) => reason.to_string(),
                };
                Err(Denied { action: action.as_str().to_owned(), reason, rules: denial.rules })
            }
        }
    }
}

/// Sleeps until the wall clock shows `when`, in short naps since that clock can jump; forever if `None`.
async fn sleep_until_wall(when: Option<Timestamp>) {
    let Some(when) = when else { return std::future::pending().await };
    loop {
        let left = when.unix_micros().saturating_sub(Timestamp::now().unix_micros());
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_micros(left).min(LONGEST_NAP)).await;
    }
}
