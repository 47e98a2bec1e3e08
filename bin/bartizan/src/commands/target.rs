//! `bartizan target`.

use std::fmt::Write as _;
use std::time::Duration;

use bartizan_model::api::{
    LabelChange, NewHostKeyTrust, NewTarget, TargetDetail, TargetTest, TargetTestStep, TestOutcome,
};
use bartizan_model::{HostKeyTrust, Label, Labels, LoginName, Target as Record, TargetName};

use super::grant::grants_table;
use super::{Context, key_file};
use crate::args::{HostTrust, LabelEdit, Target};
use crate::client::segment;
use crate::failure::{Failure, Kind};
use crate::out::{cell, duration, time};
use crate::table::{Table, normal};

pub(crate) async fn run(context: &Context, command: Target) -> Result<(), Failure> {
    let (client, out) = (&context.client, context.out);
    match command {
        Target::Add { name, address, trust, labels: written } => {
            let host_key = host_key(&trust)?;
            let labels = labels(written)?;
            let request = NewTarget { name, host: address.host, port: address.port, host_key, labels };
            let added: TargetDetail = client.post("/v1/targets", &request).await?;
            out.one(&added, || format!("added {}", summary(&added)))
        }
        Target::List => {
            let targets: Vec<Record> = client.get("/v1/targets").await?;
            out.listing(&targets, || targets_table(&targets))
        }
        Target::Show { name } => {
            let target: TargetDetail = client.get(&format!("/v1/targets/{}", segment(name))).await?;
            out.one(&target, || detail_text(&target, out.width, out.colour))
        }
        Target::Test { name, login } => test(context, &name, login).await,
        Target::Credential(command) => super::credential::run(context, command).await,
        Target::Label { name, labels: edits } => {
            let (mut set, mut unset) = (Vec::new(), Vec::new());
            for edit in edits {
                match edit {
                    LabelEdit::Set(label) => set.push(label),
                    LabelEdit::Unset(key) => unset.push(key),
                }
            }
            let change = LabelChange { set: labels(set)?, unset };
            let path = format!("/v1/targets/{}/labels", segment(name));
            let target: TargetDetail = client.post(&path, &change).await?;
            out.one(&target, || summary(&target))
        }
        Target::Remove { name, with_grants } => {
            let path = format!("/v1/targets/{}?with_grants={with_grants}", segment(name));
            let removed: TargetDetail = client.delete(&path).await?;
            out.one(&removed, || {
                format!(
                    "removed {} with {} grants that named it\n",
                    removed.target.name,
                    removed.grants.len()
                )
            })
        }
    }
}

/// Tells each step as the server makes it.
async fn test(context: &Context, name: &TargetName, login: Option<LoginName>) -> Result<(), Failure> {
    let body = serde_json::to_string(&TargetTest { login }).map_err(|e| Failure::failed(e.to_string()))?;
    let mut lines = context.client.post_text(&format!("/v1/targets/{}/test", segment(name)), body).await?;
    let mut told = false;
    while let Some(line) = lines.next().await? {
        let step: TargetTestStep = serde_json::from_slice(&line)
            .map_err(|e| Failure::failed(format!("the server and this program differ: {e}")))?;
        if context.out.json {
            context.out.json_line(&step)?
        } else {
            context.out.text(&step_text(&step))?
        }
        if step.outcome == TestOutcome::Failed {
            let failure = Failure::failed(format!("{name} cannot be used: {} failed", step.step));
            return Err(match step.hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            });
        }
        told = true;
    }
    if told { Ok(()) } else { Err(Failure::failed("the server broke the test off").hint("see its log")) }
}

/// `passed   connect           1 ms  10.0.0.5:22`
fn step_text(step: &TargetTestStep) -> String {
    let outcome = match step.outcome {
        TestOutcome::Passed => "passed",
        TestOutcome::Skipped => "skipped",
        TestOutcome::Failed => "FAILED",
    };
    let took = duration(Duration::from_micros(step.took_us));
    format!("{outcome:<7}  {:<12}  {took:>8}  {}\n", cell(&step.step), cell(&step.detail))
}

fn host_key(trust: &HostTrust) -> Result<NewHostKeyTrust, Failure> {
    match trust {
        HostTrust { first_use: true, .. } => Ok(NewHostKeyTrust::FirstUse),
        HostTrust { host_key: Some(file), .. } => key_file(file).map(NewHostKeyTrust::Pinned),
        HostTrust { host_ca: Some(file), .. } => key_file(file).map(NewHostKeyTrust::Authority),
        HostTrust { .. } => Err(Failure::new(Kind::Usage, "say how the host key is verified")
            .hint("--host-key FILE, --host-ca FILE or --first-use")),
    }
}

fn labels(written: Vec<Label>) -> Result<Labels, Failure> {
    let mut labels = Labels::default();
    for label in written {
        labels.set(label).map_err(|e| Failure::new(Kind::Usage, e.to_string()))?;
    }
    Ok(labels)
}

/// `10.0.0.5:22`, `[::1]:22`.
fn address(target: &Record) -> String {
    let Record { host, port, .. } = target;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn trust(trust: &HostKeyTrust) -> String {
    match trust {
        HostKeyTrust::Pinned(keys) if keys.len() == 1 => "pinned".into(),
        HostKeyTrust::Pinned(keys) => format!("{} pinned", keys.len()),
        HostKeyTrust::Authority(_) => "host CA".into(),
        HostKeyTrust::FirstUse => "at first use".into(),
    }
}

fn summary(detail: &TargetDetail) -> String {
    let target = &detail.target;
    let mut text = format!("{} at {}, host key: {}\n", target.name, address(target), trust(&target.host_key));
    for fingerprint in &detail.fingerprints {
        let _ = writeln!(text, "  {fingerprint}");
    }
    if !target.labels.is_empty() {
        let _ = writeln!(text, "labels {}", target.labels);
    }
    text
}

pub(crate) fn targets_table(targets: &[Record]) -> Table {
    let mut table = Table::new("no targets yet: `bartizan target add NAME HOST[:PORT] --host-key FILE`")
        .flexible("NAME")
        .flexible("ADDRESS")
        .column("HOST KEY")
        .flexible("LABELS")
        .column("ADDED (UTC)");
    for target in targets {
        table.row([
            normal(&target.name),
            normal(address(target)),
            normal(trust(&target.host_key)),
            normal(if target.labels.is_empty() { "-".into() } else { target.labels.to_string() }),
            normal(crate::out::minute(target.created)),
        ]);
    }
    table
}

fn detail_text(detail: &TargetDetail, width: Option<usize>, colour: bool) -> String {
    let mut text = format!("{}added {} UTC\n", summary(detail), time(detail.target.created));
    if !detail.grants.is_empty() {
        let _ =
            write!(text, "\ngrants that cover it\n{}", grants_table(&detail.grants).render(width, colour));
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use bartizan_model::{Fingerprint, TargetName};

    use super::super::grant::tests::grants;
    use super::super::person::tests::at;
    use super::*;

    pub(crate) fn targets() -> Vec<Record> {
        let key = |n: u8| format!("ssh-ed25519 AAAA{n}");
        [
            ("web-1", "10.0.0.5", 22, HostKeyTrust::FirstUse),
            ("db", "fd00::12:5", 2222, HostKeyTrust::Pinned(vec![key(1)])),
            (
                "build.internal.example.com",
                "build.internal.example.com",
                22,
                HostKeyTrust::Authority(vec![key(1)]),
            ),
            ("old", "old", 22, HostKeyTrust::Pinned(vec![key(1), key(2)])),
        ]
        .map(|(name, host, port, host_key)| Record {
            name: TargetName::new(name).unwrap(),
            host: host.into(),
            port,
            host_key,
            labels: match name {
                "db" => labels(vec!["env=prod".parse().unwrap(), "tier=db".parse().unwrap()]).unwrap(),
                _ => Labels::default(),
            },
            created: at(0),
        })
        .into()
    }

    #[test]
    fn listing() {
        insta::assert_snapshot!(targets_table(&targets()).render(Some(80), false));
    }

    #[test]
    fn details() {
        let detail = TargetDetail {
            target: targets().remove(1),
            fingerprints: vec![Fingerprint::from_sha256([1; 32])],
            grants: grants(),
        };
        insta::assert_snapshot!(detail_text(&detail, Some(80), false));
    }
}
