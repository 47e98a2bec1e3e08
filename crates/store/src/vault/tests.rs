//! The vault on SQLite.

use bartizan_model::Timestamp;

use super::*;
use crate::DirectoryStore as _;
use crate::contract::target;

async fn fresh() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    for name in ["web-1", "db"] {
        store.add_target(&target(name)).await.unwrap();
    }
    (store, folder)
}

fn password(target: &str) -> StoredCredential {
    StoredCredential {
        target: target.parse().unwrap(),
        login: "root".parse().unwrap(),
        kind: CredentialKind::Password,
        key: None,
        fingerprint: None,
        added: Timestamp::from_unix_micros(1),
    }
}

async fn read(vault: &Vault, target: &str) -> Result<Option<Vec<u8>>> {
    let found = vault.secret(&target.parse().unwrap(), &"root".parse().unwrap()).await?;
    Ok(found.map(|(_, secret, _)| secret.expose().to_vec()))
}

#[tokio::test]
async fn secrets_come_back_and_the_database_holds_none_of_them() {
    let (store, folder) = fresh().await;
    let master = MasterKey::generate().unwrap();
    let vault = Vault::open(store.clone(), &master).await.unwrap();
    vault.set(&password("web-1"), b"correct horse battery staple").await.unwrap();
    assert_eq!(read(&vault, "web-1").await.unwrap().unwrap(), b"correct horse battery staple");
    assert_eq!(read(&vault, "db").await.unwrap(), None);

    let again = Vault::open(store, &master).await.unwrap();
    assert_eq!(read(&again, "web-1").await.unwrap().unwrap(), b"correct horse battery staple");
    for file in ["bartizan.db", "bartizan.db-wal"] {
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        for secret in [&b"horse"[..], &master.expose()[..]] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{file}");
        }
    }
    let long = vec![b'x'; MAX_SECRET_BYTES + 1];
    assert!(matches!(vault.set(&password("db"), &long).await, Err(StoreError::Crypto(_))));
}

#[tokio::test]
async fn a_row_that_was_moved_or_changed_does_not_open() {
    let (store, _folder) = fresh().await;
    let vault = Vault::open(store.clone(), &MasterKey::generate().unwrap()).await.unwrap();
    vault.set(&password("web-1"), b"of web-1").await.unwrap();
    vault.set(&password("db"), b"of db").await.unwrap();
    let (web, root) = ("web-1".parse().unwrap(), "root".parse().unwrap());
    let (_, sealed, _) = store.sealed_credential(&web, &root).await.unwrap().unwrap();
    // Somebody who can write the database puts one target's secret where another's belongs.
    store.set_credential(&password("db"), &sealed).await.unwrap();
    let error = read(&vault, "db").await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { record: RecordKind::Credential, .. }), "{error:?}");
    assert!(error.to_string().contains("root@db") && error.to_string().contains("set it anew"), "{error}");
    assert_eq!(read(&vault, "web-1").await.unwrap().unwrap(), b"of web-1");
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let (store, _folder) = fresh().await;
    let (master, other) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
    Vault::open(store.clone(), &master).await.unwrap();
    let error = Vault::open(store, &other).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&master.id()) && text.contains(&other.id()) && text.contains("restore"), "{text}");
}

#[tokio::test]
async fn rotation_changes_the_master_key_and_no_secret() {
    let (store, _folder) = fresh().await;
    let (first, second) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
    let vault = Vault::open(store.clone(), &first).await.unwrap();
    vault.set(&password("web-1"), b"kept").await.unwrap();
    vault.rotate(&second).await.unwrap();
    assert_eq!(vault.master_key_id(), second.id());
    assert_eq!(read(&vault, "web-1").await.unwrap().unwrap(), b"kept");
    assert!(Vault::open(store.clone(), &first).await.is_err());
    let again = Vault::open(store, &second).await.unwrap();
    assert_eq!(read(&again, "web-1").await.unwrap().unwrap(), b"kept");
    // Somebody else rotated meanwhile.
    again.rotate(&first).await.unwrap();
    assert!(matches!(vault.rotate(&second).await, Err(StoreError::WrongMasterKey { .. })));
}
