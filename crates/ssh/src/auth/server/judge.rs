//! From the fields of a request to what it shows or proves; no state.

use super::AuthLimits;
use super::request::{AuthRequest, OfferedKey, Pending, ProvenKey, RequestFault};
use crate::auth::{AuthMethod, Secret, UserIdentity};
use crate::key::shown;
use crate::key::{Certificate, CertificateError, CertificateKind, PublicKey, PublicKeyAlgorithm, Verified};
use crate::wire::userauth::{Method, PublicKeyRequest, Request, SERVICE_CONNECTION, SecretBytes};

/// What signatures on this connection must cover.
pub(super) struct Binding<'a> {
    pub(super) session_id: &'a [u8],
    pub(super) host_blob: &'a [u8],
}

/// What the request is, and what it may be answered with.
pub(super) fn judge(
    request: &Request<'_>,
    binding: &Binding<'_>,
    limits: &AuthLimits,
) -> Result<(Pending, AuthRequest), RequestFault> {
    if request.service != SERVICE_CONNECTION {
        return Err(RequestFault::UnknownService(shown(request.service.as_bytes())));
    }
    let user = request.user.to_owned();
    let evidence = |method, event| Ok((Pending::Evidence(method), event));
    match request.method {
        Method::None => evidence(AuthMethod::None, AuthRequest::None { user }),
        Method::PublicKey(key) => judge_key(request, &key, binding, limits),
        Method::Password { password, new_password } => {
            let too_long = |secret: &SecretBytes<'_>| secret.0.len() > limits.secret_bytes;
            if too_long(&password) || new_password.as_ref().is_some_and(too_long) {
                return Err(RequestFault::TooLong("password"));
            }
            let new_password = new_password.map(|new| Secret::new(new.0));
            let password = Secret::new(password.0);
            evidence(AuthMethod::Password, AuthRequest::Password { user, password, new_password })
        }
        Method::KeyboardInteractive { submethods, .. } => {
            if submethods.len() > limits.user_name_bytes {
                return Err(RequestFault::TooLong("submethods"));
            }
            let submethods = String::from_utf8_lossy(submethods).into_owned();
            let event = AuthRequest::KeyboardInteractive { user, submethods };
            evidence(AuthMethod::KeyboardInteractive, event)
        }
        Method::HostBased(_) | Method::Other { .. } => Err(RequestFault::UnknownMethod),
    }
}

/// Reads the key, and verifies the signature if there is one. The only place that makes a [`ProvenKey`].
fn judge_key(
    request: &Request<'_>,
    key: &PublicKeyRequest<'_>,
    binding: &Binding<'_>,
    limits: &AuthLimits,
) -> Result<(Pending, AuthRequest), RequestFault> {
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
    let Some(signature) = key.signature else {
        let pending = Pending::Offered { algorithm: algorithm.name(), blob: key.blob.to_vec() };
        return Ok((pending, AuthRequest::Offered(offered)));
    };
    let data = request.signed_data(binding.session_id).unwrap_or_default();
    let Verified { sk } =
        offered.key().verify(algorithm.signature, &data, signature).map_err(RequestFault::Signature)?;
    let proven = ProvenKey { offered, sk, hostbound: key.host_key.is_some() };
    Ok((Pending::Evidence(AuthMethod::PublicKey), AuthRequest::Proven(proven)))
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
