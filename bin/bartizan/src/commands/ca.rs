//! `bartizan ca`.

use bartizan_model::api::{NewCas, NewOwnCa, OwnCa as Own};
use bartizan_model::{Fingerprint, Timestamp, TrustedCa};
use serde::Serialize;

use super::key::short_type;
use super::{Context, key_file};
use crate::args::{Ca, OwnCa};
use crate::client::segment;
use crate::failure::Failure;
use crate::out::minute;
use crate::table::{Table, normal};

pub(crate) async fn run(context: &Context, command: Ca) -> Result<(), Failure> {
    let (client, out) = (&context.client, context.out);
    match command {
        Ca::Show { which } => {
            let keys: Vec<Own> = client.get(&path(which, "")).await?;
            // Only the lines, so that they can be put into a file.
            out.one(&keys, || keys.iter().map(|ca| format!("{}\n", crate::out::cell(&ca.key))).collect())
        }
        Ca::Rotate { which, activate: true, .. } => {
            let keys: Vec<Own> = client.post(&path(which, "/activate"), &()).await?;
            out.one(&keys, || format!("{}the old key signs no more; drop it with `bartizan ca retire {}` once nobody needs it\n", told(&keys), word(which)))
        }
        Ca::Rotate { which, at, .. } => {
            let keys: Vec<Own> = client.post(&path(which, "/rotate"), &NewOwnCa { activates: at }).await?;
            out.one(&keys, || {
                let word = word(which);
                let then = match at {
                    Some(at) => {
                        format!("before {} UTC, when the next key begins to sign", crate::out::time(at))
                    }
                    None => format!("then let the next key sign: bartizan ca rotate {word} --activate"),
                };
                let place = match which {
                    OwnCa::User => "on every target (TrustedUserCAKeys)",
                    OwnCa::Host => "with every client (bartizan ssh-config prints its lines)",
                    // Only Bartizan trusts it, and knows of it already.
                    OwnCa::People => return format!("{}nothing is to be installed; {then}\n", told(&keys)),
                };
                format!("{}install what `bartizan ca show {word}` prints {place}; {then}\n", told(&keys))
            })
        }
        Ca::Cancel { which } => {
            let keys: Vec<Own> = client.post(&path(which, "/cancel"), &()).await?;
            out.one(&keys, || {
                let remove = match which {
                    OwnCa::People => "",
                    OwnCa::User | OwnCa::Host => "; where it is installed already, remove it",
                };
                format!("{}the next key is gone{remove}\n", told(&keys))
            })
        }
        Ca::Retire { which } => {
            let keys: Vec<Own> = client.post(&path(which, "/retire"), &()).await?;
            out.one(&keys, || told(&keys))
        }
        Ca::Trust { file } => {
            let added: Vec<TrustedCa> = client.post("/v1/cas", &NewCas { keys: key_file(&file)? }).await?;
            out.one(&added, || added.iter().map(|ca| format!("trusted {}\n", ca.fingerprint)).collect())
        }
        Ca::Untrust { fingerprint } => {
            let removed: TrustedCa = client.delete(&format!("/v1/cas/{}", segment(fingerprint))).await?;
            out.one(&removed, || format!("{} is not trusted any more\n", removed.fingerprint))
        }
        Ca::List => {
            let mut all = Vec::new();
            for which in [OwnCa::User, OwnCa::Host, OwnCa::People] {
                let keys: Vec<Own> = client.get(&path(which, "")).await?;
                all.extend(keys.into_iter().map(|ca| Listed::own(which, ca)));
            }
            let trusted: Vec<TrustedCa> = client.get("/v1/cas").await?;
            all.extend(trusted.into_iter().map(Listed::trusted));
            out.listing(&all, || cas_table(&all))
        }
    }
}

fn word(which: OwnCa) -> &'static str {
    match which {
        OwnCa::User => "user",
        OwnCa::Host => "host",
        OwnCa::People => "people",
    }
}

fn path(which: OwnCa, step: &str) -> String {
    format!("/v1/own-cas/{}{step}", word(which))
}

/// A line for each key.
fn told(keys: &[Own]) -> String {
    let from = |ca: &Own| ca.activates.map(|at| format!("  signs from {} UTC", crate::out::time(at)));
    let line = |ca: &Own| format!("{:<6}  {}{}\n", ca.state, ca.fingerprint, from(ca).unwrap_or_default());
    keys.iter().map(line).collect()
}

/// A key of the listing: whose, and what it does.
#[derive(Debug, Serialize)]
struct Listed {
    /// `user`, `host` and `people` are Bartizan's own; people's certificates are signed by `people` and `trusted` ones.
    ca: &'static str,
    state: String,
    key: String,
    fingerprint: Fingerprint,
    comment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    activates: Option<Timestamp>,
    /// When a trusted one was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
}

impl Listed {
    fn own(which: OwnCa, ca: Own) -> Self {
        let mut words = ca.key.splitn(3, ' ');
        let key = [words.next().unwrap_or_default(), words.next().unwrap_or_default()].join(" ");
        let comment = words.next().unwrap_or_default().to_owned();
        let (state, activates) = (ca.state.to_string(), ca.activates);
        Self { ca: word(which), state, key, fingerprint: ca.fingerprint, comment, activates, created: None }
    }

    fn trusted(ca: TrustedCa) -> Self {
        let TrustedCa { key, fingerprint, comment, added } = ca;
        let (state, activates, created) = ("active".into(), None, Some(added));
        Self { ca: "trusted", state, key, fingerprint, comment, activates, created }
    }
}

fn cas_table(cas: &[Listed]) -> Table {
    let mut table = Table::new("no CA at all")
        .column("CA")
        .column("STATE")
        .flexible("TYPE")
        .column("FINGERPRINT")
        .column("SIGNS FROM (UTC)")
        .flexible("COMMENT");
    for ca in cas {
        table.row([
            normal(ca.ca),
            normal(&ca.state),
            normal(short_type(ca.key.split(' ').next().unwrap_or_default())),
            normal(ca.fingerprint),
            normal(ca.activates.map(minute).unwrap_or_default()),
            normal(&ca.comment),
        ]);
    }
    table
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::key::tests::keys;
    use super::*;

    /// The JSON of one that is trusted and of one of Bartizan's own.
    pub(crate) fn listed() -> Vec<serde_json::Value> {
        let key = keys().remove(0);
        let own = Own {
            key: format!("{} bartizan user CA", key.key),
            fingerprint: key.fingerprint,
            state: bartizan_model::api::CaState::Next,
            activates: Some("2026-12-31T18:00:00Z".parse().unwrap()),
        };
        [Listed::own(OwnCa::User, own), Listed::trusted(trusted(key))]
            .iter()
            .map(|ca| serde_json::to_value(ca).unwrap())
            .collect()
    }

    fn trusted(k: bartizan_model::AuthorizedKey) -> TrustedCa {
        TrustedCa { key: k.key, fingerprint: k.fingerprint, comment: k.comment, added: k.added }
    }

    #[test]
    fn listing() {
        let mut cas: Vec<_> = (keys().into_iter()).map(|key| Listed::trusted(trusted(key))).collect();
        cas[0].activates = Some("2026-12-31T18:00:00Z".parse().unwrap());
        insta::assert_snapshot!(cas_table(&cas).render(Some(80), false));
    }
}
