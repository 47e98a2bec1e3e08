//! The contract on a real PostgreSQL, and what is PostgreSQL's own.

use std::sync::OnceLock;

use bartizan_testkit::PostgresServer;
use zeroize::Zeroizing;

use super::{PostgresOptions, Store};
use crate::contract::{key, person, target};
use crate::{DirectoryStore as _, EventQuery, IndexEntry, IndexStore as _, MasterKey, StoreError, Vault};

/// One server for the tests of one process; statics are not dropped, so a test that starts it ends it.
struct Databases(PostgresServer);

impl Databases {
    fn start() -> Self {
        Self(PostgresServer::start())
    }

    fn options(&self, name: &str) -> PostgresOptions {
        let url = self.0.database(name);
        let password = Zeroizing::new(PostgresServer::PASSWORD.to_owned());
        PostgresOptions::parse(&url).unwrap().with_password(password)
    }

    async fn fresh(&self, name: &str) -> Store {
        Store::connect(&self.options(name)).await.unwrap()
    }
}

thread_local! {
    static SERVER: OnceLock<Databases> = const { OnceLock::new() };
}

mod every_promise {
    use super::*;

    /// The server lives as long as the thread of the test, which drops it.
    async fn fresh(promise: &str) -> Store {
        let options = SERVER
            .with(|server| server.get_or_init(Databases::start).options(&promise[..promise.len().min(60)]));
        Store::connect(&options).await.unwrap()
    }

    crate::contract_tests!(all in the_contract_holds: fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_postgresqls_own() {
    let databases = Databases::start();
    hundreds_at_once_all_succeed(databases.fresh("crowd").await).await;
    nodes_hear_of_each_others_changes(&databases).await;
    nodes_that_start_together_take_turns(&databases).await;
    a_database_of_a_newer_version_is_refused(&databases).await;
    a_broken_record_is_named(databases.fresh("broken").await).await;
    a_dump_of_the_database_holds_no_secret(&databases).await;
    a_wrong_password_is_refused(&databases).await;
    terms_are_searched_by_their_index(&databases).await;
}

async fn hundreds_at_once_all_succeed(store: Store) {
    let tasks: Vec<_> = (0..300_u64)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                match n % 3 {
                    0 => store.add_person(&person(&format!("p{n}")), &[]).await,
                    1 => store.snapshot().await.map(drop),
                    _ => store.events(&EventQuery::default()).await.map(drop),
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let data = store.snapshot().await.unwrap();
    assert_eq!((data.people.len(), data.generation), (100, 100));
}

async fn nodes_hear_of_each_others_changes(databases: &Databases) {
    let options = databases.options("nodes");
    let (one, other) = (Store::connect(&options).await.unwrap(), Store::connect(&options).await.unwrap());
    let mut changes = other.changes();
    one.add_person(&person("alice"), &[key("alice", 1)]).await.unwrap();
    changes.wait_for(|&generation| generation == 1).await.unwrap();
    assert_eq!(other.snapshot().await.unwrap().people, [person("alice")]);
    // After the connection that listens was lost, too.
    databases.0.sql("nodes", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'nodes'");
    one.add_person(&person("bob"), &[]).await.unwrap();
    changes.wait_for(|&generation| generation == 2).await.unwrap();
}

async fn nodes_that_start_together_take_turns(databases: &Databases) {
    let options = databases.options("together");
    let starts: Vec<_> = (0..5)
        .map(|_| {
            let options = options.clone();
            tokio::spawn(async move { Store::connect(&options).await.map(drop) })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
}

async fn a_database_of_a_newer_version_is_refused(databases: &Databases) {
    let options = databases.options("newer");
    Store::connect(&options).await.unwrap().close().await;
    databases.0.sql("newer", "INSERT INTO schema_version (version) VALUES (99)");
    let error = Store::connect(&options).await.unwrap_err();
    assert!(matches!(&error, StoreError::Newer { found: 99, .. }), "{error:?}");
    assert!(error.to_string().contains("postgres://"), "{error}");
}

async fn a_broken_record_is_named(store: Store) {
    store.add_person(&person("alice"), &[]).await.unwrap();
    store.add_grant(&crate::contract::grant("g1", "alice", "*")).await.unwrap();
    let broken = "UPDATE grants SET permissions = '[\"sudo\"]'";
    sqlx::query(broken).execute(&store.0.pool).await.unwrap();
    let error = store.snapshot().await.unwrap_err();
    assert!(error.to_string().starts_with("the database holds an invalid grant g1"), "{error}");
}

async fn a_dump_of_the_database_holds_no_secret(databases: &Databases) {
    let store = crate::Store::connect(&databases.options("vault")).await.unwrap();
    store.add_target(&target("web-1")).await.unwrap();
    let master = MasterKey::generate().unwrap();
    let vault = Vault::open(store.clone(), &master).await.unwrap();
    let credential = bartizan_model::StoredCredential {
        target: "web-1".parse().unwrap(),
        login: "root".parse().unwrap(),
        kind: bartizan_model::CredentialKind::Password,
        key: None,
        fingerprint: None,
        added: bartizan_model::Timestamp::from_unix_micros(1),
    };
    vault.set(&credential, b"hunter2").await.unwrap();
    let again = Vault::open(store, &master).await.unwrap();
    let found = again.secret(&credential.target, &credential.login).await.unwrap().unwrap();
    assert_eq!(found.1.expose(), b"hunter2");
    let rows = databases.0.sql("vault", "SELECT encode(sealed, 'escape') FROM credentials");
    assert!(!rows.is_empty() && !rows.contains("hunter2"), "{rows}");
}

async fn a_wrong_password_is_refused(databases: &Databases) {
    let options = databases.options("secret").with_password(Zeroizing::new("wrong".into()));
    let error = Store::version(&options).await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed") && !error.contains("wrong"), "{error}");
    let version = Store::version(&databases.options("secret2")).await.unwrap();
    assert!(version.split('.').next().unwrap().parse::<u32>().unwrap() >= 13, "{version}");
}

async fn terms_are_searched_by_their_index(databases: &Databases) {
    let store = databases.fresh("words").await;
    let entries: Vec<_> = (0..3000)
        .map(|index| IndexEntry {
            index,
            bytes: format!("{{\"type\":\"x\",\"said\":\"word{index}\"}}").into(),
        })
        .collect();
    store.apply(&entries).await.unwrap();
    databases.0.sql("words", "ANALYZE events");
    let explain = "SET enable_seqscan = off; SET enable_indexscan = off; EXPLAIN SELECT json FROM events \
                   WHERE terms @@ $$'word1234' & 'k=x'$$::tsquery ORDER BY position DESC LIMIT 100";
    let plan = databases.0.sql("words", explain);
    assert!(plan.contains("events_by_terms"), "{plan}");
    let query = EventQuery { text: Some("WORD1234".parse().unwrap()), ..EventQuery::default() };
    assert_eq!(store.events(&query).await.unwrap().items[0].index, 1234);
}
