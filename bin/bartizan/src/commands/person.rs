//! `bartizan person`.

use std::fmt::Write as _;

use bartizan_model::api::{NewPerson, PersonDetail};
use bartizan_model::{Person as Record, PersonState};

use super::grant::grants_table;
use super::{Context, key, key_file};
use crate::args::Person;
use crate::client::segment;
use crate::failure::Failure;
use crate::out::{cell, count, minute, time};
use crate::table::{Look, Table, normal};

pub(crate) async fn run(context: &Context, command: Person) -> Result<(), Failure> {
    let (client, out) = (&context.client, context.out);
    match command {
        Person::Add { name, keys } => {
            let keys = keys.iter().map(|path| key_file(path)).collect::<Result<_, _>>()?;
            let added: PersonDetail = client.post("/v1/people", &NewPerson { name, keys }).await?;
            out.one(&added, || added_text(&added))
        }
        Person::List => {
            let people: Vec<Record> = client.get("/v1/people").await?;
            out.listing(&people, || people_table(&people))
        }
        Person::Show { name } => {
            let person: PersonDetail = client.get(&format!("/v1/people/{}", segment(name))).await?;
            out.one(&person, || detail_text(&person, out.width, out.colour))
        }
        Person::Remove { name, with_grants } => {
            let path = format!("/v1/people/{}?with_grants={with_grants}", segment(name));
            let removed: PersonDetail = client.delete(&path).await?;
            out.one(&removed, || removed_text(&removed))
        }
        Person::Lock { name } => {
            let person: Record = client.post(&format!("/v1/people/{}/lock", segment(name)), &()).await?;
            out.one(&person, || format!("{} is locked; live sessions are judged again\n", person.name))
        }
        Person::Unlock { name } => {
            let person: Record = client.post(&format!("/v1/people/{}/unlock", segment(name)), &()).await?;
            out.one(&person, || format!("{} is unlocked\n", person.name))
        }
    }
}

fn added_text(added: &PersonDetail) -> String {
    let mut text = format!("added {}\n", added.person.name);
    for key in &added.keys {
        let _ = writeln!(text, "{}", format!("  key {} {}", key.fingerprint, cell(&key.comment)).trim_end());
    }
    if added.keys.is_empty() {
        let _ = writeln!(text, "no keys yet: `bartizan key add {} FILE`", added.person.name);
    }
    text
}

fn removed_text(removed: &PersonDetail) -> String {
    let (keys, grants) =
        (count(removed.keys.len() as u64, "key"), count(removed.grants.len() as u64, "grant"));
    format!("removed {} with {keys} and {grants}\n", removed.person.name)
}

/// Active in green, locked in red.
fn state(state: PersonState) -> (String, Look) {
    let look = match state {
        PersonState::Active => Look::Good,
        PersonState::Locked => Look::Bad,
    };
    (state.to_string(), look)
}

fn roles(person: &Record) -> Option<String> {
    let roles: Vec<_> = person.roles.iter().map(|role| role.as_str()).collect();
    if roles.is_empty() { None } else { Some(roles.join(",")) }
}

pub(crate) fn people_table(people: &[Record]) -> Table {
    let mut table = Table::new("no people yet: `bartizan person add NAME --key FILE`")
        .flexible("NAME")
        .column("STATE")
        .flexible("ROLES")
        .column("ADDED (UTC)");
    for person in people {
        let roles = normal(roles(person).unwrap_or("-".into()));
        table.row([normal(&person.name), state(person.state), roles, normal(minute(person.created))]);
    }
    table
}

fn detail_text(detail: &PersonDetail, width: Option<usize>, colour: bool) -> String {
    let person = &detail.person;
    let mut text = format!("{}, {}, added {} UTC\n", person.name, person.state, time(person.created));
    if let Some(roles) = roles(person) {
        let _ = writeln!(text, "roles {roles}");
    }
    if !detail.keys.is_empty() {
        let _ = write!(text, "\nkeys\n{}", key::keys_table(&detail.keys).render(width, colour));
    }
    if !detail.grants.is_empty() {
        let _ = write!(text, "\ngrants\n{}", grants_table(&detail.grants).render(width, colour));
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use bartizan_model::{PersonName, Timestamp};

    use super::super::grant::tests::grants;
    use super::super::key::tests::keys;
    use super::*;

    pub(crate) fn at(minutes: u64) -> Timestamp {
        Timestamp::from_unix_micros(1_795_854_600_000_000 + minutes * 60_000_000)
    }

    pub(crate) fn people() -> Vec<Record> {
        let long = "a-person-with-quite-a-long-name-that-nobody-would-choose-really";
        [("alice", PersonState::Active), ("Zoë", PersonState::Locked), (long, PersonState::Active)]
            .map(|(name, state)| Record {
                name: PersonName::new(name).unwrap(),
                state,
                roles: if name == "alice" {
                    ["dba", "ops"].map(|r| r.parse().unwrap()).into()
                } else {
                    [].into()
                },
                created: at(0),
            })
            .into()
    }

    #[test]
    fn listing() {
        let table = people_table(&people());
        insta::assert_snapshot!(table.render(Some(80), false));
    }

    #[test]
    fn details() {
        let detail = PersonDetail { person: people().remove(0), keys: keys(), grants: grants() };
        let texts = [added_text(&detail), removed_text(&detail), detail_text(&detail, Some(80), false)];
        insta::assert_snapshot!(texts.join("---\n"));
    }
}
