//! `/v1/revocations`: user certificates that are refused for good, of the people CA and of listed CAs.
//!
//! A revocation is a part of the directory, so the sessions that began with such a certificate are judged again, and end.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use bartizan_audit::Logged;
use bartizan_model::api::{CertificatesRevoked, NewRevocation, RevokeWhat};
use bartizan_model::event::Body;
use bartizan_model::{
    DirectoryData, Fingerprint, IssuedCertificate, PersonName, Revocation, RevokedCertificates, Timestamp,
    escape,
};
use bartizan_store::{CertificateStore as _, DirectoryStore as _, RecordKind, Store, StoreError};

use crate::certificates::{one_key, parts};
use crate::change::{self, Recorded, Story};
use crate::error::{ApiError, Result};
use crate::own_cas;
use crate::peer::Peer;
use crate::state::ApiState;

type WithState = State<Arc<ApiState>>;

pub(crate) async fn revoke(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: std::result::Result<Json<NewRevocation>, JsonRejection>,
) -> Result<Json<CertificatesRevoked>> {
    let Json(NewRevocation { what, ca }) = body?;
    let (data, issued) = (state.parts.store.snapshot().await?, state.parts.store.certificates().await?);
    let (what, known) = meant(&state, &data, &issued, what, ca.as_deref())?;
    if data.revocations.iter().any(|revocation| revocation.what == what) {
        return Err(StoreError::Exists { record: RecordKind::Revocation, name: what.to_string() }.into());
    }
    // A key id or a key can be certified anew, a serial number cannot.
    let one = matches!(what, RevokedCertificates::Serial { .. });
    let ends = known.filter(|_| one).map(|issued| issued.valid_before);
    let registered = match what {
        RevokedCertificates::Key { key } => data.keys.iter().find(|held| held.fingerprint == key),
        _ => None,
    };
    let registered_to = registered.map(|held| held.person.clone());
    let revocation = Revocation { what, added: Timestamp::now(), ends };
    let holder = known.map(|issued| issued.person.clone());
    let store = state.parts.store.clone();
    change::record(&state, peer, Revoke { store, revocation: revocation.clone(), holder }).await?;
    state.in_force().await?;
    Ok(Json(CertificatesRevoked { revocation, registered_to }))
}

/// Which certificates are meant, and one of them that Bartizan issued, if it did.
fn meant<'a>(
    state: &ApiState,
    data: &DirectoryData,
    issued: &'a [IssuedCertificate],
    what: RevokeWhat,
    ca: Option<&str>,
) -> Result<(RevokedCertificates, Option<&'a IssuedCertificate>)> {
    if let RevokeWhat::Key(text) = &what {
        if ca.is_some() {
            return Err(ApiError::invalid("a key is revoked whoever certified it").hint("leave the CA out"));
        }
        let key = match text.trim().parse::<Fingerprint>() {
            Ok(fingerprint) => fingerprint,
            Err(_) => one_key(state, text)?.fingerprint,
        };
        return Ok((RevokedCertificates::Key { key }, issued.iter().rfind(|issued| issued.key == key)));
    }
    if what == RevokeWhat::Serial(0) {
        return Err(ApiError::invalid("0 is the serial number of every certificate whose CA gave it none")
            .hint("revoke it by its key or its key id"));
    }
    let is_meant = |issued: &&IssuedCertificate| match &what {
        RevokeWhat::Serial(serial) => issued.serial == *serial,
        RevokeWhat::KeyId(key_id) => issued.key_id == *key_id,
        RevokeWhat::Key(_) => false,
    };
    let known = issued.iter().rfind(is_meant);
    let ca = match ca {
        None | Some("people") => {
            // The serial number is in the key id of our own, so either names one.
            let known = known.ok_or_else(|| not_issued(&what))?;
            return Ok((RevokedCertificates::Serial { ca: known.ca, serial: known.serial }, Some(known)));
        }
        Some(name) => authority(state, data, name)?,
    };
    let known = known.filter(|issued| issued.ca == ca);
    let revoked = match what {
        RevokeWhat::Serial(serial) => RevokedCertificates::Serial { ca, serial },
        RevokeWhat::KeyId(key_id) => RevokedCertificates::KeyId { ca, key_id },
        RevokeWhat::Key(_) => return Err(ApiError::invalid("a key is revoked whoever certified it")),
    };
    Ok((revoked, known))
}

fn not_issued(what: &RevokeWhat) -> ApiError {
    let what = match what {
        RevokeWhat::Serial(serial) => format!("with the serial number {serial}"),
        RevokeWhat::KeyId(key_id) => format!("with the key id \"{}\"", escape(key_id.as_bytes())),
        RevokeWhat::Key(_) => "for this key".into(),
    };
    ApiError::not_found(format!("the people CA has issued no certificate {what} that is known here")).hint(
        "`bartizan cert list` shows those that it has; with --ca, the comment or the fingerprint of a CA, it is revoked \
         unseen",
    )
}

/// The CA that a comment or a fingerprint names.
fn authority(state: &ApiState, data: &DirectoryData, name: &str) -> Result<Fingerprint> {
    let own = own_cas::listed(state, "people")?;
    let all = || data.cas.iter().map(|ca| (ca.fingerprint, ca.comment.as_str()));
    let all = || all().chain(own.iter().map(|ca| (ca.fingerprint, "")));
    if let Ok(fingerprint) = name.parse::<Fingerprint>() {
        let known = all().any(|(known, _)| known == fingerprint);
        let missing = || StoreError::NotFound { record: RecordKind::Ca, name: fingerprint.to_string() };
        return if known { Ok(fingerprint) } else { Err(missing().into()) };
    }
    let mut called = all().filter(|(_, comment)| *comment == name);
    match (called.next(), called.next()) {
        (Some((fingerprint, _)), None) => Ok(fingerprint),
        (None, _) => {
            let name = escape(name.as_bytes());
            Err(StoreError::NotFound { record: RecordKind::Ca, name }.into())
        }
        (Some(_), Some(_)) => {
            Err(ApiError::conflict("several CAs have that comment").hint("name it by its fingerprint"))
        }
    }
}

struct Revoke {
    store: Store,
    revocation: Revocation,
    holder: Option<PersonName>,
}

impl Recorded for Revoke {
    type Done = ();
    type Error = StoreError;
    type Story = Revoking;
    fn story(&self) -> Revoking {
        Revoking { what: self.revocation.what.clone(), holder: self.holder.clone() }
    }
    async fn apply(logged: Logged<Self>) -> std::result::Result<(), StoreError> {
        let Self { store, revocation, .. } = logged.into_inner();
        loop {
            match store.revoke(&revocation).await {
                Err(full @ StoreError::Full(_)) => change::more_room(&store, full).await?,
                done => return done,
            }
        }
    }
}

struct Revoking {
    what: RevokedCertificates,
    holder: Option<PersonName>,
}

impl Story for Revoking {
    fn body(&self, by: String, reason: Option<String>) -> Body {
        let (ca, serial, key_id, key) = parts(&self.what);
        let key_id = key_id.map(|key_id| escape(key_id.as_bytes()));
        Body::CertificateRevoke { ca, serial, key_id, key, holder: self.holder.clone(), reason, by }
    }
}
