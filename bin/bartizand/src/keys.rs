//! The server's own keys: made by `init`, read by `serve`.
//!
//! ```text
//!   keys/host_ed25519, host_rsa               what Bartizan itself shows to clients; host_ecdsa too, where it is there
//!   keys/host_ca                              signs the host certificates that it shows for targets
//!   keys/user_ca                              signs the user certificates that targets see
//!   keys/people_ca                            signs the user certificates that people log in with
//!   keys/*_ca.next, *_ca.old.pub              during a rotation (`cas`)
//!   keys/target_seed                          keys for single targets are derived from it
//!   keys/master                               wraps the key that the vault's secrets are sealed with
//!   keys/log_seed, log.vkey                   signs the audit log's checkpoints; what auditors check them with
//! ```
//!
//! Each private key has its public half beside it in `.pub`. Folders of versions without a people CA get one at the next start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use bartizan_audit::{Origin, Signer};
use bartizan_gateway::{CaKey, Keys};
use bartizan_ssh::key::{HostKey, KeyKind, PrivateKey};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The name of the master key, where it is kept in this folder.
pub(crate) const MASTER: &str = "master";
/// Keys that clients are shown, in the order in which they are offered.
const HOST_KEYS: [(&str, KeyKind); 2] = [("host_ed25519", KeyKind::Ed25519), ("host_rsa", KeyKind::Rsa3072)];
/// Offered last where an operator put one there, for clients that must use NIST curves.
const ECDSA_HOST_KEY: &str = "host_ecdsa";
pub(crate) const HOST_CA: &str = "host_ca";
pub(crate) const USER_CA: &str = "user_ca";
pub(crate) const PEOPLE_CA: &str = "people_ca";
const TARGET_SEED: &str = "target_seed";
const LOG_SEED: &str = "log_seed";
/// The public half of the log's key; also the command line reads it there.
const LOG_KEY: &str = "log.vkey";

/// Makes all keys in the new folder `dir`.
///
/// # Durability
/// When this returns, the keys survive a power failure.
pub(crate) fn create(dir: &Path, node: &str, origin: &Origin) -> Result<(), Failure> {
    let unwritable = |e: io::Error| Failure::new(format!("cannot make keys in {}: {e}", dir.display()));
    DirBuilder::new().mode(0o700).create(dir).map_err(unwritable)?;
    for (name, kind) in HOST_KEYS {
        create_key(dir, name, kind, &format!("bartizan {node}"))?;
    }
    create_key(dir, HOST_CA, KeyKind::Ed25519, &format!("bartizan host CA {node}"))?;
    create_key(dir, USER_CA, KeyKind::Ed25519, &format!("bartizan user CA {node}"))?;
    create_key(dir, PEOPLE_CA, KeyKind::Ed25519, &people_ca_comment(node))?;
    create_seed(dir, TARGET_SEED)?;
    create_seed(dir, MASTER)?;
    let seed = create_seed(dir, LOG_SEED)?;
    let signer = Signer::from_seed(origin, &seed).map_err(Failure::new)?;
    write_new(&dir.join(LOG_KEY), 0o644, format!("{}\n", signer.verifier_key()).as_bytes())?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(unwritable)
}

fn create_key(dir: &Path, name: &str, kind: KeyKind, comment: &str) -> Result<(), Failure> {
    let broken = |e: bartizan_ssh::key::KeyError| Failure::new(format!("cannot make the key {name}: {e}"));
    let key = PrivateKey::generate(kind).map_err(broken)?;
    write_new(&dir.join(name), 0o600, key.to_openssh(comment).map_err(broken)?.as_bytes())?;
    let line = format!("{}\n", key.public_key().to_openssh(comment));
    write_new(&dir.join(format!("{name}.pub")), 0o644, line.as_bytes())
}

fn people_ca_comment(node: &str) -> String {
    format!("bartizan people CA {node}")
}

/// Reads the key of the people CA, if the folder has one.
///
/// # Errors
/// As [`load`].
pub(crate) fn people_ca(dir: &Path) -> Result<Option<CaKey>, Failure> {
    if !dir.join(PEOPLE_CA).exists() {
        return Ok(None);
    }
    read_key(dir, PEOPLE_CA).map(|key| Some(CaKey::new(key)))
}

/// Reads the key of the people CA, or makes it where the folder is of a version that had none; tells whether it did. Nobody but
/// Bartizan trusts it, so a new one locks nobody out of anything.
///
/// # Errors
/// As [`load`], and when it cannot be written.
///
/// # Durability
/// A key that was made survives a power failure.
pub(crate) fn people_ca_or_new(dir: &Path, node: &str) -> Result<(CaKey, bool), Failure> {
    if let Some(key) = people_ca(dir)? {
        return Ok((key, false));
    }
    let broken =
        |e: bartizan_ssh::key::KeyError| Failure::new(format!("cannot make the key {PEOPLE_CA}: {e}"));
    let (key, comment) = (PrivateKey::generate(KeyKind::Ed25519).map_err(broken)?, people_ca_comment(node));
    let private = key.to_openssh(&comment).map_err(broken)?;
    let line = format!("{}\n", key.public_key().to_openssh(&comment));
    // The private half last: it says that there is one.
    let written = write_whole(&dir.join(format!("{PEOPLE_CA}.pub")), 0o644, line.as_bytes())
        .and_then(|()| write_whole(&dir.join(PEOPLE_CA), 0o600, private.as_bytes()));
    written.map_err(|failure| {
        failure.hint(format!(
            "this version needs a people CA; where the folder cannot be written, put one there: ssh-keygen -t ed25519 -N '' \
             -f {}",
            dir.join(PEOPLE_CA).display()
        ))
    })?;
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|e| Failure::new(format!("cannot sync {}: {e}", dir.display())))?;
    Ok((CaKey::new(key), true))
}

fn create_seed(dir: &Path, name: &str) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *seed).map_err(|_| Failure::new("the system gives no random bytes"))?;
    write_seed(&dir.join(name), &seed)?;
    Ok(seed)
}

/// Writes 32 secret bytes as a line of hexadecimal digits into a new file that only its owner may read.
///
/// # Durability
/// The file's contents survive a power failure; the caller syncs the folder.
pub(crate) fn write_seed(path: &Path, seed: &[u8; 32]) -> Result<(), Failure> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut line = Zeroizing::new(Vec::with_capacity(65));
    for byte in seed {
        line.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
    }
    line.push(b'\n');
    write_new(path, 0o600, &line)
}

/// Writes a new file.
pub(crate) fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))
}

/// Puts a file in its place, whole or not at all: it is written beside, with `.tmp` at the end, and renamed.
///
/// # Durability
/// What is in its place survives a power failure once the caller has synced the folder.
pub(crate) fn write_whole(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Failure> {
    let unwritable = |e: io::Error| Failure::new(format!("cannot write {}: {e}", path.display()));
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let new = Path::new(&name);
    match fs::remove_file(new) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(unwritable(e)),
        _ => {}
    }
    write_new(new, mode, bytes)?;
    fs::rename(new, path).map_err(unwritable)
}

/// Reads all keys in `dir`.
///
/// # Errors
/// When one is missing, cannot be read, or can be read by others.
pub(crate) fn load(dir: &Path) -> Result<Keys, Failure> {
    let ecdsa = dir.join(ECDSA_HOST_KEY).exists().then_some(ECDSA_HOST_KEY);
    let names = HOST_KEYS.iter().map(|(name, _)| *name).chain(ecdsa);
    let host_keys = names.map(|name| Ok(HostKey::new(read_key(dir, name)?)));
    Ok(Keys {
        host_keys: host_keys.collect::<Result<_, Failure>>()?,
        host_ca: CaKey::new(read_key(dir, HOST_CA)?),
        user_ca: CaKey::new(read_key(dir, USER_CA)?),
        target_seed: Arc::new(read_seed(&dir.join(TARGET_SEED), Watch::Owner)?),
    })
}

/// Reads the key that signs the checkpoints of the log called `origin`.
///
/// # Errors
/// As [`load`].
pub(crate) fn log_signer(dir: &Path, origin: &Origin) -> Result<Signer, Failure> {
    Signer::from_seed(origin, &*read_seed(&dir.join(LOG_SEED), Watch::Owner)?).map_err(Failure::new)
}

/// Reads a private key that only its owner may read.
pub(crate) fn read_key(dir: &Path, name: &str) -> Result<PrivateKey, Failure> {
    let path = dir.join(name);
    let text = read_secret(&path, Watch::Owner)?;
    PrivateKey::from_openssh(&text)
        .map_err(|e| Failure::new(format!("cannot use the key {}: {e}", path.display())))
}

/// Who makes sure that others do not read a secret file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// We do: its mode must be the owner's alone.
    Owner,
    /// The system does, which hands it to us by modes of its own.
    Nobody,
}

/// Reads what [`write_seed`] wrote.
///
/// # Errors
/// When it is missing, cannot be read, can be read by others, or holds something else.
pub(crate) fn read_seed(path: &Path, watch: Watch) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let text = read_secret(path, watch)?;
    let mut seed = Zeroizing::new([0; 32]);
    let digits = text.trim_end().as_bytes();
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let read = match digits.as_chunks::<2>() {
        (pairs, []) if pairs.len() == seed.len() => {
            seed.iter_mut().zip(pairs).try_for_each(|(byte, &[high, low])| {
                *byte = nibble(high)? << 4 | nibble(low)?;
                Some(())
            })
        }
        _ => None,
    };
    read.map(|()| seed)
        .ok_or_else(|| Failure::new(format!("{} does not hold 64 hexadecimal digits", path.display())))
}

/// Reads a file that only its owner may read.
pub(crate) fn read_secret(path: &Path, watch: Watch) -> Result<Zeroizing<String>, Failure> {
    let shown = path.display();
    let unreadable = |e: io::Error| match e.kind() {
        ErrorKind::NotFound => Failure::new(format!("the key {shown} is missing"))
            .hint("restore it from a backup; a new one would not be trusted by clients and targets"),
        _ => Failure::of_file(format!("cannot read the key {shown}"), &e),
    };
    if watch == Watch::Owner && fs::metadata(path).map_err(unreadable)?.mode() & 0o077 != 0 {
        return Err(
            Failure::new(format!("others may read the key {shown}")).hint(format!("chmod 600 {shown}"))
        );
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_read_back_and_private() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("keys");
        let origin: Origin = "test/keys".parse().unwrap();
        create(&dir, "node-1", &origin).unwrap();
        let keys = load(&dir).unwrap();
        let algorithms: Vec<_> = keys.host_keys.iter().map(|key| key.public_key().algorithm()).collect();
        assert_eq!(algorithms, ["ssh-ed25519", "ssh-rsa"]);
        create_key(&dir, ECDSA_HOST_KEY, KeyKind::EcdsaP256, "put there").unwrap();
        let last = load(&dir).unwrap().host_keys.pop().unwrap();
        assert_eq!(last.public_key().algorithm(), "ecdsa-sha2-nistp256");
        let line = fs::read_to_string(dir.join("user_ca.pub")).unwrap();
        assert_eq!(
            line,
            format!("{}\n", keys.user_ca.current().public_key().to_openssh("bartizan user CA node-1"))
        );
        assert_ne!(keys.user_ca.current().public_key(), keys.host_ca.current().public_key());
        assert_ne!(**keys.target_seed, [0; 32]);
        assert_eq!(keys.target_seed, load(&dir).unwrap().target_seed);
        let key = log_signer(&dir, &origin).unwrap().verifier_key().to_string();
        assert_eq!(fs::read_to_string(dir.join(LOG_KEY)).unwrap(), format!("{key}\n"));
        assert_ne!(fs::read(dir.join(LOG_SEED)).unwrap(), fs::read(dir.join(TARGET_SEED)).unwrap());
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let public = entry.path().extension().is_some();
            let mode = entry.metadata().unwrap().mode() & 0o777;
            assert_eq!(mode, if public { 0o644 } else { 0o600 }, "{:?}", entry.path());
        }
    }

    #[test]
    fn a_folder_without_a_people_ca_gets_one_and_keeps_it() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("keys");
        create(&dir, "n", &"test/keys".parse().unwrap()).unwrap();
        let public = |ca: &CaKey| ca.current().public_key().clone();
        let made = public(&people_ca(&dir).unwrap().unwrap());
        let keys = load(&dir).unwrap();
        assert!(made != public(&keys.user_ca) && made != public(&keys.host_ca), "targets must not trust it");
        let (same, new) = people_ca_or_new(&dir, "n").unwrap();
        assert_eq!((public(&same), new), (made.clone(), false));

        // As a version without it left the folder.
        fs::remove_file(dir.join(PEOPLE_CA)).unwrap();
        fs::remove_file(dir.join("people_ca.pub")).unwrap();
        assert!(people_ca(&dir).unwrap().is_none() && load(&dir).is_ok());
        let (other, new) = people_ca_or_new(&dir, "n").unwrap();
        assert!(new && public(&other) != made);
        assert_eq!(public(&people_ca(&dir).unwrap().unwrap()), public(&other));
        let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().mode() & 0o777;
        assert_eq!((mode(PEOPLE_CA), mode("people_ca.pub")), (0o600, 0o644));

        // One that is there and cannot be read is not replaced.
        fs::write(dir.join(PEOPLE_CA), "nonsense").unwrap();
        assert!(people_ca_or_new(&dir, "n").err().unwrap().to_string().contains("people_ca"));
        assert_eq!(fs::read_to_string(dir.join(PEOPLE_CA)).unwrap(), "nonsense");
    }

    #[test]
    fn a_file_gets_its_name_when_it_is_whole() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        // Left by one that was cut short.
        fs::write(temp.path().join("file.tmp"), "longer than what comes").unwrap();
        for text in ["one", "other"] {
            write_whole(&path, 0o640, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
        // What cannot be written leaves nothing under the name.
        fs::create_dir(temp.path().join("other.tmp")).unwrap();
        let other = temp.path().join("other");
        assert!(write_whole(&other, 0o640, b"x").unwrap_err().to_string().contains("cannot write"));
        assert!(!other.exists());
    }

    #[test]
    fn a_missing_readable_or_broken_key_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("keys");
        create(&dir, "n", &"test/keys".parse().unwrap()).unwrap();
        let told = || load(&dir).err().unwrap().to_string();
        let seed = fs::read_to_string(dir.join(TARGET_SEED)).unwrap();
        for broken in
            ["", "00", &seed.replace(|c: char| c.is_ascii_digit(), "x"), &format!("{}00", seed.trim_end())]
        {
            fs::write(dir.join(TARGET_SEED), broken).unwrap();
            assert!(told().contains("target_seed does not hold 64"), "{broken}");
        }
        fs::write(dir.join(HOST_CA), "nonsense").unwrap();
        assert!(told().contains("cannot use the key") && told().contains("host_ca"));
        fs::set_permissions(dir.join(HOST_CA), Permissions::from_mode(0o640)).unwrap();
        assert!(told().contains("chmod 600"));
        fs::remove_file(dir.join(HOST_CA)).unwrap();
        assert!(told().contains("is missing"));
    }
}
