//! State in PostgreSQL: the same product.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bartizan_testkit::{BartizanOptions, KeyPair, KeyType, PostgresServer};

use crate::scene::{Options, Scene, Way, list, text};

fn on(server: &PostgresServer, database: &str) -> Options {
    // The fixture's own file belongs to the account that the database runs as.
    let file = server.password_file().with_file_name(format!("password-{database}"));
    fs::write(&file, format!("{}\n", PostgresServer::PASSWORD)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let url = server.database(database);
    let config = format!("database = \"{url}\"\ndatabase_password_file = \"{}\"\n", file.display());
    Options { bartizan: BartizanOptions::written(config), ..Options::default() }
}

/// Person, target, grant, session, search, a stored key, and all of it again after a crash.
#[test]
fn the_whole_way_on_postgresql() {
    let server = PostgresServer::start();
    let mut scene = Scene::with(Way::ProxyJump, &on(&server, "bartizan"));
    scene.exec("echo hello; exit 7").exits(7);
    let session = scene.ended_session();
    let id = session["id"].as_str().unwrap().to_owned();
    assert_eq!(session["exit_status"], 7);
    let b = scene.bartizan();
    let found = list(&b.json(&["log", "search", "--text", "ECHO hel* \"echo hello\""]));
    assert!(found.iter().any(|event| event["session"] == id.as_str()), "{found:#?}");
    assert!(b.say(&["session", "show", &id]).contains("echo hello"));

    let key = KeyPair::generate(scene.folder(), "stored", KeyType::Ed25519);
    scene.target.authorize(&key.line());
    let login = scene.target.login().to_owned();
    let set = ["target", "credential", "set", "web-1", "--login", &login, "--key-file"];
    b.say(&[&set[..], &[text(key.private())]].concat());
    b.say(&["vault", "rotate"]);

    scene.bartizan_mut().kill();
    scene.bartizan_mut().start_again();
    scene.exec("exit 3").exits(3);
    let connected = scene.events("upstream.connect").pop().unwrap();
    assert_eq!(connected["credential"], format!("stored key {}", key.fingerprint()));
    scene.bartizan().say(&["person", "lock", "alice"]);
    scene.exec("true").fails();
    scene.bartizan().cli(&["log", "verify"]).ok();

    // It was PostgreSQL all the time.
    assert_eq!(server.sql("bartizan", "SELECT state FROM people").trim(), "locked");
    assert_eq!(server.sql("bartizan", "SELECT count(*) FROM sessions").trim(), "2");
    let events: u64 = server.sql("bartizan", "SELECT count(*) FROM events").trim().parse().unwrap();
    assert!(events > 20, "{events}");
}

/// A database that does not let us in: the server does not start, and says where to look.
#[test]
fn a_database_that_refuses_us_is_named() {
    let server = PostgresServer::start();
    let mut scene = Scene::with(Way::UserName, &on(&server, "bartizan"));
    scene.bartizan_mut().stop();
    let data = scene.bartizan().data();
    let bartizand = bartizan_testkit::programs().join("bartizand");
    let check = || {
        let mut check = std::process::Command::new(&bartizand);
        bartizan_testkit::run(check.arg("check").arg("--data").arg(&data))
    };
    assert!(check().ok().text().contains("PostgreSQL 1"));
    let file = server.password_file().with_file_name("password-bartizan");
    fs::write(&file, "wrong").unwrap();
    check().exits(1).says(&["password authentication failed", "postgres://", "database_password_file"]);
    let mut serve = std::process::Command::new(&bartizand);
    bartizan_testkit::run(serve.arg("serve").arg("--data").arg(&data))
        .exits(1)
        .says(&["password authentication failed", "database_password_file"]);
}
