use crate::auth::server::{AuthLimits, AuthRequest, ServerAuth};
use crate::auth::{AuthError, UserIdentity};
use crate::key::{Certificate, CertificateBuilder, CertificateKind, KeyKind, PrivateKey, PublicKeyAlgorithm};
use crate::wire::Writer as _;
use crate::wire::userauth::{Method, Payload, PublicKeyRequest, Request, SERVICE_CONNECTION, SecretBytes};

pub(super) const SESSION_ID: &[u8] = b"the exchange hash of the first key exchange";
pub(super) const HOST_BLOB: &[u8] = b"the host key blob";

pub(super) fn key(kind: KeyKind) -> PrivateKey {
    PrivateKey::generate(kind).unwrap()
}

pub(super) fn ed25519() -> PrivateKey {
    key(KeyKind::Ed25519)
}

pub(super) fn certify(kind: CertificateKind, key: &PrivateKey) -> Certificate {
    let builder = CertificateBuilder::new(kind, key.public_key()).principal("root").valid(0, u64::MAX);
    builder.sign(&ed25519()).unwrap()
}

/// A server that has accepted the service.
pub(super) fn idle_server() -> ServerAuth {
    server_with(AuthLimits::default())
}

pub(super) fn server_with(limits: AuthLimits) -> ServerAuth {
    let mut server = ServerAuth::new(SESSION_ID, HOST_BLOB, limits);
    let mut out = Vec::new();
    assert!(server.on_packet(&service(5, "ssh-userauth"), &mut out).unwrap().is_none());
    assert_eq!(out[0][..], service(6, "ssh-userauth")[..]);
    server
}

/// SERVICE_REQUEST (5) or SERVICE_ACCEPT (6).
pub(super) fn service(number: u8, name: &str) -> Payload {
    let mut payload = Payload::default();
    payload.put_u8(number);
    payload.put_string(name.as_bytes());
    payload
}

pub(super) fn request<'a>(user: &'a str, method: Method<'a>) -> Request<'a> {
    Request { user, service: SERVICE_CONNECTION, method }
}

pub(super) fn none(user: &str) -> Payload {
    request(user, Method::None).to_payload()
}

pub(super) fn password(user: &str, password: &[u8]) -> Payload {
    let method = Method::Password { password: SecretBytes(password), new_password: None };
    request(user, method).to_payload()
}

pub(super) fn interactive(user: &str) -> Payload {
    request(user, Method::KeyboardInteractive { language: b"", submethods: b"" }).to_payload()
}

/// A `publickey` request, its signature wrong in whatever way the caller likes.
#[derive(Clone)]
pub(super) struct Signed<'a> {
    pub(super) user: &'a str,
    pub(super) key: &'a PrivateKey,
    pub(super) identity: UserIdentity,
    /// As named in the request.
    pub(super) algorithm: &'a str,
    /// The one really used.
    pub(super) signs_with: PublicKeyAlgorithm,
    pub(super) session_id: &'a [u8],
    pub(super) host_key: Option<&'a [u8]>,
}

impl<'a> Signed<'a> {
    pub(super) fn by(key: &'a PrivateKey, user: &'a str) -> Self {
        Self::with(key, user, key.public_key().clone().into())
    }

    pub(super) fn with(key: &'a PrivateKey, user: &'a str, identity: UserIdentity) -> Self {
        let signature = key.public_key().signature_algorithms()[0];
        let signs_with = PublicKeyAlgorithm { signature, certificate: identity.certificate().is_some() };
        let algorithm = signs_with.name();
        Self { user, key, identity, algorithm, signs_with, session_id: SESSION_ID, host_key: None }
    }

    fn fields(&'a self, signature: Option<&'a [u8]>) -> Request<'a> {
        let (algorithm, blob, host_key) = (self.algorithm, self.identity.blob(), self.host_key);
        let method = Method::PublicKey(PublicKeyRequest { algorithm, blob, host_key, signature });
        request(self.user, method)
    }

    pub(super) fn offer(&self) -> Payload {
        self.fields(None).to_payload()
    }

    pub(super) fn payload(&self) -> Payload {
        let data = self.fields(None).signed_data(self.session_id).unwrap();
        let signature = self.key.sign(self.signs_with.signature, &data).unwrap();
        self.fields(Some(&signature)).to_payload()
    }
}

/// Feeds one payload to a server that has nothing to say by itself.
pub(super) fn feed(server: &mut ServerAuth, payload: &[u8]) -> Result<Option<AuthRequest>, AuthError> {
    let mut out = Vec::new();
    let result = server.on_packet(payload, &mut out);
    assert!(out.is_empty(), "the server answers only when it is told to");
    result
}
