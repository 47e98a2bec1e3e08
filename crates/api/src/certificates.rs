//! `/v1/certificates`: user certificates that Bartizan's people CA issues.
//!
//! A certificate is signed and handed out once its event is durable. What was issued is kept until it has expired, so that it
//! can be listed and revoked by its serial number; the certificate itself is not kept.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{ConnectInfo, Query, State};
use bartizan_access::{Attempt, CertificateEvidence, Directory, Evidence, Policies, Rejected};
use bartizan_audit::Logged;
use bartizan_model::api::{CertificateIssued, CertificateListed, CertificateSearch, NewCertificate};
use bartizan_model::event::Body;
use bartizan_model::{
    CertificatePermit, DirectoryData, Fingerprint, IssuedCertificate, Person, PersonName, PersonState,
    Revocation, RevokedCertificates, SourceNetwork, Timestamp,
};
use bartizan_store::{CertificateStore as _, DirectoryStore as _, Store, StoreError};

use crate::LOOPBACK;
use crate::change::{self, Recorded, Story};
use crate::error::{ApiError, Result};
use crate::keys::ParsedKey;
use crate::lines::{self, Lines};
use crate::own_cas;
use crate::peer::Peer;
use crate::people::known_person;
use crate::state::ApiState;

/// A certificate is valid for so long, where nothing is said and the configuration permits it.
const USUAL: Duration = Duration::from_secs(8 * 3600);
/// It is valid from so long ago, because clocks differ.
const BACKDATED: Duration = Duration::from_secs(60);
/// Most networks that one names.
const MAX_SOURCES: usize = 64;

/// What a certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateOrder {
    /// The key to certify, as in `authorized_keys`.
    pub key: String,
    /// Whom it stands for: its only principal.
    pub person: PersonName,
    /// Valid from this second on (Unix time).
    pub valid_after: u64,
    /// Valid before this second (Unix time).
    pub valid_before: u64,
    /// From which networks only; empty is anywhere.
    pub sources: Vec<SourceNetwork>,
    /// What it does not hold back.
    pub permits: Vec<CertificatePermit>,
}

/// A certificate that is not signed yet.
pub struct UnsignedCertificate {
    /// The key of the people CA that will sign it.
    pub ca: Fingerprint,
    /// Its serial number, at most 2^53 - 1.
    pub serial: u64,
    /// Its key id.
    pub key_id: String,
    /// Signs it; gives the line of a certificate's file.
    pub sign: Box<dyn FnOnce() -> std::result::Result<String, String> + Send>,
}

/// Signs people's certificates, whoever can: this room knows no SSH.
pub trait CertificateIssuer: Send + Sync {
    /// Prepares a certificate by the key of the people CA that signs now.
    ///
    /// # Errors
    /// When the key cannot be certified, or the cryptographic library fails.
    fn prepare(&self, order: CertificateOrder) -> std::result::Result<UnsignedCertificate, String>;
}

type WithState = State<Arc<ApiState>>;

pub(crate) async fn issue(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: std::result::Result<Json<NewCertificate>, JsonRejection>,
) -> Result<Json<CertificateIssued>> {
    let Json(NewCertificate { person, key, valid_seconds, sources, permits }) = body?;
    let data = state.parts.store.snapshot().await?;
    let person = known_person(&data, &person)?;
    let key = one_key(&state, &key)?;
    check(&data, &person, &key)?;
    if sources.len() > MAX_SOURCES {
        return Err(ApiError::invalid(format!("a certificate names {MAX_SOURCES} networks at most")));
    }
    let now = Timestamp::now();
    let life = life(valid_seconds, *state.parts.longest_certificate.borrow())?;
    // Not from before the person was added: such a certificate would be one of somebody who had the name before.
    let valid_after = now.saturating_sub(BACKDATED).max(person.created).unix_seconds();
    let order = CertificateOrder {
        key: key.key,
        person: person.name.clone(),
        valid_after,
        valid_before: now.saturating_add(life).unix_seconds(),
        sources: sources.clone(),
        permits: permits.clone(),
    };
    let (after, before) = (whole(order.valid_after), whole(order.valid_before));
    let cannot = |why| ApiError::invalid(format!("this key cannot be certified: {why}"));
    let UnsignedCertificate { ca, serial, key_id, sign } =
        state.parts.issuer.prepare(order).map_err(cannot)?;
    let record = IssuedCertificate {
        serial,
        ca,
        key_id,
        person: person.name,
        key: key.fingerprint,
        valid_after: after,
        valid_before: before,
        sources,
        permits,
        issued: now,
    };
    let issue = Issue { store: state.parts.store.clone(), record: record.clone(), sign };
    let certificate = change::record(&state, peer, issue).await?;
    Ok(Json(CertificateIssued { certificate, record }))
}

pub(crate) async fn list(
    State(state): WithState,
    search: std::result::Result<Query<CertificateSearch>, QueryRejection>,
) -> Result<Json<Vec<CertificateListed>>> {
    let Query(CertificateSearch { person }) = search?;
    let (data, mut issued) = (state.parts.store.snapshot().await?, state.parts.store.certificates().await?);
    let now = Timestamp::now();
    issued.retain(|issued| issued.valid_before > now && person.as_ref().is_none_or(|p| *p == issued.person));
    let mut listed = with_states(&state, &data, &issued, now)?;
    if person.is_none() {
        let others = data.revocations.iter().filter(|revocation| {
            let shown = |issued: &IssuedCertificate| match revocation.what {
                RevokedCertificates::Serial { ca, serial } => (ca, serial) == (issued.ca, issued.serial),
                _ => false,
            };
            revocation.ends.is_none_or(|ends| ends > now) && !issued.iter().any(shown)
        });
        listed.extend(others.map(of_revocation));
    }
    Ok(Json(listed))
}

/// Reads a text with one public key.
pub(crate) fn one_key(state: &ApiState, text: &str) -> Result<ParsedKey> {
    let mut keys = lines::read(&state.parts.parse_key, text, Lines::Plain)?;
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        _ => Err(ApiError::invalid("there are several keys in the file").hint("give a file with one")),
    }
}

/// Refuses a certificate that would prove nothing, or that somebody else's key would get.
fn check(data: &DirectoryData, person: &Person, key: &ParsedKey) -> Result<()> {
    if person.state == PersonState::Locked {
        return Err(ApiError::conflict(format!(
            "{} is locked, so a certificate would prove nothing",
            person.name
        ))
        .hint("`bartizan person unlock` lets them log in again"));
    }
    if let Some(held) = data.keys.iter().find(|held| held.fingerprint == key.fingerprint)
        && held.person != person.name
    {
        return Err(
            StoreError::KeyTaken { fingerprint: held.fingerprint, person: held.person.clone() }.into()
        );
    }
    let revoked = RevokedCertificates::Key { key: key.fingerprint };
    if data.revocations.iter().any(|revocation| revocation.what == revoked) {
        return Err(ApiError::conflict(format!("certificates for the key {} are revoked", key.fingerprint))
            .hint("make another key: `ssh-keygen -t ed25519`"));
    }
    Ok(())
}

/// For how long a certificate is valid.
fn life(asked: Option<u64>, longest: Duration) -> Result<Duration> {
    match asked.map(Duration::from_secs) {
        None => Ok(USUAL.min(longest)),
        Some(Duration::ZERO) => Err(ApiError::invalid("a certificate is valid for a second at least")),
        Some(asked) if asked > longest => Err(ApiError::invalid(format!(
            "a certificate is valid for {} s at most here, not for {} s",
            longest.as_secs(),
            asked.as_secs()
        ))
        .hint("ask for less, or set `[certificates] longest` in bartizan.toml")),
        Some(asked) => Ok(asked),
    }
}

/// The beginning of a second of Unix time.
fn whole(seconds: u64) -> Timestamp {
    Timestamp::from_unix_micros(seconds.saturating_mul(1_000_000))
}

/// What was issued, each with what it would prove now: the one function that judges logins is asked.
fn with_states(
    state: &ApiState,
    data: &DirectoryData,
    issued: &[IssuedCertificate],
    now: Timestamp,
) -> Result<Vec<CertificateListed>> {
    let broken =
        |e: &dyn std::fmt::Display| ApiError::unavailable(format!("the directory cannot be judged: {e}"));
    // Grants say nothing of who somebody is.
    let identities = DirectoryData { grants: Vec::new(), targets: Vec::new(), ..data.clone() };
    let own = own_cas::listed(state, "people")?.into_iter().map(|ca| ca.fingerprint);
    let directory =
        Directory::build(&identities, Policies::default()).map_err(|e| broken(&e))?.with_people_ca(own);
    Ok(issued.iter().map(|issued| of_certificate(issued, &directory, &data.revocations, now)).collect())
}

fn of_certificate(
    issued: &IssuedCertificate,
    directory: &Directory,
    revocations: &[Revocation],
    now: Timestamp,
) -> CertificateListed {
    let evidence = Evidence::Certificate(CertificateEvidence {
        ca: issued.ca,
        key: issued.key,
        key_id: issued.key_id.clone(),
        serial: issued.serial,
        principals: vec![issued.person.to_string()],
        valid_after: issued.valid_after.unix_seconds(),
        valid_before: issued.valid_before.unix_seconds(),
        // Where somebody comes from is not known here.
        source_addresses: None,
        extensions: Vec::new(),
    });
    let attempt = Attempt { named: Some(&issued.person), source: LOOPBACK };
    let state = match directory.acceptable(&evidence, &attempt, now) {
        Ok(()) => "valid",
        Err(Rejected::Revoked) => "revoked",
        Err(why) => why.as_str(),
    };
    let covers = |revocation: &&Revocation| {
        revocation.what.covers(&issued.ca, issued.serial, &issued.key, &issued.key_id)
    };
    CertificateListed {
        state: state.into(),
        person: Some(issued.person.clone()),
        ca: Some(issued.ca),
        serial: Some(issued.serial),
        key_id: Some(issued.key_id.clone()),
        key: Some(issued.key),
        sources: issued.sources.clone(),
        issued: Some(issued.issued),
        until: Some(issued.valid_before),
        revoked: revocations.iter().find(covers).map(|revocation| revocation.added),
    }
}

fn of_revocation(revocation: &Revocation) -> CertificateListed {
    let (ca, serial, key_id, key) = parts(&revocation.what);
    CertificateListed {
        state: "revoked".into(),
        person: None,
        ca,
        serial,
        key_id,
        key,
        sources: Vec::new(),
        issued: None,
        until: revocation.ends,
        revoked: Some(revocation.added),
    }
}

/// CA, serial number, key id and key of what is revoked.
pub(crate) fn parts(
    what: &RevokedCertificates,
) -> (Option<Fingerprint>, Option<u64>, Option<String>, Option<Fingerprint>) {
    match what {
        RevokedCertificates::Serial { ca, serial } => (Some(*ca), Some(*serial), None, None),
        RevokedCertificates::KeyId { ca, key_id } => (Some(*ca), None, Some(key_id.clone()), None),
        RevokedCertificates::Key { key } => (None, None, None, Some(*key)),
    }
}

struct Issue {
    store: Store,
    record: IssuedCertificate,
    sign: Box<dyn FnOnce() -> std::result::Result<String, String> + Send>,
}

impl Recorded for Issue {
    type Done = String;
    type Error = ApiError;
    type Story = Issuing;
    fn story(&self) -> Issuing {
        Issuing(self.record.clone())
    }
    async fn apply(change: Logged<Self>) -> Result<String> {
        let Self { store, record, sign } = change.into_inner();
        let certificate =
            sign().map_err(|why| ApiError::unavailable(format!("it could not be signed: {why}")))?;
        // Known before it is anybody's, so that what is out there can be revoked.
        store.add_certificate(&record).await?;
        Ok(certificate)
    }
}

struct Issuing(IssuedCertificate);

impl Story for Issuing {
    fn body(&self, by: String, reason: Option<String>) -> Body {
        let record = self.0.clone();
        Body::CertificateIssue {
            holder: record.person,
            key: record.key,
            ca: record.ca,
            serial: record.serial,
            key_id: record.key_id,
            valid_after: record.valid_after,
            valid_before: record.valid_before,
            sources: record.sources,
            permits: record.permits,
            reason,
            by,
        }
    }
}
