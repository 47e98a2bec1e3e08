//! Of the commands about people's certificates.

use std::path::PathBuf;
use std::time::Duration;

use bartizan_model::{CertificatePermit, PersonName, SourceNetwork};
use clap::{Args, Subcommand};

use super::values::{KeyOrPrint, duration, network, word};

#[derive(Debug, Subcommand)]
pub(crate) enum Cert {
    /// Give a person a user certificate: until it ends, it logs them in to Bartizan with the key that it certifies.
    ///
    /// It is signed by Bartizan's people CA, which no target trusts: with it nobody reaches a target but through Bartizan.
    /// The key need not be registered. Grants decide what the person may do, as ever.
    Issue(CertIssue),
    /// List the certificates of the people CA that have not expired, and what is revoked.
    #[command(visible_alias = "ls")]
    List {
        /// Only those of this person.
        #[arg(long)]
        person: Option<PersonName>,
    },
    /// Refuse certificates for good, of the people CA or of a trusted CA. Live sessions that began with one end.
    Revoke(CertRevoke),
}

#[derive(Debug, Args)]
pub(crate) struct CertIssue {
    /// For whom.
    pub(crate) person: PersonName,
    /// A file with their public key; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// How long it is valid from now on (30m, 8h), at most `[certificates] longest` of the configuration. Without it
    /// eight hours, or that if it is less.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) life: Option<Duration>,
    /// From which networks only; repeat or separate by commas.
    #[arg(long = "source", value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub(crate) sources: Vec<SourceNetwork>,
    /// What it does not hold back, where a grant permits it: agent-forwarding, port-forwarding, X11-forwarding; repeat or
    /// separate by commas. Without it the certificate is for sessions and files alone.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = permit)]
    pub(crate) permit: Vec<CertificatePermit>,
    /// Write the certificate to this file, such as id_ed25519-cert.pub beside id_ed25519; otherwise to standard output.
    #[arg(long, short, alias = "out", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CertRevoke {
    #[command(flatten)]
    pub(crate) which: Certificates,
    /// Of this CA: `people`, the comment of a trusted CA, or a fingerprint.
    #[arg(long, value_name = "CA", default_value = "people")]
    pub(crate) ca: String,
}

/// Which certificates; one is required.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Certificates {
    /// The one with this serial number.
    pub(crate) serial: Option<u64>,
    /// All for this public key, whichever CA signed them: a file, or a fingerprint SHA256:….
    #[arg(long, value_name = "FILE|FINGERPRINT", conflicts_with = "ca")]
    pub(crate) key: Option<KeyOrPrint>,
    /// All with this key id.
    #[arg(long, value_name = "ID")]
    pub(crate) key_id: Option<String>,
}

fn permit(text: &str) -> Result<CertificatePermit, String> {
    word(text).map_err(|_| "expected agent-forwarding, port-forwarding or X11-forwarding".into())
}
