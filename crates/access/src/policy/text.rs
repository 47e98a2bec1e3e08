//! Operators' own policies, written in Cedar.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr as _;

use bartizan_model::{Permission, Timestamp, escape};
use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, ValidationMode, Validator,
};
use miette::Diagnostic;

use super::times::Times;
use super::{CONNECT, FORWARD, schema};

/// Operators' own policies, checked against the schema. None by default.
///
/// A policy's id is the file's name and its `@id` annotation (`base.cedar:no-root`), or its number in the file
/// (`base.cedar:policy0`); events name it as the rule. Grants and these policies are judged together: any of them may permit, and one `forbid` wins.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    all: PolicySet,
    /// For each action the policies whose scope it is in, so that judging it touches no others.
    by_action: HashMap<String, PolicySet>,
    times: Times,
    /// Some look at what is forwarded.
    forwards: bool,
}

/// One fault of a policy text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The file's name.
    pub file: String,
    /// The line, from 1; `None` when the fault is of the file as a whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// Every fault found; nothing of these texts may be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct PolicyErrors(pub Vec<PolicyError>);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Policies {
    /// Reads policy texts, each with its file's name, and checks them as a whole.
    ///
    /// # Errors
    /// Every fault with its file and line: what does not parse, what names something that the schema does not
    /// have, templates (nothing links them), two policies with one id.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyErrors> {
        let mut all = PolicySet::new();
        let mut errors = Vec::new();
        for (file, text) in files {
            match read(file, text) {
                Ok(policies) => {
                    for policy in policies {
                        let id = policy.id().to_string();
                        if all.add(policy).is_err() {
                            errors.push(fault(file, None, format!("a second policy with the id {id}")));
                        }
                    }
                }
                Err(mut faults) => errors.append(&mut faults),
            }
        }
        if !errors.is_empty() {
            return Err(PolicyErrors(errors));
        }
        let actions = Permission::ALL.map(Permission::as_str).into_iter().chain([CONNECT]);
        let by_action = actions.map(|action| (action.to_owned(), concerning(&all, action))).collect();
        let times = Times::of(&all);
        let forwards = all.policies().any(looks_at_forwards);
        Ok(Self { all, by_action, times, forwards })
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The policies that can say anything about an action.
    pub(crate) fn concerning(&self, action: &EntityUid) -> Option<&PolicySet> {
        self.by_action.get(action.id().unescaped()).filter(|set| !set.is_empty())
    }

    /// When these policies may next answer otherwise although nothing is changed.
    pub(crate) fn changes_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.times.after(now)
    }

    /// True when some policy looks at what is forwarded.
    pub(crate) const fn look_at_forwards(&self) -> bool {
        self.forwards
    }

    pub(crate) fn effect(&self, id: &PolicyId) -> Option<Effect> {
        self.all.policy(id).map(Policy::effect)
    }
}

/// The policies whose scope an action is in. Our actions are in no groups, so that is what the scope lists.
fn concerning(all: &PolicySet, action: &str) -> PolicySet {
    let is = |listed: &EntityUid| listed.id().unescaped() == action;
    let named = all.policies().filter(|policy| match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(listed) => is(&listed),
        ActionConstraint::In(listed) => listed.iter().any(is),
    });
    // Ids are unique in `all`, so none is refused.
    PolicySet::from_policies(named.cloned()).unwrap_or_else(|_| all.clone())
}

/// Whether a policy names the fact that is what is forwarded; one too many may, such as by a text that is the same.
fn looks_at_forwards(policy: &Policy) -> bool {
    policy.to_json().is_ok_and(|policy| policy.to_string().contains(&format!("\"{FORWARD}\"")))
}

/// Reads one text into policies under their final ids.
fn read(file: &str, text: &str) -> Result<Vec<Policy>, Vec<PolicyError>> {
    let set = PolicySet::from_str(text).map_err(|errors| {
        let faults = errors.iter().map(|error| fault(file, line(text, error), error.to_string()));
        faults.collect::<Vec<_>>()
    })?;
    if set.num_of_templates() > 0 {
        return Err(vec![fault(
            file,
            None,
            "holds a template (?principal or ?resource), which nothing links",
        )]);
    }
    let validator = Validator::new(schema().map_err(|e| vec![fault(file, None, e)])?);
    let checked = validator.validate(&set, ValidationMode::Strict);
    let errors = checked.validation_errors().map(|error| fault(file, line(text, error), error.to_string()));
    // A warning is a policy that can never apply, or letters that look like others: a `forbid` with such a
    // slip would forbid nothing.
    let warnings =
        checked.validation_warnings().map(|error| fault(file, line(text, error), error.to_string()));
    let faults: Vec<_> = errors.chain(warnings).collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let id = |policy: &Policy| match policy.annotation("id") {
        Some(id) => format!("{file}:{}", escape(id.as_bytes())),
        None => format!("{file}:{}", policy.id()),
    };
    Ok(set.policies().map(|policy| policy.new_id(PolicyId::new(id(policy)))).collect())
}

fn fault(file: &str, line: Option<usize>, message: impl Into<String>) -> PolicyError {
    PolicyError { file: file.into(), line, message: message.into() }
}

/// The line of an error's first label.
fn line(text: &str, error: &dyn Diagnostic) -> Option<usize> {
    let offset = error.labels()?.next()?.offset();
    Some(text.get(..offset)?.matches('\n').count() + 1)
}
