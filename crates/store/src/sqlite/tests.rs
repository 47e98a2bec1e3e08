//! The contract on SQLite, and what is SQLite's own.

use bartizan_model::{SessionId, SessionState};

use super::Store;
use super::found::{FoundBy, WALKED, walk};
use super::index::{Span, select_sessions};
use crate::contract::{self, person};
use crate::{DirectoryStore as _, EventQuery, IndexEntry, IndexStore as _, SessionQuery, StoreError};

pub(super) async fn fresh() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::open(folder.path()).await.unwrap(), folder)
}

crate::contract_tests!(fresh);

/// "SQLite with many connections: unable to open database file" (Warpgate #1124): one writer, pooled readers, WAL.
#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_readers_and_writers_at_once_all_succeed() {
    let (store, _folder) = fresh().await;
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

/// Copies the files as a crash would leave them, with nothing closed or checkpointed.
#[tokio::test]
async fn what_is_committed_survives_a_crash() {
    let (store, folder) = fresh().await;
    for n in 0..20 {
        store.add_person(&person(&format!("p{n}")), &[contract::key(&format!("p{n}"), n)]).await.unwrap();
        let entry = IndexEntry { index: u64::from(n), bytes: b"{}".into() };
        store.apply(&[entry]).await.unwrap();
    }
    let crashed = tempfile::tempdir().unwrap();
    for file in ["bartizan.db", "bartizan.db-wal", "index.db", "index.db-wal"] {
        std::fs::copy(folder.path().join(file), crashed.path().join(file)).unwrap();
    }
    let after = Store::open(crashed.path()).await.unwrap();
    assert_eq!(after.snapshot().await.unwrap(), store.snapshot().await.unwrap());
    assert_eq!(after.cursor().await.unwrap(), 20);
}

/// Half of a write-ahead log is half of the changes, none of them by halves.
#[tokio::test]
async fn a_torn_write_loses_whole_changes_from_the_end() {
    let (store, folder) = fresh().await;
    let (db, wal) = (folder.path().join("bartizan.db"), folder.path().join("bartizan.db-wal"));
    for n in 0..10 {
        store.add_person(&person(&format!("p{n}")), &[contract::key(&format!("p{n}"), n)]).await.unwrap();
    }
    let (database, log) = (std::fs::read(db).unwrap(), std::fs::read(wal).unwrap());
    let torn = tempfile::tempdir().unwrap();
    let mut generations = Vec::new();
    for part in 1..=8 {
        let path = torn.path().join(part.to_string());
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("bartizan.db"), &database).unwrap();
        std::fs::write(path.join("bartizan.db-wal"), &log[..log.len() * part / 8 - 1]).unwrap();
        let data = Store::open(&path).await.unwrap().snapshot().await.unwrap();
        let changes = data.generation as usize;
        assert_eq!((data.people.len(), data.keys.len()), (changes, changes));
        generations.push(data.generation);
    }
    assert!(generations.is_sorted() && generations.last() > generations.first(), "{generations:?}");
}

/// A record that somebody broke by hand is named, and no half of a directory is handed out.
#[tokio::test]
async fn a_broken_record_is_named() {
    let (store, _folder) = fresh().await;
    store.add_person(&person("alice"), &[]).await.unwrap();
    store.add_grant(&contract::grant("g1", "alice", "*")).await.unwrap();
    let broken = "UPDATE grants SET permissions = '[\"sudo\"]'";
    sqlx::query(broken).execute(&store.0.directory.writer).await.unwrap();
    let error = store.snapshot().await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with("the database holds an invalid grant g1: \"sudo\" is no permission"),
        "{error}"
    );
}

/// Foreign keys hold even where the code forgets.
#[tokio::test]
async fn no_grant_can_be_left_without_its_person() {
    let (store, _folder) = fresh().await;
    store.add_person(&person("alice"), &[]).await.unwrap();
    store.add_grant(&contract::grant("g1", "alice", "*")).await.unwrap();
    let delete = sqlx::query("DELETE FROM people").execute(&store.0.directory.writer).await;
    assert!(delete.unwrap_err().to_string().contains("FOREIGN KEY"));
}

/// The directory's changes are synced to the disk, the index's are not.
#[tokio::test]
async fn each_file_has_its_durability() {
    let (store, _folder) = fresh().await;
    for (mut change, expected) in
        [(store.writer().await.unwrap(), 2), (store.index_writer().await.unwrap(), 1)]
    {
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *change).await.unwrap();
        assert_eq!(synchronous, expected);
    }
}

/// What is written to a file that is no longer there is lost, and SQLite does not notice.
#[tokio::test]
async fn a_file_that_was_replaced_or_removed_is_not_written() {
    let (store, folder) = fresh().await;
    let path = folder.path().join(Store::DIRECTORY_FILE);
    let aside = folder.path().join("aside");
    store.add_person(&person("alice"), &[]).await.unwrap();
    std::fs::rename(&path, &aside).unwrap();
    for replaced in [false, true] {
        if replaced {
            std::fs::copy(&aside, &path).unwrap();
        }
        let error = store.add_person(&person("bob"), &[]).await.unwrap_err();
        assert!(matches!(&error, StoreError::Replaced(named) if *named == path), "{error:?}");
        assert!(error.to_string().contains("start the server again"), "{error}");
    }
    std::fs::rename(&aside, &path).unwrap();
    store.add_person(&person("bob"), &[]).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().people, [person("alice"), person("bob")]);
}

/// Each page in turn: a damaged directory is never used, nor is it repaired by guessing.
#[tokio::test]
async fn damage_of_the_directory_is_found_when_it_is_opened() {
    let (store, folder) = fresh().await;
    for n in 0..40 {
        store.add_person(&person(&format!("p{n}")), &[contract::key(&format!("p{n}"), n)]).await.unwrap();
    }
    store.close().await;
    let path = folder.path().join(Store::DIRECTORY_FILE);
    let whole = std::fs::read(&path).unwrap();
    for page in (0..whole.len()).step_by(4096) {
        let mut bytes = whole.clone();
        bytes[page..page + 64].fill(0xff);
        std::fs::write(&path, &bytes).unwrap();
        for error in [
            Store::open(folder.path()).await.map(drop).unwrap_err(),
            Store::verify(folder.path()).await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Damaged(_)), "{page}: {error:?}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{page}: nothing was written");
    }
    std::fs::write(&path, &whole).unwrap();
    Store::verify(folder.path()).await.unwrap();
    assert_eq!(Store::open(folder.path()).await.unwrap().snapshot().await.unwrap().people.len(), 40);
}

/// Pages are read from the end of a list of positions: nothing is sorted, and no list is read to its other end.
#[tokio::test]
async fn searches_read_their_lists_backwards() {
    let (store, _folder) = fresh().await;
    let query = EventQuery {
        person: Some("alice".parse().unwrap()),
        text: Some("reboot web*".parse().unwrap()),
        ..EventQuery::default()
    };
    let mut select = super::search::select_matching(&crate::terms::Terms::of(&query, true));
    super::index::push_page(&mut select, super::search::POSITION, crate::Order::NewestFirst, Some(9), 100);
    let explain = format!("EXPLAIN QUERY PLAN {}", select.sql().as_str());
    let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
        .bind("\"p=alice\"")
        .bind(9)
        .bind(100)
        .fetch_all(&mut *store.index_reader().await.unwrap())
        .await
        .unwrap();
    let plan: Vec<String> = steps.into_iter().map(|step| step.3).collect();
    assert_eq!(plan.len(), 2, "{plan:?}");
    assert!(plan[0].starts_with("SCAN event_terms VIRTUAL TABLE"), "{plan:?}");
    assert!(plan[1].starts_with("SEARCH events USING INTEGER PRIMARY KEY"), "{plan:?}");
}

/// A network whose sessions lie far back is not looked for in all that came since.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_for_a_network_ends() {
    const OLD: u64 = 4200;
    let (store, _folder) = fresh().await;
    let session = |n: u64| {
        let network = if n < OLD { 9 } else { 10 };
        let source = format!("{network}.0.{}.{}:5", n / 256, n % 256);
        contract::start(n, SessionId::new(), "alice", "web-1", &source)
    };
    let all: Vec<_> = (0..OLD + WALKED as u64 + 10).map(session).collect();
    store.apply(&contract::entries(&all)).await.unwrap();
    let query = SessionQuery {
        source: Some("9.0.0.0/8".parse().unwrap()),
        limit: Some(3),
        ..SessionQuery::default()
    };
    let span = Span { from: 0, to: i64::MAX };
    let ends = async |query: &SessionQuery, found_by, walked| {
        let mut read = store.index_reader().await.unwrap();
        walk(&mut read, query, found_by, &span, walked).await.unwrap().from
    };
    let newest = all.len() as i64 - 1;
    assert_eq!(ends(&query, FoundBy::Order, 100).await, newest - 100);
    let after = SessionQuery { after: Some(50), ..query.clone() };
    assert_eq!(ends(&after, FoundBy::Order, 20).await, 29);
    assert_eq!(ends(&after, FoundBy::Order, 100).await, 0, "there are no more");
    assert_eq!(ends(&query, FoundBy::Range, 100).await, 0);
    let person = SessionQuery { person: Some("alice".parse().unwrap()), ..query.clone() };
    assert_eq!(ends(&person, FoundBy::Order, 100).await, 0, "those of a person have an order of their own");

    let page = store.sessions(&query).await.unwrap();
    let seconds: Vec<_> = page.items.iter().map(|found| found.started.unix_micros() / 1_000_000).collect();
    assert_eq!((seconds, page.next), (vec![OLD - 1, OLD - 2, OLD - 3], Some(OLD - 3)));
}

/// Each filter of sessions has an index that gives them in order, so that a page ends where it is full; an id is found by
/// itself, and not by going through all there are.
#[tokio::test]
async fn lists_of_sessions_are_read_by_their_filter() {
    let (store, _folder) = fresh().await;
    let all = SessionQuery::default;
    let id = |prefix: &str| SessionQuery { id_prefix: Some(prefix.into()), ..all() };
    let network = || SessionQuery { source: Some("10.0.0.0/8".parse().unwrap()), ..all() };
    let (order, range) = (FoundBy::Order, FoundBy::Range);
    for (query, found_by, index) in [
        (all(), order, "sessions_by_position"),
        (SessionQuery { person: Some("alice".parse().unwrap()), ..all() }, order, "sessions_by_person"),
        (SessionQuery { login: Some("root".parse().unwrap()), ..all() }, order, "sessions_by_login"),
        (SessionQuery { target: Some("web-1".parse().unwrap()), ..all() }, order, "sessions_by_target"),
        (SessionQuery { source: Some("10.0.0.7".parse().unwrap()), ..all() }, order, "sessions_by_source"),
        (SessionQuery { state: Some(SessionState::Live), ..all() }, order, "sessions_by_state"),
        // A network that many came from, and one that few did.
        (network(), order, "sessions_by_position"),
        (network(), range, "sessions_by_source"),
        // Ids that begin so are among all there are.
        (id("01a2"), order, "sessions_by_position"),
        (id("01a222"), range, "sqlite_autoindex_sessions_1"),
        (id("01a22277-4469-75fb-96d2-32aba4348db9"), range, "sqlite_autoindex_sessions_1"),
    ] {
        let select = select_sessions(&query, found_by, &Span { from: 0, to: 1000 }, 101);
        let explain = format!("EXPLAIN QUERY PLAN {}", select.sql().as_str());
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
            .fetch_all(&mut *store.index_reader().await.unwrap())
            .await
            .unwrap();
        let plan: Vec<String> = steps.into_iter().map(|step| step.3).collect();
        assert!(plan[0].contains(&format!("USING INDEX {index} (")), "{query:?}: {plan:?}");
        let steps = if found_by == range { 2 } else { 1 };
        assert_eq!(
            plan.len(),
            steps,
            "sorted where it should not be, or the other way round: {query:?}: {plan:?}"
        );
    }
}

/// What an older version indexed is not carried over: the log fills the index again.
#[tokio::test]
async fn an_index_of_an_older_version_is_emptied_and_the_directory_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(Store::DIRECTORY_FILE);
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
    sqlx::raw_sql("CREATE TABLE schema_version (version BIGINT NOT NULL)").execute(&pool).await.unwrap();
    for (version, step) in (1_i64..).zip(super::STEPS).take_while(|(_, step)| *step != super::SEARCH) {
        sqlx::raw_sql(step).execute(&pool).await.unwrap();
        let taken = sqlx::query("INSERT INTO schema_version (version) VALUES ($1)").bind(version);
        taken.execute(&pool).await.unwrap();
    }
    sqlx::raw_sql(
        "INSERT INTO people VALUES ('alice', 'active', 1);
         INSERT INTO events VALUES (0, 1, 'x', 0, 'success', NULL, NULL, NULL, NULL, NULL, 'x', '{}');
         UPDATE index_state SET next_position = 1;",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.cursor().await.unwrap(), 0);
    assert!(store.events(&EventQuery::default()).await.unwrap().items.is_empty());
    assert_eq!(store.snapshot().await.unwrap().people, [person("alice")]);
}

/// What SQLite does by itself when the disk is full ends the transaction, not the store.
#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_does_not_hinder_the_next() {
    let (store, _folder) = fresh().await;
    let mut change = store.writer().await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut *change).await.unwrap();
    drop(change);
    store.add_person(&person("alice"), &[]).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().people, [person("alice")]);
}
