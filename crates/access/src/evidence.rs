//! Who somebody is: what was proven, and what may be concluded from it.

use std::net::IpAddr;
use std::sync::Arc;

use bartizan_model::event::CertificateUsed;
use bartizan_model::{Fingerprint, Permission, PersonName, PersonState, SourceNetwork, Timestamp, escape};

use crate::Directory;

/// What a client has *proven*: a signature over this connection was verified with this key.
///
/// A key that was merely offered is no evidence; ask [`Directory::acceptable`] whether it would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The client holds the private half of a plain public key.
    PublicKey {
        /// The key.
        key: Fingerprint,
    },
    /// The client holds the private half of a certified key.
    Certificate(CertificateEvidence),
}

/// A user certificate as the client proved it.
///
/// Whoever makes this has verified the CA's signature, that the CA's key is itself no certificate, that the
/// certificate is of type *user*, and that it holds no critical option besides `source-address`.
/// Source: OpenSSH PROTOCOL.certkeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateEvidence {
    /// The key that signed it.
    pub ca: Fingerprint,
    /// The key that it certifies.
    pub key: Fingerprint,
    /// Its key id, as sent.
    pub key_id: String,
    /// Its serial number.
    pub serial: u64,
    /// Its principals.
    pub principals: Vec<String>,
    /// Valid from this second on (Unix time).
    pub valid_after: u64,
    /// Valid before this second (Unix time); `u64::MAX` is forever.
    pub valid_before: u64,
    /// The networks of its `source-address` option; `None` without that option.
    pub source_addresses: Option<Vec<SourceNetwork>>,
    /// The names of its extensions.
    pub extensions: Vec<String>,
}

/// The circumstances of an authentication.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The person named in the user name, where one is.
    pub named: Option<&'a PersonName>,
    /// Where the client connects from.
    pub source: IpAddr,
}

/// A person who proved who they are. Minted by [`Directory::authenticate`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    person: PersonName,
    evidence: Arc<Evidence>,
}

impl Authenticated {
    /// Who.
    pub fn person(&self) -> &PersonName {
        &self.person
    }

    /// How they proved it, as in events: `publickey` or `certificate`.
    pub fn method(&self) -> &'static str {
        match *self.evidence {
            Evidence::PublicKey { .. } => "publickey",
            Evidence::Certificate(_) => "certificate",
        }
    }

    /// The key whose possession was proven.
    pub fn key(&self) -> Fingerprint {
        self.evidence.key()
    }

    /// The certificate, where one was used, as events tell it.
    pub fn certificate(&self) -> Option<CertificateUsed> {
        match &*self.evidence {
            Evidence::PublicKey { .. } => None,
            Evidence::Certificate(certificate) => Some(CertificateUsed {
                ca: certificate.ca,
                key_id: escape(certificate.key_id.as_bytes()),
                serial: certificate.serial,
            }),
        }
    }

    /// Somebody who is only supposed to have proven a plain key. Never leaves this room.
    pub(crate) fn supposed(person: &PersonName) -> Self {
        let evidence = Evidence::PublicKey { key: Fingerprint::from_sha256([0; 32]) };
        Self { person: person.clone(), evidence: Arc::new(evidence) }
    }

    /// False when the certificate holds this permission back by lacking the extension for it.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        match permission {
            Permission::Agent => self.has_extension("permit-agent-forwarding"),
            Permission::X11 => self.has_extension("permit-X11-forwarding"),
            Permission::ForwardLocal | Permission::ForwardRemote => {
                self.has_extension("permit-port-forwarding")
            }
            Permission::Shell
            | Permission::Exec
            | Permission::SftpRead
            | Permission::SftpWrite
            | Permission::Scp
            | Permission::Rsync
            | Permission::GitRead
            | Permission::GitWrite
            | Permission::Subsystem
            | Permission::Watch
            | Permission::Terminate
            | Permission::Replay
            | Permission::Approve => true,
        }
    }

    /// Whether a terminal may be asked for.
    pub(crate) fn may_have_pty(&self) -> bool {
        self.has_extension("permit-pty")
    }

    fn has_extension(&self, name: &str) -> bool {
        match &*self.evidence {
            Evidence::PublicKey { .. } => true,
            Evidence::Certificate(certificate) => certificate.extensions.iter().any(|e| e == name),
        }
    }
}

impl Evidence {
    /// The key whose possession was proven.
    pub fn key(&self) -> Fingerprint {
        match self {
            Self::PublicKey { key } => *key,
            Self::Certificate(certificate) => certificate.key,
        }
    }
}

/// Why evidence is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The key is registered to nobody.
    #[error("this key is registered to nobody")]
    UnknownKey,
    /// The key is somebody's, but not of the person named in the user name.
    #[error("this key is not registered to the person named")]
    WrongPerson,
    /// The person is not known.
    #[error("no such person")]
    UnknownPerson,
    /// The person is locked.
    #[error("this person is locked")]
    PersonLocked,
    /// The certificate's CA is not listed.
    #[error("the certificate is signed by an authority that is not trusted")]
    UnknownAuthority,
    /// The certificate is revoked, or all of its key or its key id are.
    #[error("the certificate is revoked")]
    Revoked,
    /// The certificate is not valid yet.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// The certificate is not valid any more.
    #[error("the certificate has expired")]
    Expired,
    /// The certificate may not be used from this address.
    #[error("the certificate may not be used from this address")]
    SourceRefused,
    /// Bartizan issued the certificate to somebody of that name who was removed since.
    #[error("the certificate was issued before this person was added")]
    OlderThanPerson,
    /// The certificate lists no principals.
    #[error("the certificate lists no principals")]
    NoPrincipals,
    /// None of the certificate's principals is the person named, or any person.
    #[error("the certificate is for nobody known here, or not for the person named")]
    NotAPrincipal,
    /// Several of the certificate's principals are people, and the user name names none of them.
    #[error("the certificate is for several people: name one, as in PERSON+LOGIN@TARGET")]
    Ambiguous,
}

impl Rejected {
    /// The reason as `auth.reject` events store it; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::WrongPerson => "wrong_person",
            Self::UnknownPerson => "unknown_person",
            Self::PersonLocked => "person_locked",
            Self::UnknownAuthority => "unknown_authority",
            Self::Revoked => "certificate_revoked",
            Self::OlderThanPerson => "certificate_older_than_person",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::Expired => "certificate_expired",
            Self::SourceRefused => "certificate_source",
            Self::NoPrincipals => "certificate_without_principals",
            Self::NotAPrincipal => "not_a_principal",
            Self::Ambiguous => "ambiguous_principals",
        }
    }
}

impl Directory {
    /// Concludes from proven evidence who somebody is.
    ///
    /// A plain key proves to be the person it is registered to. A certificate of Bartizan's people CA or of a listed CA,
    /// unless it is revoked, proves to be the person whose **name is one of its principals**: the person named in the user name if there is one, else
    /// the only principal that is a known person. Either way a person named in the user name is the one
    /// proven, or nobody is. A certificate of Bartizan's own from before the person was added was somebody else's.
    ///
    /// # Errors
    /// Why the evidence is not enough.
    pub fn authenticate(
        &self,
        evidence: Evidence,
        attempt: &Attempt<'_>,
        now: Timestamp,
    ) -> Result<Authenticated, Rejected> {
        let person = self.proven(&evidence, attempt, now)?.clone();
        Ok(Authenticated { person, evidence: Arc::new(evidence) })
    }

    /// Tells whether evidence would be enough if it were proven: the answer to a key that was only offered.
    /// Proves nothing and mints nothing.
    ///
    /// # Errors
    /// Why it would not be enough.
    pub fn acceptable(
        &self,
        offered: &Evidence,
        attempt: &Attempt<'_>,
        now: Timestamp,
    ) -> Result<(), Rejected> {
        self.proven(offered, attempt, now).map(drop)
    }

    /// Tells whether somebody who proved who they are is still known by it: what keeps a console open. Permits nothing.
    ///
    /// # Errors
    /// Why not: locked, removed, key or CA withdrawn, certificate revoked.
    pub fn recognizes(&self, who: &Authenticated, now: Timestamp) -> Result<(), Rejected> {
        self.still_proven(who, false, now)
    }

    /// Tells whether what somebody proved earlier would still prove it. `fresh` asks for a certificate that is
    /// valid now; a session under way outlives its certificate.
    pub(crate) fn still_proven(
        &self,
        who: &Authenticated,
        fresh: bool,
        now: Timestamp,
    ) -> Result<(), Rejected> {
        match &*who.evidence {
            Evidence::PublicKey { key } if self.holder(key) != Some(&who.person) => {
                return Err(Rejected::UnknownKey);
            }
            Evidence::PublicKey { .. } => {}
            Evidence::Certificate(certificate) => {
                self.check_standing(certificate)?;
                if fresh {
                    certificate.check_time(now)?;
                }
                self.check_age(certificate, &who.person)?;
            }
        }
        self.active(&who.person).map(drop)
    }

    fn proven<'a>(
        &'a self,
        evidence: &'a Evidence,
        attempt: &Attempt<'_>,
        now: Timestamp,
    ) -> Result<&'a PersonName, Rejected> {
        match evidence {
            Evidence::PublicKey { key } => {
                let holder = self.holder(key).ok_or(Rejected::UnknownKey)?;
                if attempt.named.is_some_and(|named| named != holder) {
                    return Err(Rejected::WrongPerson);
                }
                self.active(holder)
            }
            Evidence::Certificate(certificate) => {
                self.check_standing(certificate)?;
                certificate.check_time(now)?;
                certificate.check_source(attempt.source)?;
                let person = self.principal(certificate, attempt.named)?;
                self.check_age(certificate, person)?;
                Ok(person)
            }
        }
    }

    /// Refuses a certificate of a CA that is not trusted, or one that is revoked.
    fn check_standing(&self, certificate: &CertificateEvidence) -> Result<(), Rejected> {
        if !self.trusts(&certificate.ca) {
            return Err(Rejected::UnknownAuthority);
        }
        if self.is_revoked(certificate) { Err(Rejected::Revoked) } else { Ok(()) }
    }

    /// Refuses a certificate of Bartizan's own that was issued before this person was added: to another of that name. What
    /// other CAs sign says nothing of when people are added here.
    fn check_age(&self, certificate: &CertificateEvidence, person: &PersonName) -> Result<(), Rejected> {
        let added = self.person(person).map(|person| person.created.unix_seconds());
        match added {
            Some(added) if self.is_own(&certificate.ca) && certificate.valid_after < added => {
                Err(Rejected::OlderThanPerson)
            }
            _ => Ok(()),
        }
    }

    /// The person that a certificate's principals prove.
    fn principal(
        &self,
        certificate: &CertificateEvidence,
        named: Option<&PersonName>,
    ) -> Result<&PersonName, Rejected> {
        // To OpenSSH a certificate without principals fits everybody; to us it fits nobody.
        if certificate.principals.is_empty() {
            return Err(Rejected::NoPrincipals);
        }
        if let Some(named) = named {
            let listed = certificate.principals.iter().any(|principal| principal == named.as_str());
            return if listed { self.active(named) } else { Err(Rejected::NotAPrincipal) };
        }
        let mut people: Vec<&PersonName> =
            certificate.principals.iter().filter_map(|p| self.person_called(p)).map(|p| &p.name).collect();
        people.sort_unstable();
        people.dedup();
        match *people {
            [] => Err(Rejected::NotAPrincipal),
            [one] => self.active(one),
            _ => Err(Rejected::Ambiguous),
        }
    }

    /// The person, if they may log in.
    pub(crate) fn active(&self, name: &PersonName) -> Result<&PersonName, Rejected> {
        let person = self.person(name).ok_or(Rejected::UnknownPerson)?;
        match person.state {
            PersonState::Active => Ok(&person.name),
            PersonState::Locked => Err(Rejected::PersonLocked),
        }
    }
}

impl CertificateEvidence {
    fn check_time(&self, now: Timestamp) -> Result<(), Rejected> {
        let now = now.unix_seconds();
        if now < self.valid_after {
            Err(Rejected::NotYetValid)
        } else if now >= self.valid_before {
            Err(Rejected::Expired)
        } else {
            Ok(())
        }
    }

    fn check_source(&self, source: IpAddr) -> Result<(), Rejected> {
        match &self.source_addresses {
            Some(networks) if !networks.iter().any(|n| n.contains(source)) => Err(Rejected::SourceRefused),
            _ => Ok(()),
        }
    }
}
