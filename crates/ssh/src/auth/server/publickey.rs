//! `publickey`: from the fields of a request to a key offered or proved.

use super::AuthLimits;
use super::request::{OfferedKey, ProvenKey, RequestFault};
use crate::auth::UserIdentity;
use crate::key::shown;
use crate::key::{Certificate, CertificateError, CertificateKind, PublicKey, PublicKeyAlgorithm, Verified};
use crate::wire::userauth::{PublicKeyRequest, Request};

/// What a good request holds.
pub(super) enum Shown {
    Offered(OfferedKey),
    Proven(ProvenKey),
}

/// What signatures on this connection must cover.
pub(super) struct Binding<'a> {
    pub(super) session_id: &'a [u8],
    pub(super) host_blob: &'a [u8],
}

/// Reads the key, and verifies the signature if there is one.
pub(super) fn judge(
    request: &Request<'_>,
    key: &PublicKeyRequest<'_>,
    binding: &Binding<'_>,
    limits: &AuthLimits,
) -> Result<Shown, RequestFault> {
    let algorithm = PublicKeyAlgorithm::from_name(key.algorithm)
        .filter(|algorithm| limits.algorithms.contains(&algorithm.signature))
        .ok_or_else(|| RequestFault::AlgorithmNotAllowed(shown(key.algorithm.as_bytes())))?;
    if key.host_key.is_some_and(|host_key| host_key != binding.host_blob) {
        return Err(RequestFault::HostKeyMismatch);
    }
    let identity = read_identity(algorithm, key.blob)?;
    if !identity.key().signature_algorithms().contains(&algorithm.signature) {
        return Err(RequestFault::AlgorithmMismatch);
    }
    let offered = OfferedKey { user: request.user.to_owned(), identity, algorithm };
    let Some(signature) = key.signature else { return Ok(Shown::Offered(offered)) };
    let data = request.signed_data(binding.session_id).unwrap_or_default();
    let Verified { sk } =
        offered.key().verify(algorithm.signature, &data, signature).map_err(RequestFault::Signature)?;
    Ok(Shown::Proven(ProvenKey { offered, sk, hostbound: key.host_key.is_some() }))
}

fn read_identity(algorithm: PublicKeyAlgorithm, blob: &[u8]) -> Result<UserIdentity, RequestFault> {
    if !algorithm.certificate {
        return Ok(PublicKey::from_blob(blob).map_err(RequestFault::Key)?.into());
    }
    let certificate = Certificate::from_blob(blob).map_err(RequestFault::Certificate)?;
    match certificate.kind() {
        CertificateKind::User => Ok(certificate.into()),
        found => {
            let wanted = CertificateKind::User;
            Err(RequestFault::Certificate(CertificateError::WrongKind { found, wanted }))
        }
    }
}
