//! `bartizan role`.

use std::fmt::Write as _;

use bartizan_model::Person;
use bartizan_model::api::{NewRole, RoleDetail};

use super::Context;
use super::grant::grants_table;
use crate::args::Role;
use crate::client::segment;
use crate::failure::Failure;
use crate::out::{count, minute, time};
use crate::table::{Table, normal};

pub(crate) async fn run(context: &Context, command: Role) -> Result<(), Failure> {
    let (client, out) = (&context.client, context.out);
    let path = |name| format!("/v1/roles/{}", segment(name));
    match command {
        Role::Add { name } => {
            let added: RoleDetail = client.post("/v1/roles", &NewRole { name }).await?;
            out.one(&added, || added_text(&added))
        }
        Role::List => {
            let roles: Vec<RoleDetail> = client.get("/v1/roles").await?;
            out.listing(&roles, || roles_table(&roles))
        }
        Role::Show { name } => {
            let role: RoleDetail = client.get(&path(name)).await?;
            out.one(&role, || detail_text(&role, out.width, out.colour))
        }
        Role::Assign { role, people } => {
            let mut changed: Vec<Person> = Vec::new();
            for person in people {
                let member = format!("{}/members/{}", path(role.clone()), segment(person));
                changed.push(client.put_nothing(&member).await?);
            }
            out.one(&changed, || told(&changed, &format!("has the role {role}")))
        }
        Role::Unassign { role, people } => {
            let mut changed: Vec<Person> = Vec::new();
            for person in people {
                let member = format!("{}/members/{}", path(role.clone()), segment(person));
                changed.push(client.delete(&member).await?);
            }
            let text = format!("does not have the role {role}; live sessions are judged again");
            out.one(&changed, || told(&changed, &text))
        }
        Role::Remove { name, with_grants } => {
            let path = format!("{}?with_grants={with_grants}", path(name));
            let removed: RoleDetail = client.delete(&path).await?;
            out.one(&removed, || removed_text(&removed))
        }
    }
}

fn told(people: &[Person], what: &str) -> String {
    people.iter().map(|person| format!("{} {what}\n", person.name)).collect()
}

fn added_text(added: &RoleDetail) -> String {
    let name = &added.role.name;
    format!("added role {name}\nnobody has it yet: `bartizan role assign {name} PERSON`\n")
}

fn removed_text(removed: &RoleDetail) -> String {
    let members = match removed.members.len() as u64 {
        0 => "which nobody had".to_owned(),
        1 => "from 1 person".to_owned(),
        n => format!("from {n} people"),
    };
    let grants = count(removed.grants.len() as u64, "grant");
    format!("removed role {} {members}, with {grants}\n", removed.role.name)
}

fn roles_table(roles: &[RoleDetail]) -> Table {
    let mut table = Table::new("no roles yet: `bartizan role add NAME`")
        .flexible("ROLE")
        .number("PEOPLE")
        .number("GRANTS")
        .column("ADDED (UTC)");
    for RoleDetail { role, members, grants } in roles {
        let (members, grants) = (normal(members.len()), normal(grants.len()));
        table.row([normal(&role.name), members, grants, normal(minute(role.created))]);
    }
    table
}

fn detail_text(detail: &RoleDetail, width: Option<usize>, colour: bool) -> String {
    let RoleDetail { role, members, grants } = detail;
    let mut text = format!("role {}, added {} UTC\n", role.name, time(role.created));
    match members.as_slice() {
        [] => text.push_str("nobody has it\n"),
        people => {
            text.push_str("\npeople\n");
            for person in people {
                let _ = writeln!(text, "{person}");
            }
        }
    }
    if !grants.is_empty() {
        let _ = write!(text, "\ngrants\n{}", grants_table(grants).render(width, colour));
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use bartizan_model::Role as Record;

    use super::super::grant::tests::grants;
    use super::super::person::tests::at;
    use super::*;

    pub(crate) fn roles() -> Vec<RoleDetail> {
        let role = |name: &str, members: &[&str]| RoleDetail {
            role: Record { name: name.parse().unwrap(), created: at(0) },
            members: members.iter().map(|name| name.parse().unwrap()).collect(),
            grants: grants()
                .into_iter()
                .filter(|grant| grant.who.to_string() == format!("role {name}"))
                .collect(),
        };
        vec![role("dba", &[]), role("operators", &["alice", "Zoë"])]
    }

    #[test]
    fn listing_and_details() {
        let roles = roles();
        let mut text = roles_table(&roles).render(Some(80), false);
        for role in &roles {
            let parts = [added_text(role), removed_text(role), detail_text(role, Some(80), false)];
            text.push_str(&format!("---\n{}", parts.join("---\n")));
        }
        insta::assert_snapshot!(text);
    }
}
