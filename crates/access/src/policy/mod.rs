//! Policy in Cedar: the schema, grants compiled to policies, operators' own policy texts.

mod compile;
mod text;
mod times;

use bartizan_model::{Permission, PersonName, RoleName, TargetName, TargetSelector};
use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};

pub(crate) use compile::compile;
pub use text::{Policies, PolicyError, PolicyErrors};

/// The action of opening a session; every grant implies it.
pub(crate) const CONNECT: &str = "connect";

/// The fact that is what is forwarded, where something is.
pub(crate) const FORWARD: &str = "forward";

const PERSON: &str = "Person";
const ROLE: &str = "Role";
const TARGET: &str = "Target";
const SELECTOR: &str = "Selector";
const ACTION: &str = "Action";

/// Entities as Cedar names them. Made once a snapshot: reading the name of a type takes Cedar longer than
/// judging by it. Ids are data: any text is one.
#[derive(Debug)]
pub(crate) struct Names {
    person: EntityTypeName,
    role: EntityTypeName,
    target: EntityTypeName,
    selector: EntityTypeName,
    pub(crate) connect: EntityUid,
    actions: [EntityUid; Permission::ALL.len()],
}

impl Names {
    pub(crate) fn new() -> Result<Self, String> {
        let kind = |name: &str| name.parse::<EntityTypeName>().map_err(|e| e.to_string());
        let actions = kind(ACTION)?;
        let action = |name: &str| entity(&actions, name);
        Ok(Self {
            person: kind(PERSON)?,
            role: kind(ROLE)?,
            target: kind(TARGET)?,
            selector: kind(SELECTOR)?,
            connect: action(CONNECT),
            actions: Permission::ALL.map(|p| action(p.as_str())),
        })
    }

    pub(crate) fn person(&self, name: &PersonName) -> EntityUid {
        entity(&self.person, name.as_str())
    }

    pub(crate) fn role(&self, name: &RoleName) -> EntityUid {
        entity(&self.role, name.as_str())
    }

    pub(crate) fn target(&self, name: &TargetName) -> EntityUid {
        entity(&self.target, name.as_str())
    }

    pub(crate) fn selector(&self, glob: &TargetSelector) -> EntityUid {
        entity(&self.selector, glob.as_str())
    }

    /// The action that a permission is.
    pub(crate) fn action(&self, permission: Permission) -> &EntityUid {
        // `ALL` lists the variants in their order; a test holds it to that.
        &self.actions[permission as usize]
    }
}

fn entity(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// The schema that policies are written against, in Cedar's schema language.
///
/// `now` is Unix time in seconds. `source` is the client's address; an IPv4-mapped IPv6 address is shown as its
/// IPv4 address. `method` is how the person proved who they are: `publickey` or `certificate`. `forward` is there when one
/// forwarding is judged: the destination of `forward:local`, or where the target is to listen for `forward:remote`. `host` is a
/// name in lower case, an address, or `*` for every address; `path` is a socket's, and what is not so is empty or 0.
pub fn schema_text() -> String {
    let permissions = Permission::ALL.iter().map(|p| format!(", \"{p}\"")).collect::<String>();
    format!(
        "type Forward = {{ host: String, port: Long, path: String, address?: ipaddr }};\n\
         type Facts = {{ login: String, source: ipaddr, now: Long, method: String, {FORWARD}?: Forward }};\n\
         entity Role;\n\
         entity Person in [Role] = {{ name: String }};\n\
         // A glob or the labels of a grant, such as web-* or env=prod; targets it covers are in it.\n\
         entity Selector;\n\
         // A label is a tag: resource.hasTag(\"env\") && resource.getTag(\"env\") == \"prod\"\n\
         entity Target in [Selector] = {{ name: String }} tags String;\n\
         action \"{CONNECT}\"{permissions}\n  \
         appliesTo {{ principal: [Person], resource: [Target], context: Facts }};\n"
    )
}

pub(crate) fn schema() -> Result<Schema, String> {
    let (schema, _warnings) = Schema::from_cedarschema_str(&schema_text()).map_err(|e| e.to_string())?;
    Ok(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_is_the_action_of_its_name() {
        let names = Names::new().unwrap();
        for permission in Permission::ALL {
            assert_eq!(names.action(permission).id().unescaped(), permission.as_str());
        }
    }

    #[test]
    fn the_schema_is_valid() {
        schema().unwrap();
    }
}
