//! What must be there before anything can be tested: without it nothing would be said about the evidence.

use std::path::Path;
use std::process::{Command, Stdio};

use bartizan_model::api::PersonDetail;

use super::super::Context;
use crate::args::Selftest;
use crate::client::segment;
use crate::failure::{Failure, Kind};

/// Keys that ssh takes by itself.
const OWN_KEYS: [&str; 5] = ["id_ed25519", "id_rsa", "id_ecdsa", "id_ed25519_sk", "id_ecdsa_sk"];

/// Looks for the programs, the key and the person.
///
/// # Errors
/// When one of them is not there, or the person is locked or has no key.
pub(super) async fn check(context: &Context, command: &Selftest) -> Result<(), Failure> {
    for program in ["ssh", "scp", "sftp"] {
        is_there(program)?;
    }
    match &command.identity {
        Some(file) => {
            std::fs::File::open(file).map_err(|e| {
                Failure::new(Kind::Usage, format!("cannot read the key {}: {e}", file.display()))
                    .hint("name the person's private key with --identity FILE")
            })?;
        }
        None if has_key() => {}
        None => {
            return Err(Failure::new(
                Kind::Usage,
                "ssh has no key here: no agent, and none of its own in ~/.ssh",
            )
            .hint("name the person's private key with --identity FILE"));
        }
    }
    let person: PersonDetail =
        context.client.get(&format!("/v1/people/{}", segment(&command.person))).await?;
    if person.keys.is_empty() {
        crate::out::note(&format!("{} has no key here, so only a certificate can log in", command.person));
    }
    Ok(())
}

fn is_there(program: &str) -> Result<(), Failure> {
    // Without arguments each of them says how it is used, and ends.
    let started =
        Command::new(program).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    started.map(drop).map_err(|e| {
        Failure::failed(format!("cannot run {program}: {e}"))
            .hint("the self-test needs OpenSSH's ssh, scp and sftp in PATH")
    })
}

fn has_key() -> bool {
    let folder = std::env::var_os("HOME").map(|home| Path::new(&home).join(".ssh"));
    let own = |folder: &Path| OWN_KEYS.iter().any(|name| folder.join(name).exists());
    std::env::var_os("SSH_AUTH_SOCK").is_some() || folder.is_some_and(|folder| own(&folder))
}
