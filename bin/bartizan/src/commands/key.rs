//! `bartizan key`.

use bartizan_model::AuthorizedKey;
use bartizan_model::api::NewKeys;

use super::{Context, key_file};
use crate::args::Key;
use crate::client::segment;
use crate::failure::{Failure, Kind};
use crate::table::{Table, normal};

pub(crate) async fn run(context: &Context, command: Key) -> Result<(), Failure> {
    let (client, out) = (&context.client, context.out);
    match command {
        Key::Add { person, files } => {
            let texts = files.iter().map(|path| key_file(path)).collect::<Result<Vec<_>, _>>()?;
            let request = NewKeys { person, keys: texts.join("\n") };
            let added: Result<Vec<AuthorizedKey>, Failure> = client.post("/v1/keys", &request).await;
            let added = added.map_err(|failure| match (failure.kind, &*files) {
                // Its lines are of this file.
                (Kind::Usage, [file]) => failure.about(file.display()),
                _ => failure,
            })?;
            let line = |key: &AuthorizedKey| format!("added {} to {}\n", key.fingerprint, key.person);
            out.one(&added, || added.iter().map(line).collect())
        }
        Key::List { person } => {
            let keys: Vec<AuthorizedKey> =
                client.find("/v1/keys", &serde_json::json!({ "person": person })).await?;
            out.listing(&keys, || keys_table(&keys))
        }
        Key::Remove { fingerprint } => {
            let path = format!("/v1/keys/{}", segment(fingerprint));
            let removed: AuthorizedKey = client.delete(&path).await?;
            out.one(&removed, || format!("removed {} from {}\n", removed.fingerprint, removed.person))
        }
    }
}

pub(crate) fn keys_table(keys: &[AuthorizedKey]) -> Table {
    let mut table = Table::new("no keys yet: `bartizan key add PERSON FILE`")
        .flexible("PERSON")
        .flexible("TYPE")
        .column("FINGERPRINT")
        .flexible("COMMENT");
    for key in keys {
        let kind = key.key.split(' ').next().unwrap_or_default();
        table.row([
            normal(&key.person),
            normal(short_type(kind)),
            normal(key.fingerprint),
            normal(&key.comment),
        ]);
    }
    table
}

/// The algorithm without the words that all have in common.
pub(crate) fn short_type(kind: &str) -> String {
    let base = kind.strip_suffix("@openssh.com").unwrap_or(kind);
    let sk = if base.starts_with("sk-") { "sk-" } else { "" };
    let base = base.strip_prefix("sk-").unwrap_or(base);
    let base = base.strip_prefix("ssh-").or_else(|| base.strip_prefix("ecdsa-sha2-")).unwrap_or(base);
    format!("{sk}{base}")
}

#[cfg(test)]
pub(crate) mod tests {
    use bartizan_model::{Fingerprint, PersonName};

    use super::super::person::tests::at;
    use super::*;

    pub(crate) fn keys() -> Vec<AuthorizedKey> {
        [
            ("ssh-ed25519", "alice@laptop"),
            ("sk-ecdsa-sha2-nistp256@openssh.com", "a \u{1b}[31mred\u{1b}[0m comment"),
            ("ssh-rsa", ""),
        ]
        .into_iter()
        .zip(1..)
        .map(|((kind, comment), n)| AuthorizedKey {
            person: PersonName::new("alice").unwrap(),
            key: format!("{kind} AAAA"),
            fingerprint: Fingerprint::from_sha256([n; 32]),
            comment: comment.into(),
            added: at(n.into()),
        })
        .collect()
    }

    #[test]
    fn listing() {
        let shown = keys_table(&keys()).render(Some(80), false);
        assert!(!shown.contains('\u{1b}'));
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        insta::assert_snapshot!(shown);
    }
}
