//! `bartizan cert`.

use std::io::Write as _;
use std::path::Path;

use bartizan_model::api::{
    CertificateIssued, CertificateListed, CertificateSearch, CertificatesRevoked, NewCertificate,
    NewRevocation, RevokeWhat,
};

use super::{Context, key_file, unknown};
use crate::args::{Cert, CertIssue, CertRevoke, KeyOrPrint};
use crate::failure::{Failure, Kind};
use crate::out::{cell, minute, note, time};
use crate::table::{Table, normal};

pub(crate) async fn run(context: &Context, command: Cert) -> Result<(), Failure> {
    match command {
        Cert::Issue(issue) => self::issue(context, issue).await,
        Cert::List { person } => {
            let search = CertificateSearch { person };
            let listed: Vec<CertificateListed> = context.client.find("/v1/certificates", &search).await?;
            unknown(&context.client, search.person.as_ref(), listed.len()).await;
            context.out.listing(&listed, || certificates_table(&listed))
        }
        Cert::Revoke(revoke) => self::revoke(context, revoke).await,
    }
}

async fn issue(context: &Context, issue: CertIssue) -> Result<(), Failure> {
    let CertIssue { person, key, life, sources, permit, output, force } = issue;
    // Looked at before anything is issued.
    if let Some(path) = output.as_deref().filter(|path| !force && path.exists()) {
        return Err(Failure::failed(format!("{} exists already; no certificate was issued", path.display()))
            .hint("name another file, or write over it with --force"));
    }
    let valid_seconds = match life.map(|life| (life.as_secs(), life.subsec_nanos())) {
        None => None,
        Some((seconds, 0)) => Some(seconds),
        Some(_) => return Err(Failure::new(Kind::Usage, "a certificate is valid for whole seconds")),
    };
    let request = NewCertificate { person, key: key_file(&key)?, valid_seconds, sources, permits: permit };
    let issued: CertificateIssued = context.client.post("/v1/certificates", &request).await?;
    match output {
        None => context.out.one(&issued, || format!("{}\n", cell(&issued.certificate))),
        Some(path) => {
            write(&path, &issued)?;
            context.out.one(&issued, || told(&issued, &path))
        }
    }
}

fn write(path: &Path, issued: &CertificateIssued) -> Result<(), Failure> {
    let written = std::fs::File::create(path).and_then(|mut file| writeln!(file, "{}", issued.certificate));
    written.map_err(|e| {
        Failure::failed(format!("cannot write {}: {e}", path.display())).hint(format!(
            "the certificate is issued, and nobody has it; `bartizan cert revoke {}` makes sure of it",
            issued.record.serial
        ))
    })
}

fn told(issued: &CertificateIssued, path: &Path) -> String {
    let record = &issued.record;
    let from = match &*record.sources {
        [] => String::new(),
        sources => {
            format!(", from {}", sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    };
    format!(
        "{}: serial {}, {} until {} UTC{from}\nssh takes it by itself beside the private key of that name; otherwise: \
         ssh -o CertificateFile={}\n",
        path.display(),
        record.serial,
        record.person,
        time(record.valid_before),
        path.display()
    )
}

async fn revoke(context: &Context, CertRevoke { which, ca }: CertRevoke) -> Result<(), Failure> {
    let (what, ca) = match (which.serial, which.key, which.key_id) {
        (Some(serial), _, _) => (RevokeWhat::Serial(serial), Some(ca)),
        (_, Some(KeyOrPrint::Print(fingerprint)), _) => (RevokeWhat::Key(fingerprint.to_string()), None),
        (_, Some(KeyOrPrint::File(path)), _) => (RevokeWhat::Key(key_file(&path)?), None),
        (_, _, Some(key_id)) => (RevokeWhat::KeyId(key_id), Some(ca)),
        (None, None, None) => return Err(Failure::new(Kind::Usage, "name what is to be revoked")),
    };
    let request = NewRevocation { what, ca };
    let revoked: CertificatesRevoked = context.client.post("/v1/revocations", &request).await?;
    if let (Some(person), bartizan_model::RevokedCertificates::Key { key }) =
        (&revoked.registered_to, &revoked.revocation.what)
    {
        note(&format!(
            "the key itself is registered to {person}, and goes on without a certificate; `bartizan key remove {key}` ends that"
        ));
    }
    context.out.one(&revoked, || {
        format!(
            "revoked: {}; live sessions that began with it end\n",
            cell(&revoked.revocation.what.to_string())
        )
    })
}

fn certificates_table(listed: &[CertificateListed]) -> Table {
    let mut table = Table::new("no certificates: `bartizan cert issue PERSON --key FILE` gives one")
        .column("SERIAL")
        .column("STATE")
        .flexible("PERSON")
        .column("UNTIL (UTC)")
        .flexible("FROM")
        .flexible("KEY OR KEY ID");
    for one in listed {
        let sources: Vec<_> = one.sources.iter().map(ToString::to_string).collect();
        // A revocation of another CA's names the CA, too.
        let of = match (&one.person, one.ca) {
            (None, Some(ca)) => format!(" of {ca}"),
            _ => String::new(),
        };
        let named = match (one.key, &one.key_id) {
            (Some(key), _) => key.to_string(),
            (None, key_id) => cell(key_id.as_deref().unwrap_or_default()),
        };
        table.row([
            normal(one.serial.map(|serial| serial.to_string()).unwrap_or_default()),
            normal(one.state.replace('_', " ")),
            normal(one.person.as_ref().map(ToString::to_string).unwrap_or_default()),
            normal(one.until.map(minute).unwrap_or_default()),
            normal(sources.join(", ")),
            normal(format!("{named}{of}").trim_start()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use bartizan_model::Fingerprint;

    use super::*;

    #[test]
    fn listing() {
        let print = |n| Fingerprint::from_sha256([n; 32]);
        let at = |text: &str| Some(text.parse().unwrap());
        let nothing = CertificateListed {
            state: "revoked".into(),
            person: None,
            ca: Some(print(9)),
            serial: None,
            key_id: None,
            key: None,
            sources: vec![],
            issued: None,
            until: None,
            revoked: at("2026-11-29T09:00:00Z"),
        };
        let issued = CertificateListed {
            state: "valid".into(),
            person: Some("alice".parse().unwrap()),
            serial: Some(4_503_599_627_370_497),
            key: Some(print(1)),
            key_id: Some("bartizan person=alice serial=4503599627370497".into()),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            until: at("2026-11-29T18:00:00Z"),
            revoked: None,
            ..nothing.clone()
        };
        let locked = CertificateListed { state: "person_locked".into(), sources: vec![], ..issued.clone() };
        let hostile = CertificateListed { key_id: Some("a\u{1b}[2Jb".into()), ..nothing.clone() };
        let key = CertificateListed { key: Some(print(7)), ca: None, ..nothing.clone() };
        let serial = CertificateListed { serial: Some(7), ..nothing };
        let shown = certificates_table(&[issued, locked, hostile, key, serial]).render(None, false);
        assert!(!shown.contains('\u{1b}'));
        insta::assert_snapshot!(shown);
    }
}
