//! `bartizan target credential` and `bartizan vault`.

use std::io::Read as _;
use std::path::Path;

use bartizan_model::api::{CredentialSearch, NewCredential, VaultStatus};
use bartizan_model::{CredentialKind, LoginName, SecretText, StoredCredential, TargetName};
use zeroize::Zeroizing;

use super::Context;
use crate::args::{Credential, CredentialSource, Vault};
use crate::client::segment;
use crate::failure::{Failure, Kind};
use crate::table::{Table, normal};

/// Longest secret that is read.
const MAX_SECRET_BYTES: u64 = 64 << 10;

pub(crate) async fn run(context: &Context, command: Credential) -> Result<(), Failure> {
    let (client, out) = (&context.client, context.out);
    match command {
        Credential::Set { target, login, source } => {
            let new = secret(&source)?;
            let stored: StoredCredential = client.put(&path(&target, &login), &new).await?;
            out.one(&stored, || format!("Bartizan now logs in to {}\n", described(&stored)))
        }
        Credential::List { target } => {
            let stored: Vec<StoredCredential> =
                client.find("/v1/credentials", &CredentialSearch { target }).await?;
            out.listing(&stored, || credentials_table(&stored))
        }
        Credential::Remove { target, login } => {
            let removed: StoredCredential = client.delete(&path(&target, &login)).await?;
            out.one(&removed, || {
                format!("removed the {} of {login}@{target}; a certificate is used again\n", removed.kind)
            })
        }
    }
}

pub(crate) async fn vault(context: &Context, command: Vault) -> Result<(), Failure> {
    let (client, out) = (&context.client, context.out);
    match command {
        Vault::Show => {
            let vault: VaultStatus = client.get("/v1/vault").await?;
            out.one(&vault, || shown(&vault))
        }
        Vault::Rotate => {
            let vault: VaultStatus = client.post("/v1/vault/rotate", &()).await?;
            out.one(&vault, || {
                format!("{}the master key is new: back it up, and not beside the database\n", shown(&vault))
            })
        }
    }
}

fn shown(vault: &VaultStatus) -> String {
    let VaultStatus { master_key, master_key_file, credentials } = vault;
    format!(
        "master key   {master_key} in {}\ncredentials  {credentials}\n",
        crate::out::cell(master_key_file)
    )
}

fn path(target: &TargetName, login: &LoginName) -> String {
    format!("/v1/targets/{}/credentials/{}", segment(target), segment(login))
}

/// Reads the secret from where the operator says. Never from the command line, which others can see.
fn secret(source: &CredentialSource) -> Result<NewCredential, Failure> {
    match source {
        CredentialSource { key_file: Some(file), .. } => {
            let text = read(file)?;
            if !text.contains("PRIVATE KEY-----") {
                let shown = file.display();
                return Err(Failure::new(Kind::Usage, format!("{shown} holds no private key"))
                    .hint("give the file without .pub at the end"));
            }
            Ok(NewCredential::Key(SecretText::new(text)))
        }
        CredentialSource { agent: true, .. } => Ok(NewCredential::Agent),
        CredentialSource { .. } => {
            let mut text = read(Path::new("-"))?;
            // `echo` and editors end what they write with a line break; passwords hold none.
            let length = text.trim_end_matches(['\r', '\n']).len();
            text.truncate(length);
            if text.contains(['\r', '\n']) {
                return Err(Failure::new(Kind::Usage, "standard input holds more than one line"));
            }
            Ok(NewCredential::Password(SecretText::new(text)))
        }
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let name = if path == Path::new("-") { "standard input".into() } else { path.display().to_string() };
    let unreadable = |e: std::io::Error| Failure::failed(format!("cannot read {name}: {e}"));
    // Room for all of it at once, so that growing leaves no copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_SECRET_BYTES as usize + 1));
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_SECRET_BYTES + 1).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text)
    };
    read.map_err(unreadable)?;
    match text.len() {
        0 => Err(Failure::new(Kind::Usage, format!("{name} is empty"))),
        length if length as u64 > MAX_SECRET_BYTES => {
            Err(Failure::new(Kind::Usage, format!("{name} is longer than any secret")))
        }
        _ => Ok(text),
    }
}

fn described(stored: &StoredCredential) -> String {
    let StoredCredential { target, login, kind, .. } = stored;
    if *kind == CredentialKind::Agent {
        return format!(
            "{login}@{target} with the agent that the person forwards to the console, and nothing else"
        );
    }
    match &stored.fingerprint {
        Some(fingerprint) => format!("{login}@{target} with the stored {kind} {fingerprint}"),
        None => format!("{login}@{target} with the stored {kind}"),
    }
}

fn credentials_table(stored: &[StoredCredential]) -> Table {
    let mut table = Table::new("no stored credentials: Bartizan logs in with certificates of its user CA")
        .flexible("TARGET")
        .flexible("LOGIN")
        .column("KIND")
        .column("FINGERPRINT")
        .column("SINCE (UTC)");
    for credential in stored {
        let fingerprint = credential.fingerprint.map_or_else(String::new, |f| f.to_string());
        table.row([
            normal(&credential.target),
            normal(&credential.login),
            normal(credential.kind),
            normal(fingerprint),
            normal(crate::out::minute(credential.added)),
        ]);
    }
    table
}

#[cfg(test)]
pub(crate) mod tests {
    use bartizan_model::Fingerprint;

    use super::super::person::tests::at;
    use super::*;

    pub(crate) fn credentials() -> Vec<StoredCredential> {
        let stored = |target: &str, kind, fingerprint| StoredCredential {
            target: target.parse().unwrap(),
            login: "root".parse().unwrap(),
            kind,
            key: None,
            fingerprint,
            added: at(0),
        };
        vec![
            stored("web-1", CredentialKind::Password, None),
            stored("db", CredentialKind::Key, Some(Fingerprint::from_sha256([4; 32]))),
        ]
    }

    #[test]
    fn listing() {
        insta::assert_snapshot!(credentials_table(&credentials()).render(Some(80), false));
        insta::assert_snapshot!(credentials_table(&[]).render(Some(80), false));
    }
}
