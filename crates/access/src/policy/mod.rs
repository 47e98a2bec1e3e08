//! Policy in Cedar: the schema, grants compiled to policies, operators' own policy texts.

mod compile;
mod text;

use bartizan_model::Permission;
use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};

pub(crate) use compile::compile;
pub use text::{Policies, PolicyError, PolicyErrors};

/// The action of opening a session; every grant implies it.
pub(crate) const CONNECT: &str = "connect";

/// The kinds of entities, as policies name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Person,
    Target,
    Selector,
    Action,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "Person",
            Self::Target => "Target",
            Self::Selector => "Selector",
            Self::Action => "Action",
        }
    }

    /// The entity of this kind with this id. Ids are data: any text is one.
    pub(crate) fn entity(self, id: &str) -> Result<EntityUid, String> {
        let kind: EntityTypeName = self.as_str().parse().map_err(|e| format!("{e}"))?;
        Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
    }
}

/// The schema that policies are written against, in Cedar's schema language.
///
/// `now` is Unix time in seconds. `source` is the client's address; an IPv4-mapped IPv6 address is shown as its
/// IPv4 address. `method` is how the person proved who they are: `publickey` or `certificate`.
pub fn schema_text() -> String {
    let permissions = Permission::ALL.iter().map(|p| format!(", \"{p}\"")).collect::<String>();
    format!(
        "type Facts = {{ login: String, source: ipaddr, now: Long, method: String }};\n\
         entity Person = {{ name: String }};\n\
         // A glob of a grant, such as web-*; targets it covers are in it.\n\
         entity Selector;\n\
         entity Target in [Selector] = {{ name: String }};\n\
         action \"{CONNECT}\"{permissions}\n  \
         appliesTo {{ principal: [Person], resource: [Target], context: Facts }};\n"
    )
}

pub(crate) fn schema() -> Result<Schema, String> {
    let (schema, _warnings) = Schema::from_cedarschema_str(&schema_text()).map_err(|e| e.to_string())?;
    Ok(schema)
}
