//! `bartizan grant`.

use std::fmt::Write as _;

use bartizan_model::api::{GrantDetail, NewGrant};
use bartizan_model::{Grant as Record, Grantee, PermissionSet, Timestamp};

use super::Context;
use crate::args::{Grant, GrantAdd};
use crate::client::segment;
use crate::failure::{Failure, Kind};
use crate::out::{bytes, minute, time};
use crate::table::{Look, Table, normal};

pub(crate) async fn run(context: &Context, command: Grant) -> Result<(), Failure> {
    let (client, out) = (&context.client, context.out);
    match command {
        Grant::Add(add) => {
            let added: Record = client.post("/v1/grants", &request(*add)?).await?;
            out.one(&added, || format!("added {}", sentence(&added)))
        }
        Grant::List { person, role } => {
            let filter = serde_json::json!({ "person": person, "role": role });
            let grants: Vec<Record> = client.find("/v1/grants", &filter).await?;
            out.listing(&grants, || grants_table(&grants))
        }
        Grant::Show { id } => {
            let found: GrantDetail = client.get(&format!("/v1/grants/{}", segment(id))).await?;
            out.one(&found, || detail_text(&found))
        }
        Grant::Remove { id } => {
            let removed: Record = client.delete(&format!("/v1/grants/{}", segment(id))).await?;
            out.one(&removed, || format!("removed {}", sentence(&removed)))
        }
    }
}

fn request(add: GrantAdd) -> Result<NewGrant, Failure> {
    let who = match (add.person, add.role) {
        (Some(person), None) => Grantee::Person(person),
        (None, Some(role)) => Grantee::Role(role),
        // The arguments' own rules let nothing else through.
        _ => return Err(Failure::new(Kind::Usage, "say who: --person NAME or --role NAME")),
    };
    if let Some((at, twice)) =
        add.logins.iter().enumerate().find(|(at, login)| add.logins[..*at].contains(login))
    {
        return Err(Failure::new(
            Kind::Usage,
            format!("--login {twice} is given twice, again as number {}", at + 1),
        ));
    }
    Ok(NewGrant {
        who,
        target: add.target,
        logins: (!add.any_login).then_some(add.logins),
        allow: add.allow,
        files: add.files.rules(),
        forwards: add.forwards.rules(),
        sources: add.sources,
        expires: add.expires,
        record: add.record.recording(add.record_input),
        break_glass: add.break_glass,
    })
}

fn logins(grant: &Record) -> String {
    match &grant.logins {
        None => "any login".into(),
        Some(logins) => logins.iter().map(|login| login.as_str()).collect::<Vec<_>>().join(","),
    }
}

/// What is kept of a session, in words.
pub(crate) fn kept(record: bartizan_model::Recording) -> String {
    let kept = match record.channel_cap {
        None => "every byte of other channels".into(),
        Some(0) => "digests of other channels".into(),
        Some(cap) => format!("up to {} of each other channel", bytes(cap)),
    };
    format!("terminal output{}, {kept}", if record.input { " and keystrokes" } else { "" })
}

pub(crate) fn sentence(grant: &Record) -> String {
    let mut text =
        format!("{}: {} as {} on {}: {}\n", grant.id, grant.who, logins(grant), grant.target, grant.allow);
    if !grant.files.is_empty() {
        let _ = writeln!(text, "  files: {}", grant.files);
    }
    if !grant.forwards.is_empty() {
        let _ = writeln!(text, "  forwards: {}", grant.forwards);
    }
    let idle: PermissionSet = grant.allow.iter().filter(|permission| !permission.is_in_force()).collect();
    if !idle.is_empty() {
        let _ = writeln!(text, "  not in force yet, nothing in this version asks for it: {idle}");
    }
    if !grant.sources.is_empty() {
        let sources: Vec<_> = grant.sources.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "  from {}", sources.join(", "));
    }
    if let Some(expires) = grant.expires {
        let _ = writeln!(text, "  until {} UTC", time(expires));
    }
    let _ = writeln!(text, "  recorded: {}", kept(grant.record));
    if grant.break_glass {
        let _ =
            writeln!(text, "  break-glass: passes, loudly, also while recordings or the space for them fail");
    }
    text
}

fn detail_text(detail: &GrantDetail) -> String {
    let GrantDetail { grant, people, targets } = detail;
    let mut text = sentence(grant);
    let _ = writeln!(text, "  added {} UTC", time(grant.created));
    if grant.expires.is_some_and(|end| end <= Timestamp::now()) {
        text.push_str("  expired: it permits nothing any more\n");
    }
    let _ = writeln!(text, "  people now: {}", names(people));
    let _ = writeln!(text, "  targets now: {}", names(targets));
    text
}

fn names(names: &[impl ToString]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

pub(crate) fn grants_table(grants: &[Record]) -> Table {
    let mut table = Table::new("no grants yet, so nobody may do anything: `bartizan grant add`")
        .column("ID")
        .flexible("WHO")
        .flexible("LOGINS@TARGET")
        .flexible("ALLOW")
        .column("UNTIL (UTC)");
    for grant in grants {
        let until = match grant.expires {
            None => ("-".into(), Look::Dim),
            Some(end) if end <= Timestamp::now() => ("expired".into(), Look::Bad),
            Some(end) => normal(minute(end)),
        };
        let logins = if grant.logins.is_none() { "*".into() } else { logins(grant) };
        // Sources are conditions that a reader must not overlook.
        let sources = if grant.sources.is_empty() { "" } else { " (by source)" };
        let files = if grant.files.is_empty() { "" } else { "some files: " };
        let forwards = if grant.forwards.is_empty() { "" } else { " (some forwards)" };
        let break_glass = if grant.break_glass { "break-glass: " } else { "" };
        table.row([
            normal(&grant.id),
            normal(&grant.who),
            normal(format!("{logins}@{}", grant.target)),
            normal(format!("{break_glass}{files}{}{forwards}{sources}", grant.allow)),
            until,
        ]);
    }
    table
}

#[cfg(test)]
pub(crate) mod tests {
    use bartizan_model::{GrantId, LoginName, PersonName, Recording, TargetSelector};

    use super::super::person::tests::at;
    use super::*;

    pub(crate) fn grants() -> Vec<Record> {
        let grant = |id: &str, target: &str, allow: &str| Record {
            id: GrantId(id.into()),
            who: Grantee::Person(PersonName::new("alice").unwrap()),
            target: TargetSelector::new(target).unwrap(),
            logins: Some(vec![LoginName::new("root").unwrap()]),
            allow: allow.parse().unwrap(),
            files: bartizan_model::FileRules::default(),
            forwards: bartizan_model::ForwardRules::default(),
            sources: Vec::new(),
            expires: None,
            record: Recording::default(),
            break_glass: false,
            created: at(0),
        };
        vec![
            grant("g-1f3a90c2", "web-1", "shell,exec,sftp:read,sftp:write,scp"),
            Record {
                logins: None,
                expires: Some(Timestamp::from_unix_micros(7_258_118_400_000_000)),
                record: Recording { channel_cap: None, input: true },
                ..grant("g-77aa0031", "*", "shell")
            },
            Record {
                who: Grantee::Role("operators".parse().unwrap()),
                target: TargetSelector::new("env=prod,tier=web").unwrap(),
                ..grant("ops-web", "*", "shell")
            },
            Record {
                files: bartizan_model::FileRules {
                    paths: vec!["/srv/app/**".parse().unwrap()],
                    not_paths: vec!["/srv/app/keys/**".parse().unwrap()],
                    max_file_bytes: Some(100 << 20),
                },
                ..grant("g-5af37a00", "web-2", "sftp:read,sftp:write")
            },
            Record {
                forwards: bartizan_model::ForwardRules {
                    to: vec!["db:5432".parse().unwrap(), "10.0.0.0/8:8000-8100".parse().unwrap()],
                    listen: vec!["localhost:0".parse().unwrap()],
                },
                ..grant("g-c0ffee00", "web-3", "forward:local,forward:remote")
            },
            Record {
                sources: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
                expires: Some(Timestamp::from_unix_micros(1_000_000)),
                record: Recording { channel_cap: Some(0), input: false },
                break_glass: true,
                ..grant("g-0badcafe", "db-*", "exec")
            },
        ]
    }

    #[test]
    fn listing() {
        insta::assert_snapshot!(grants_table(&grants()).render(Some(80), false));
    }

    #[test]
    fn what_is_not_in_force_is_said() {
        let grant = Record { allow: "shell,terminate,replay".parse().unwrap(), ..grants().remove(0) };
        assert!(
            sentence(&grant)
                .contains("not in force yet, nothing in this version asks for it: terminate,replay\n")
        );
        assert!(!sentence(&grants()[0]).contains("in force"));
    }

    #[test]
    fn details() {
        let mut all = grants();
        let detail = |grant: Record, people: &[&str], targets: &[&str]| GrantDetail {
            grant,
            people: people.iter().map(|name| name.parse().unwrap()).collect(),
            targets: targets.iter().map(|name| name.parse().unwrap()).collect(),
        };
        let expired = detail(all.pop().unwrap(), &["alice"], &[]);
        let forwards = detail(all.pop().unwrap(), &["alice"], &["web-3"]);
        let role = detail(all.swap_remove(2), &["alice", "bob"], &["web-1", "web-2"]);
        insta::assert_snapshot!([expired, forwards, role].iter().map(detail_text).collect::<String>());
    }

    #[test]
    fn sentences() {
        insta::assert_snapshot!(grants().iter().map(sentence).collect::<String>());
    }
}
