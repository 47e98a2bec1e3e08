//! Keys and certificates made by the real `ssh-keygen`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

/// Types of keys that tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// `ssh-ed25519`.
    Ed25519,
    /// `ecdsa-sha2-nistp256`.
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`.
    EcdsaP384,
    /// `ecdsa-sha2-nistp521`.
    EcdsaP521,
    /// `ssh-rsa` of 2,048 bits.
    Rsa,
}

impl KeyType {
    const fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Ed25519 => ["-t", "ed25519", "-b", "256"],
            Self::EcdsaP256 => ["-t", "ecdsa", "-b", "256"],
            Self::EcdsaP384 => ["-t", "ecdsa", "-b", "384"],
            Self::EcdsaP521 => ["-t", "ecdsa", "-b", "521"],
            Self::Rsa => ["-t", "rsa", "-b", "2048"],
        }
    }
}

/// A key pair in files, without a passphrase.
#[derive(Clone, Debug)]
pub struct KeyPair {
    path: PathBuf,
}

impl KeyPair {
    /// Makes `folder/name` and `folder/name.pub`.
    ///
    /// # Panics
    /// When `ssh-keygen` fails.
    pub fn generate(folder: &Path, name: &str, kind: KeyType) -> Self {
        let path = folder.join(name);
        let mut keygen = Command::new("ssh-keygen");
        run(keygen.args(kind.arguments()).args(["-q", "-N", "", "-C", name, "-f"]).arg(&path)).ok();
        Self { path }
    }

    /// The private key's file.
    pub fn private(&self) -> &Path {
        &self.path
    }

    /// The public key's file.
    pub fn public(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".pub");
        name.into()
    }

    /// The public key as one line, without its end.
    ///
    /// # Panics
    /// When the file cannot be read.
    pub fn line(&self) -> String {
        fs::read_to_string(self.public()).unwrap().trim().to_owned()
    }

    /// Its fingerprint, `SHA256:…`.
    ///
    /// # Panics
    /// When `ssh-keygen` fails.
    pub fn fingerprint(&self) -> String {
        let text = run(Command::new("ssh-keygen").arg("-lf").arg(self.public())).ok().text();
        text.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// Signs a certificate for `key` with this key as the CA, and gives the certificate's file.
    ///
    /// # Panics
    /// When `ssh-keygen` fails.
    pub fn certify(&self, key: &Self, how: &Certify<'_>) -> PathBuf {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-I", how.key_id, "-V", how.validity, "-s"]).arg(&self.path);
        keygen.args(how.host.then_some("-h"));
        if !how.principals.is_empty() {
            keygen.args(["-n", how.principals]);
        }
        run(keygen.args(how.options.iter().flat_map(|o| ["-O", o])).arg(key.public())).ok();
        let mut name = key.path.clone().into_os_string();
        name.push("-cert.pub");
        name.into()
    }
}

/// What a certificate says; the default is a user certificate valid from yesterday to tomorrow.
#[derive(Clone, Copy, Debug)]
pub struct Certify<'a> {
    /// A host certificate instead of a user certificate.
    pub host: bool,
    /// The key id.
    pub key_id: &'a str,
    /// The principals, separated by commas; empty for none.
    pub principals: &'a str,
    /// The validity as `ssh-keygen -V` takes it.
    pub validity: &'a str,
    /// Options as `ssh-keygen -O` takes them (`critical:NAME=VALUE`, `force-command=…`).
    pub options: &'a [&'a str],
}

impl Default for Certify<'_> {
    fn default() -> Self {
        Self { host: false, key_id: "test", principals: "", validity: "-1d:+1d", options: &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_certificates_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let ca = KeyPair::generate(folder.path(), "ca", KeyType::EcdsaP256);
        let key = KeyPair::generate(folder.path(), "key", KeyType::Ed25519);
        assert!(key.line().starts_with("ssh-ed25519 ") && key.fingerprint().starts_with("SHA256:"));
        let how = Certify { principals: "alice,bob", ..Certify::default() };
        let certificate = ca.certify(&key, &how);
        let shown = run(Command::new("ssh-keygen").arg("-Lf").arg(certificate)).ok().text();
        assert!(shown.contains("user certificate") && shown.contains("bob"), "{shown}");
    }
}
