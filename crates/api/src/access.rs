//! `/v1/access/check`: what the policy would answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use bartizan_access::{Action, Decision, Directory, FilePath, FileSize, FileUse, Permit, Policies, Request};
use bartizan_model::api::{AccessAnswer, AccessQuestion};
use bartizan_model::{
    DirectoryData, FileRules, ForwardEnd, GrantId, Permission, PermissionSet, PersonName, Timestamp,
};
use bartizan_store::DirectoryStore as _;

use crate::LOOPBACK;
use crate::error::{ApiError, Result};
use crate::people::known_person;
use crate::state::ApiState;
use crate::targets::known_target;

pub(crate) async fn check(
    State(state): State<Arc<ApiState>>,
    body: std::result::Result<Json<AccessQuestion>, JsonRejection>,
) -> Result<Json<AccessAnswer>> {
    let Json(question) = body?;
    let data = state.parts.store.snapshot().await?;
    known_person(&data, &question.person)?;
    known_target(&data, &question.target)?;
    let policies = state.parts.policies.borrow().clone();
    answer(&data, &policies, &question, Timestamp::now()).map(Json)
}

/// Answers as if the person had just proven a key: the policy is asked, not their means of login.
fn answer(
    data: &DirectoryData,
    policies: &Policies,
    question: &AccessQuestion,
    now: Timestamp,
) -> Result<AccessAnswer> {
    let AccessQuestion { person, login, target, action, source, file, to } = question;
    let action = action_of(action)?;
    let file = file.as_deref().map(|path| Ok::<_, ApiError>((path, Use::of(action)?))).transpose()?;
    let end = to.as_deref().map(|to| forward_end(to, action)).transpose()?;
    let directory = Directory::build(data, policies.clone())
        .map_err(|e| ApiError::unavailable(format!("the directory cannot be judged: {e}")))?;
    let request =
        Request { target, login, action, source: source.unwrap_or(LOOPBACK), forward: end.as_ref() };
    Ok(match directory.explain(person, &request, now) {
        Decision::Permit(permit) if let Some((path, Use::Sftp(what))) = file => {
            for_file(person, &permit, path, what)
        }
        Decision::Permit(permit) if let Some((path, Use::Program(permission))) = file => {
            for_program(person, &permit, path, permission)
        }
        Decision::Permit(permit) if !is_in_force(action) => {
            let reason = format!(
                "{} is granted, and not in force yet: nothing in this version asks for it",
                doing(action)
            );
            denied(&reason, permit.rules().to_vec())
        }
        Decision::Permit(permit) => {
            let until = permit.until().map_or(String::new(), |until| format!(", until {}", until.at));
            let forward = end.as_ref().map_or(String::new(), |end| match action {
                Action::Permission(Permission::ForwardRemote) => format!(" on {end}"),
                _ => format!(" to {end}"),
            });
            let reason = format!("{person} may {}{forward} as {login} on {target}{until}", doing(action));
            AccessAnswer { permitted: true, rules: permit.rules().to_vec(), reason }
        }
        Decision::Deny(denial) => match denial.detail {
            Some(detail) => denied(&detail, denial.rules),
            None => denied(&denial.reason, denial.rules),
        },
    })
}

/// What SFTP would be answered for one file.
fn for_file(person: &PersonName, permit: &Permit, path: &str, what: FileUse) -> AccessAnswer {
    let (files, path) = (permit.files(), FilePath::new(path.as_bytes(), None));
    match files.judge(what, &path) {
        Ok(size) => {
            let doing = if what == FileUse::Write { "write" } else { "read" };
            let size = match size {
                FileSize::Any => String::new(),
                FileSize::UpTo(bytes) => format!(", up to {}", FileRules::size_text(bytes)),
            };
            let rules = files.rules(what, &path);
            let rules = if rules.is_empty() { permit.rules().to_vec() } else { rules };
            AccessAnswer {
                permitted: true,
                rules,
                reason: format!("{person} may {doing} this file by SFTP{size}"),
            }
        }
        Err(denial) => denied(&denial.reason, denial.rules),
    }
}

/// What `scp`, `rsync` or Git would be answered with one path.
fn for_program(person: &PersonName, permit: &Permit, path: &str, permission: Permission) -> AccessAnswer {
    let (git, files) = (matches!(permission, Permission::GitRead | Permission::GitWrite), permit.files());
    let judged = match permit.allow().contains(Permission::Exec) {
        true => Ok(()),
        false if git => files.judge_repository(permission, path),
        false => files.judge_transfer(permission, path),
    };
    match judged {
        Ok(()) => {
            let reason = match permission {
                Permission::GitWrite => format!("{person} may push to this repository"),
                Permission::GitRead => format!("{person} may fetch from this repository"),
                _ => format!("{person} may read and write this path and everything below it by {permission}"),
            };
            AccessAnswer { permitted: true, rules: permit.rules().to_vec(), reason }
        }
        Err(denial) => denied(&denial.reason, denial.rules),
    }
}

/// What is to be forwarded.
fn forward_end(text: &str, action: Action) -> Result<ForwardEnd> {
    let permission = match action {
        Action::Permission(forward @ (Permission::ForwardLocal | Permission::ForwardRemote)) => forward,
        _ => {
            return Err(ApiError::invalid("only forwarding leads somewhere")
                .hint("ask for forward:local to a destination, or for forward:remote on an address"));
        }
    };
    ForwardEnd::parse(text, permission).ok_or_else(|| {
        ApiError::invalid("that is nothing to forward")
            .hint("write HOST:PORT, [IPv6]:PORT, or the path of a socket from /")
    })
}

/// What is asked of a path.
#[derive(Clone, Copy)]
enum Use {
    Sftp(FileUse),
    /// By the programs of this permission.
    Program(Permission),
}

impl Use {
    fn of(action: Action) -> Result<Self> {
        match action {
            Action::Permission(Permission::SftpRead) => Ok(Self::Sftp(FileUse::Read)),
            Action::Permission(Permission::SftpWrite) => Ok(Self::Sftp(FileUse::Write)),
            Action::Permission(
                program @ (Permission::Scp | Permission::Rsync | Permission::GitRead | Permission::GitWrite),
            ) => Ok(Self::Program(program)),
            _ => Err(ApiError::invalid("rules for files hold for SFTP, scp, rsync and Git only").hint(
                "ask for sftp:read, sftp:write, scp, rsync, git:read or git:write of a path; the other permissions know no \
                 files",
            )),
        }
    }
}

fn denied(reason: &dyn std::fmt::Display, rules: Vec<GrantId>) -> AccessAnswer {
    AccessAnswer { permitted: false, rules, reason: reason.to_string() }
}

fn action_of(text: &str) -> Result<Action> {
    if text == Action::Connect.as_str() {
        return Ok(Action::Connect);
    }
    text.parse().map(Action::Permission).map_err(|_| {
        ApiError::invalid("that is no action").hint(format!(
            "there are: {},{}",
            Action::Connect.as_str(),
            PermissionSet::all()
        ))
    })
}

fn is_in_force(action: Action) -> bool {
    match action {
        Action::Connect | Action::Continue => true,
        Action::Permission(permission) => permission.is_in_force(),
    }
}

fn doing(action: Action) -> &'static str {
    match action {
        Action::Connect | Action::Continue => "connect",
        Action::Permission(permission) => permission.as_str(),
    }
}
