//! What we log in to a target with: a certificate minted for this one session, then Bartizan's own key for the target.

use bartizan_model::Timestamp;
use bartizan_ssh::auth::client::Credential;
use bartizan_ssh::key::{CertificateBuilder, CertificateKind, KeyKind, PrivateKey};

use super::ConnectError;
use crate::grant::Grant;
use crate::keys::Keys;

/// The certificate is valid from so long ago, because clocks differ …
const BACKDATED_SECONDS: u64 = 120;
/// … and for so long from now. It is needed for the login alone; the session goes on without it.
const VALID_SECONDS: u64 = 300;

/// What a session may do on the target is judged by us, request by request, so the certificate permits all.
const EXTENSIONS: [&str; 5] = [
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
];

/// Credentials in the order they are tried, and how events name the first.
///
/// # Errors
/// When the cryptographic library fails.
pub(super) fn for_session(grant: &Grant, keys: &Keys) -> Result<(Vec<Credential>, String), ConnectError> {
    let ours = |error: &dyn std::fmt::Display| ConnectError::Ours {
        what: "mint its credential",
        error: error.to_string(),
    };
    let key = PrivateKey::generate(KeyKind::Ed25519).map_err(|error| ours(&error))?;
    let now = Timestamp::now().unix_seconds();
    let mut builder = CertificateBuilder::new(CertificateKind::User, key.public_key())
        .key_id(format!("bartizan session={} person={}", grant.session, grant.who.person()))
        .principal(grant.login.as_str())
        .valid(now.saturating_sub(BACKDATED_SECONDS), now + VALID_SECONDS);
    for name in EXTENSIONS {
        builder = builder.extension(name, Vec::new());
    }
    let certificate = builder.sign(&keys.user_ca).map_err(|error| ours(&error))?;
    let description = format!("certificate {}", certificate.serial());
    let own = keys.upstream_key(&grant.target.name).map_err(|error| ours(&error))?;
    Ok((vec![Credential::certificate(certificate, key), Credential::key(own)], description))
}
