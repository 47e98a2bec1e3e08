//! The promises of [`VaultStore`].

use bartizan_model::{
    CredentialKind, Fingerprint, LoginName, StoredCredential, Target, TargetName, Timestamp,
};

use super::directory::target;
use crate::{DirectoryStore, PinOutcome, RecordKind, Removal, Sealed, StoreError, VaultStore, WrappedKey};

fn sealed(byte: u8) -> Sealed {
    Sealed(vec![byte, 0, 255])
}

fn name(target: &str, login: &str) -> (TargetName, LoginName) {
    (target.parse().unwrap(), login.parse().unwrap())
}

fn password(target: &str, login: &str) -> StoredCredential {
    let (target, login) = name(target, login);
    let added = Timestamp::from_unix_micros(7);
    StoredCredential { target, login, kind: CredentialKind::Password, key: None, fingerprint: None, added }
}

fn key(target: &str, login: &str) -> StoredCredential {
    let fingerprint = Some(Fingerprint::from_sha256([3; 32]));
    let key = Some("ssh-ed25519 AAAA".into());
    StoredCredential { kind: CredentialKind::Key, key, fingerprint, ..password(target, login) }
}

/// The data key is replaced only by who knows what it is now.
pub async fn a_wrapped_key_is_replaced_by_who_knows_it(store: impl VaultStore) {
    let wrapped = |master: &str, byte| WrappedKey { master: master.into(), wrapped: sealed(byte) };
    let (first, second, third) = (wrapped("a", 1), wrapped("b", 2), wrapped("c", 3));
    assert_eq!(store.wrapped_key().await.unwrap(), None);
    assert!(!store.replace_wrapped_key(Some(&first), &second).await.unwrap());
    assert!(store.replace_wrapped_key(None, &first).await.unwrap());
    assert!(!store.replace_wrapped_key(None, &second).await.unwrap());
    assert!(!store.replace_wrapped_key(Some(&third), &second).await.unwrap());
    assert_eq!(store.wrapped_key().await.unwrap(), Some(first.clone()));
    assert!(store.replace_wrapped_key(Some(&first), &second).await.unwrap());
    assert_eq!(store.wrapped_key().await.unwrap(), Some(second));
}

/// A login on a target has one credential: the last one set.
pub async fn a_login_has_one_credential(store: impl VaultStore + DirectoryStore) {
    store.add_target(&target("web-1")).await.unwrap();
    store.add_target(&target("db")).await.unwrap();
    store.set_credential(&password("web-1", "root"), &sealed(1)).await.unwrap();
    store.set_credential(&key("web-1", "admin"), &sealed(2)).await.unwrap();
    store.set_credential(&password("db", "root"), &sealed(3)).await.unwrap();
    let all = [password("db", "root"), key("web-1", "admin"), password("web-1", "root")];
    assert_eq!(store.credentials(None).await.unwrap(), all);
    let (web, root) = name("web-1", "root");
    assert_eq!(store.credentials(Some(&web)).await.unwrap(), all[1..]);
    let found = store.sealed_credential(&web, &root).await.unwrap();
    assert_eq!(found, Some((password("web-1", "root"), sealed(1), target("web-1"))));

    store.set_credential(&key("web-1", "root"), &sealed(4)).await.unwrap();
    let found = store.sealed_credential(&web, &root).await.unwrap();
    assert_eq!(found, Some((key("web-1", "root"), sealed(4), target("web-1"))));
    assert_eq!(store.credentials(None).await.unwrap().len(), 3);

    assert_eq!(store.remove_credential(&web, &root).await.unwrap(), key("web-1", "root"));
    assert_eq!(store.sealed_credential(&web, &root).await.unwrap(), None);
    let error = store.remove_credential(&web, &root).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { record: RecordKind::Credential, .. }), "{error:?}");
}

/// A credential comes with the record of its target as it is then, not as it was when it was stored.
pub async fn a_credential_comes_with_its_target(store: impl VaultStore + DirectoryStore) {
    let (web, root) = name("web-1", "root");
    store.add_target(&target("web-1")).await.unwrap();
    store.set_credential(&password("web-1", "root"), &sealed(1)).await.unwrap();
    let pinned = store.pin_host_key(&web, "ssh-ed25519 AAAA").await.unwrap();
    let PinOutcome::Pinned(pinned) = pinned else { panic!("{pinned:?}") };
    let (_, _, record) = store.sealed_credential(&web, &root).await.unwrap().unwrap();
    assert_eq!(record, pinned);

    store.remove_target(&web, Removal::Refuse).await.unwrap();
    let moved = Target { host: "192.0.2.99".into(), port: 2200, ..target("web-1") };
    store.add_target(&moved).await.unwrap();
    assert_eq!(store.sealed_credential(&web, &root).await.unwrap(), None);
    store.set_credential(&password("web-1", "root"), &sealed(2)).await.unwrap();
    let found = store.sealed_credential(&web, &root).await.unwrap();
    assert_eq!(found, Some((password("web-1", "root"), sealed(2), moved)));
}

/// Credentials belong to targets that are there, and go with them.
pub async fn credentials_go_with_their_target(store: impl VaultStore + DirectoryStore) {
    let error = store.set_credential(&password("web-1", "root"), &sealed(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { record: RecordKind::Target, .. }), "{error:?}");
    store.add_target(&target("web-1")).await.unwrap();
    store.add_target(&target("db")).await.unwrap();
    store.set_credential(&password("web-1", "root"), &sealed(1)).await.unwrap();
    store.set_credential(&password("db", "root"), &sealed(2)).await.unwrap();
    let (web, _) = name("web-1", "root");
    let removed = store.remove_target(&web, Removal::Refuse).await.unwrap();
    assert_eq!(removed.credentials, [password("web-1", "root")]);
    assert_eq!(store.credentials(None).await.unwrap(), [password("db", "root")]);
}
