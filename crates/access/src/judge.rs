//! May this person do this now.

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;

use bartizan_model::{
    ForwardEnd, Grant, GrantId, LoginName, Permission, PermissionSet, PersonName, Recording, TargetName,
    Timestamp,
};
use cedar_policy::{
    AuthorizationError, Authorizer, Context, Effect, EntityUid, PolicyId, PolicySet, Response,
    RestrictedExpression,
};

use crate::directory::Entry;
use crate::policy::{CONNECT, FORWARD};
use crate::{Authenticated, Directory, FileAccess, Rejected, forwards};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where: the *resolved* target, whatever the way in.
    pub target: &'a TargetName,
    /// As which account.
    pub login: &'a LoginName,
    /// What.
    pub action: Action,
    /// From where the person's own connection comes.
    pub source: IpAddr,
    /// With `forward:local` the destination, with `forward:remote` where the target listens. `None` asks whether the
    /// permission is there for any.
    pub forward: Option<&'a ForwardEnd>,
}

/// What a person wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a session.
    Connect,
    /// Keep a session that was permitted. As `Connect`, but a certificate that has expired meanwhile is no
    /// reason to end it.
    Continue,
    /// Do something that needs a permission, in a session that was permitted.
    Permission(Permission),
}

impl Action {
    /// The action as policies and `access.deny` events name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect | Self::Continue => CONNECT,
            Self::Permission(permission) => permission.as_str(),
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a decision that nobody follows permits everything"]
pub enum Decision {
    /// It is permitted.
    Permit(Permit),
    /// It is not.
    Deny(Denial),
}

impl From<Result<Permit, Denial>> for Decision {
    fn from(answer: Result<Permit, Denial>) -> Self {
        match answer {
            Ok(permit) => Self::Permit(permit),
            Err(denial) => Self::Deny(denial),
        }
    }
}

/// What policy permits, and on what terms. Minted by [`Directory::judge`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    rules: Vec<GrantId>,
    allow: PermissionSet,
    files: Box<FileAccess>,
    pty: bool,
    recording: Recording,
    until: Option<Until>,
    judge_again_at: Option<Timestamp>,
    break_glass: Vec<GrantId>,
}

/// When a permit lapses, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Until {
    /// The moment: a whole second.
    pub at: Timestamp,
    /// The rule that ends then.
    pub rule: GrantId,
}

impl Permit {
    /// The rules that permit what was asked for, by id.
    pub fn rules(&self) -> &[GrantId] {
        &self.rules
    }

    /// All that is permitted to this person on this target, as this login, from this source, at this time.
    pub fn allow(&self) -> &PermissionSet {
        &self.allow
    }

    /// What SFTP may do with which files.
    pub fn files(&self) -> &FileAccess {
        &self.files
    }

    /// Whether a terminal may be asked for. Only a certificate can hold that back.
    pub fn pty(&self) -> bool {
        self.pty
    }

    /// Those of the grants that permit the session which are break-glass ones: ask [`Directory::judge_break_glass`]
    /// what they permit by themselves.
    pub fn break_glass(&self) -> &[GrantId] {
        &self.break_glass
    }

    /// What is recorded: of the grants that permit the session the **union**, so that each of them gets at least
    /// the recording it asks for. A session that only operators' policies permit is recorded as by default.
    pub fn recording(&self) -> Recording {
        self.recording
    }

    /// When the session ends because no rule permits it any more: the latest end of the grants that permit it
    /// now. `None` when one of them has no end.
    pub fn until(&self) -> Option<&Until> {
        self.until.as_ref()
    }

    /// When some of the grants end, or operators' policies may answer otherwise by the time that it is, and with that perhaps
    /// permissions: judge again then. At most [`Self::until`].
    pub fn judge_again_at(&self) -> Option<Timestamp> {
        self.judge_again_at
    }
}

/// Why something is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason.
    pub reason: DenyReason,
    /// The rules that forbid it; empty when no rule permits it.
    pub rules: Vec<GrantId>,
    /// The reason in words that tell more: what was asked for, and what is permitted instead. Holds no control character.
    pub detail: Option<String>,
}

/// The kinds of reasons for a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenyReason {
    /// No rule permits it. This is the answer unless there is a reason for another.
    NoRule,
    /// A rule forbids it.
    Forbidden,
    /// What proved the person does not prove them any more: locked, removed, key or CA withdrawn, expired.
    NotProven(Rejected),
    /// The target is not known.
    UnknownTarget,
    /// No grant permits forwarding to there, or listening there, although some permit it elsewhere.
    Elsewhere,
    /// The certificate lacks the extension that this permission needs.
    HeldBack,
    /// A rule that forbids things could not be evaluated.
    PolicyFailed,
}

impl DenyReason {
    /// The reason as `access.deny` events store it; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRule => "no_rule",
            Self::Forbidden => "forbidden",
            Self::NotProven(rejected) => rejected.as_str(),
            Self::UnknownTarget => "unknown_target",
            Self::Elsewhere => "forwarding_rules",
            Self::HeldBack => "certificate_extension",
            Self::PolicyFailed => "policy_failed",
        }
    }
}

impl fmt::Display for DenyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule => f.write_str("no grant permits it"),
            Self::Forbidden => f.write_str("a policy forbids it"),
            Self::NotProven(rejected) => rejected.fmt(f),
            Self::UnknownTarget => f.write_str("no such target"),
            Self::Elsewhere => f.write_str("no grant permits forwarding there"),
            Self::HeldBack => f.write_str("the certificate does not permit it"),
            Self::PolicyFailed => f.write_str("a policy could not be evaluated"),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => f.write_str(detail)?,
            None => self.reason.fmt(f)?,
        }
        for (i, rule) in self.rules.iter().enumerate() {
            write!(f, "{} {rule}", if i == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl Denial {
    fn because(reason: DenyReason) -> Self {
        Self { reason, rules: Vec::new(), detail: None }
    }
}

impl Directory {
    /// Judges one request: the one policy function, for every session and every channel.
    ///
    /// The person, what proved them, and the target are looked up in this snapshot, so that an answer never
    /// rests on an older one. A permission needs `connect` to be permitted too.
    pub fn judge(&self, who: &Authenticated, request: &Request<'_>, now: Timestamp) -> Decision {
        self.judge_by(who, request, now, Counting::All)
    }

    /// Judges one request by break-glass grants alone: what counts where recordings or the space for them fail.
    /// What forbids, forbids here too; no other grant and no operators' policy permits anything.
    pub fn judge_break_glass(&self, who: &Authenticated, request: &Request<'_>, now: Timestamp) -> Decision {
        self.judge_by(who, request, now, Counting::BreakGlass)
    }

    /// Whether any break-glass grant is for this person, wherever it leads: what they do is logged also when the
    /// disk has no room for what others do.
    pub fn has_break_glass(&self, who: &Authenticated) -> bool {
        self.entry(who.person()).is_some_and(|entry| entry.grants.values().any(|grant| grant.break_glass))
    }

    fn judge_by(
        &self,
        who: &Authenticated,
        request: &Request<'_>,
        now: Timestamp,
        counting: Counting,
    ) -> Decision {
        let proven = self.still_proven(who, request.action == Action::Connect, now);
        let proven = proven.map_err(|why| Denial::because(DenyReason::NotProven(why)));
        proven.and_then(|()| self.permit(who, request, now, counting)).into()
    }

    /// Tells how a request of a person would be judged if they had just proven a plain key: what `access check`
    /// answers. It opens nothing, since a session takes an [`Authenticated`] besides.
    pub fn explain(&self, person: &PersonName, request: &Request<'_>, now: Timestamp) -> Decision {
        let known = self.active(person).map_err(|why| Denial::because(DenyReason::NotProven(why)));
        known.and_then(|_| self.permit(&Authenticated::supposed(person), request, now, Counting::All)).into()
    }

    /// What policy says to somebody who is who they say.
    fn permit(
        &self,
        who: &Authenticated,
        request: &Request<'_>,
        now: Timestamp,
        counting: Counting,
    ) -> Result<Permit, Denial> {
        let unknown = || Denial::because(DenyReason::NotProven(Rejected::UnknownPerson));
        let entry = self.entry(who.person()).ok_or_else(unknown)?;
        if self.target(request.target).is_none() {
            return Err(Denial::because(DenyReason::UnknownTarget));
        }
        let mut question = Question::new(self, entry, who, request, now)
            .map_err(|_| Denial::because(DenyReason::PolicyFailed))?;

        let names = &self.names;
        let connect = counting.of(question.ask(&names.connect)?, entry)?;
        let grants: Vec<&Grant> =
            connect.grants.iter().filter_map(|id| entry.grants.get(id).map(AsRef::as_ref)).collect();
        let may = |p: &Permission| who.may(*p) && question.permits(*p, &grants, counting);
        let allow: PermissionSet = Permission::ALL.into_iter().filter(may).collect();
        let operators = |p| {
            counting == Counting::All && question.ask_operators(names.action(p)).is_ok_and(|r| !r.is_empty())
        };
        let files = FileAccess::of(&grants, operators, |p| allow.contains(p));
        let terms = terms(&grants);
        // How long an operator's policy permits is in its conditions, so it counts as without end.
        let until = terms.until.filter(|_| connect.operators.is_empty());
        let break_glass =
            grants.iter().filter(|grant| grant.break_glass).map(|grant| grant.id.clone()).collect();
        let rules = match request.action {
            Action::Connect | Action::Continue => connect,
            Action::Permission(wanted) => {
                if let Some(end) = request.forward {
                    question.forwards(wanted, end)?;
                }
                let rules = counting.of(question.ask(names.action(wanted))?, entry)?;
                if !who.may(wanted) {
                    return Err(Denial::because(DenyReason::HeldBack));
                }
                match request.forward {
                    Some(end) => rules.covering(wanted, end, entry)?,
                    None => rules,
                }
            }
        };
        Ok(Permit {
            rules: rules.grants.into_iter().chain(rules.operators).collect(),
            allow,
            files: Box::new(files),
            pty: who.may_have_pty(),
            recording: terms.recording,
            until,
            judge_again_at: terms.first_end.into_iter().chain(self.operators.changes_after(now)).min(),
            break_glass,
        })
    }
}

/// Which rules permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    /// All of them.
    All,
    /// Break-glass grants alone.
    BreakGlass,
}

impl Counting {
    /// Those of the rules that permit something which count.
    fn of(self, rules: Rules, entry: &Entry) -> Result<Rules, Denial> {
        if self == Self::All {
            return Ok(rules);
        }
        let flagged = |id: &GrantId| entry.grants.get(id).is_some_and(|grant| grant.break_glass);
        let grants: Vec<GrantId> = rules.grants.into_iter().filter(flagged).collect();
        match grants.is_empty() {
            true => Err(Denial::because(DenyReason::NoRule)),
            false => Ok(Rules { grants, operators: Vec::new() }),
        }
    }
}

/// What the grants that permit a session ask for together.
struct Terms {
    recording: Recording,
    until: Option<Until>,
    first_end: Option<Timestamp>,
}

fn terms(grants: &[&Grant]) -> Terms {
    let end = |grant: &Grant| Some(Timestamp::from_unix_micros(grant.expires?.unix_seconds() * 1_000_000));
    let all = |a: Option<u64>, b: Option<u64>| Some(a?.max(b?));
    let recording = grants.iter().map(|grant| grant.record).reduce(|a, b| Recording {
        channel_cap: all(a.channel_cap, b.channel_cap),
        input: a.input || b.input,
    });
    let ends: Option<Vec<Until>> =
        grants.iter().map(|grant| Some(Until { at: end(grant)?, rule: grant.id.clone() })).collect();
    Terms {
        recording: recording.unwrap_or_default(),
        until: ends.and_then(|ends| ends.into_iter().max_by_key(|until| until.at)),
        first_end: grants.iter().filter_map(|grant| end(grant)).min(),
    }
}

/// One request on its way to Cedar; actions are asked one by one.
struct Question<'a> {
    directory: &'a Directory,
    entry: &'a Entry,
    authorizer: Authorizer,
    principal: EntityUid,
    resource: EntityUid,
    facts: Vec<(String, RestrictedExpression)>,
    context: Context,
}

/// An address in Cedar's terms. Making one costs as much as a decision, since Cedar parses the name of its own type each time;
/// one connection asks about the same address again and again, so each thread keeps the last.
fn ip(address: IpAddr) -> RestrictedExpression {
    thread_local! {
        static LAST: RefCell<Option<(IpAddr, RestrictedExpression)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        Some((known, expression)) if *known == address => expression.clone(),
        _ => {
            let expression = RestrictedExpression::new_ip(address.to_string());
            *last = Some((address, expression.clone()));
            expression
        }
    })
}

impl<'a> Question<'a> {
    fn new(
        directory: &'a Directory,
        entry: &'a Entry,
        who: &Authenticated,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Result<Self, String> {
        let seconds = i64::try_from(now.unix_seconds()).map_err(|e| e.to_string())?;
        let facts = [
            ("login", RestrictedExpression::new_string(request.login.as_str().to_owned())),
            ("source", ip(request.source.to_canonical())),
            ("now", RestrictedExpression::new_long(seconds)),
            ("method", RestrictedExpression::new_string(who.method().to_owned())),
        ];
        let facts: Vec<_> = facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect();
        let context = Context::from_pairs(facts.clone());
        Ok(Self {
            directory,
            entry,
            authorizer: Authorizer::new(),
            principal: directory.names.person(who.person()),
            resource: directory.names.target(request.target),
            facts,
            context: context.map_err(|e| e.to_string())?,
        })
    }

    /// From now on it is about this forwarding, which policies can look at.
    ///
    /// # Errors
    /// Where some do, and programs read the end differently: nobody could say what it is that they look at.
    fn forwards(&mut self, permission: Permission, end: &ForwardEnd) -> Result<(), Denial> {
        if let Some(why) = end.unclear().filter(|_| self.directory.operators.look_at_forwards()) {
            return Err(forwards::unclear(permission, end, why));
        }
        let failed = || Denial::because(DenyReason::PolicyFailed);
        let fact = (FORWARD.to_owned(), forwards::fact(end).ok_or_else(failed)?);
        let facts = self.facts.iter().cloned().chain([fact]);
        self.context = Context::from_pairs(facts).map_err(|_| failed())?;
        Ok(())
    }

    /// Whether a permission is permitted, given the grants that permit the session.
    ///
    /// A grant's conditions are the same for all its actions, so those grants permit what they list and no
    /// other grant permits anything: the answer is that of [`Self::ask`] (a property of the tests) without
    /// asking Cedar about every grant again for every permission.
    fn permits(&self, permission: Permission, grants: &[&Grant], counting: Counting) -> bool {
        let granted = grants.iter().any(|grant| grant.allow.contains(permission));
        let operators = self.ask_operators(self.directory.names.action(permission));
        operators.is_ok_and(|rules| granted || (counting == Counting::All && !rules.is_empty()))
    }

    /// Asks whether an action is permitted, and by which rules.
    ///
    /// The person's grants and the operators' policies are two sets, judged one after the other so that grants
    /// of a thousand people need no thousand copies of the policies. The answer is the same as of one set:
    /// permitted when either permits and neither forbids. Grants never forbid.
    fn ask(&self, action: &EntityUid) -> Result<Rules, Denial> {
        let operators = self.ask_operators(action)?;
        let grants = reasons(&self.answer(action, &self.entry.policies)?);
        if grants.is_empty() && operators.is_empty() {
            return Err(Denial::because(DenyReason::NoRule));
        }
        Ok(Rules { grants, operators })
    }

    /// The operators' policies that permit.
    fn ask_operators(&self, action: &EntityUid) -> Result<Vec<GrantId>, Denial> {
        let policies = &self.directory.operators;
        let Some(concerned) = policies.concerning(action) else { return Ok(Vec::new()) };
        let response = self.answer(action, concerned)?;
        let reasons = reasons(&response);
        // A denial with reasons is a denial by `forbid`; without, no policy applies.
        if response.decision() == cedar_policy::Decision::Deny && !reasons.is_empty() {
            return Err(Denial { reason: DenyReason::Forbidden, rules: reasons, detail: None });
        }
        // Cedar skips a policy that fails. A permit that fails permits nothing; a forbid that fails may have
        // been meant for this very request.
        let failed =
            response.diagnostics().errors().map(|AuthorizationError::PolicyEvaluationError(e)| e.policy_id());
        let rules: Vec<GrantId> =
            failed.filter(|id| policies.effect(id) == Some(Effect::Forbid)).map(rule).collect();
        match rules.is_empty() {
            true => Ok(reasons),
            false => Err(Denial { reason: DenyReason::PolicyFailed, rules, detail: None }),
        }
    }

    fn answer(&self, action: &EntityUid, policies: &PolicySet) -> Result<Response, Denial> {
        let (principal, resource) = (self.principal.clone(), self.resource.clone());
        let request =
            cedar_policy::Request::new(principal, action.clone(), resource, self.context.clone(), None);
        let request = request.map_err(|_| Denial::because(DenyReason::PolicyFailed))?;
        Ok(self.authorizer.is_authorized(&request, policies, &self.directory.entities))
    }
}

/// The rules that permit something.
struct Rules {
    grants: Vec<GrantId>,
    operators: Vec<GrantId>,
}

impl Rules {
    /// Those of them that permit a forwarding to this end, or to listen there.
    fn covering(self, permission: Permission, end: &ForwardEnd, entry: &Entry) -> Result<Self, Denial> {
        let Self { grants, operators } = self;
        let grants = grants.iter().filter_map(|id| entry.grants.get(id).map(AsRef::as_ref)).collect();
        match forwards::covering(grants, permission, end) {
            Err(denial) if operators.is_empty() => Err(denial),
            covering => Ok(Self { grants: covering.unwrap_or_default(), operators }),
        }
    }
}

/// The policies that determine an answer, in order of their ids.
fn reasons(response: &Response) -> Vec<GrantId> {
    let mut rules: Vec<GrantId> = response.diagnostics().reason().map(rule).collect();
    rules.sort_unstable();
    rules
}

fn rule(id: &PolicyId) -> GrantId {
    let id: &str = id.as_ref();
    GrantId(id.to_owned())
}
