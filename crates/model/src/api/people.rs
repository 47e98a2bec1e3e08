//! People, their keys and roles, and what is granted to them.

use serde::{Deserialize, Serialize};

use crate::{
    AuthorizedKey, FileRules, ForwardRules, Grant, Grantee, LoginName, PermissionSet, Person, PersonName,
    Recording, Role, RoleName, SourceNetwork, TargetName, TargetSelector, Timestamp,
};

/// `POST /v1/people`: adds a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPerson {
    /// Unique name.
    pub name: PersonName,
    /// Their public keys: texts of one or more lines as in `authorized_keys`.
    #[serde(default)]
    pub keys: Vec<String>,
}

/// A person with all that belongs to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonDetail {
    /// The person.
    #[serde(flatten)]
    pub person: Person,
    /// Their keys.
    pub keys: Vec<AuthorizedKey>,
    /// Grants that name them, or a role they have.
    pub grants: Vec<Grant>,
}

/// `POST /v1/roles`: adds a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRole {
    /// Unique name.
    pub name: RoleName,
}

/// A role with those who have it and what it grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleDetail {
    /// The role.
    #[serde(flatten)]
    pub role: Role,
    /// Who has it, by name.
    pub members: Vec<PersonName>,
    /// Grants that name it.
    pub grants: Vec<Grant>,
}

/// `POST /v1/keys`: adds keys of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKeys {
    /// Whose.
    pub person: PersonName,
    /// Lines as in `authorized_keys`.
    pub keys: String,
}

/// `POST /v1/grants`: adds a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewGrant {
    /// Who: `person` or `role`.
    #[serde(flatten)]
    pub who: Grantee,
    /// Where.
    pub target: TargetSelector,
    /// As which accounts; `None` is any account.
    pub logins: Option<Vec<LoginName>>,
    /// What.
    pub allow: PermissionSet,
    /// Which files `sftp:read` and `sftp:write` are for.
    #[serde(default)]
    pub files: FileRules,
    /// Where `forward:local` leads, and on what `forward:remote` lets a target listen.
    #[serde(default)]
    pub forwards: ForwardRules,
    /// From which networks; empty is anywhere.
    #[serde(default)]
    pub sources: Vec<SourceNetwork>,
    /// Until when.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// What is recorded.
    #[serde(default)]
    pub record: Recording,
    /// Whether it passes, loudly, also while recordings or the space for them fail.
    #[serde(default)]
    pub break_glass: bool,
}

/// A grant with those whom it concerns at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantDetail {
    /// The grant.
    #[serde(flatten)]
    pub grant: Grant,
    /// Whom it is for, by name or by the role: also those who are locked.
    pub people: Vec<PersonName>,
    /// The targets that its selector covers.
    pub targets: Vec<TargetName>,
}

/// `DELETE` of a person or target: whether grants that name it go too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveOptions {
    /// Remove grants that name it; otherwise they make the removal fail.
    #[serde(default)]
    pub with_grants: bool,
}
