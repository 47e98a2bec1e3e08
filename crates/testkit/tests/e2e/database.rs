//! State in PostgreSQL: the same product.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bartizan_testkit::{BartizanOptions, KeyPair, KeyType, PostgresServer, eventually};

use crate::operate::{WITH_METRICS, ask};
use crate::scene::{Options, Scene, Way, list, text};

fn on(server: &PostgresServer, database: &str) -> Options {
    // The fixture's own file belongs to the account that the database runs as.
    let file = server.password_file().with_file_name(format!("password-{database}"));
    fs::write(&file, format!("{}\n", PostgresServer::PASSWORD)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let url = server.database(database);
    let database = format!("database = \"{url}\"\ndatabase_password_file = \"{}\"\n", file.display());
    let config = database + WITH_METRICS;
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

/// The database dies while sessions run. Evidence needs no database: what lives goes on, and new sessions are judged by the
/// directory as it was known last. Changes are refused and told, and when it is back all is as before, without a restart.
#[test]
fn sessions_go_on_without_the_database_and_it_is_taken_up_again() {
    let mut server = PostgresServer::start();
    let scene = Scene::with(Way::ProxyJump, &on(&server, "bartizan"));
    let b = scene.bartizan();
    let mut live = scene.start(&[], "cat");
    live.type_in("before\n");
    live.read_to("before\n");

    server.stop();
    live.type_in("meanwhile\n");
    live.read_to("meanwhile\n");
    assert_eq!(scene.exec("echo new").ok().text(), "new\n");
    let (status, reasons) = ask(b, "/readyz");
    assert!(status.contains("503") && reasons.contains("database: "), "{status} {reasons}");
    b.cli(&["person", "add", "bob"]).exits(1).says(&["database"]);
    b.cli(&["person", "lock", "alice"]).exits(1).says(&["database"]);
    b.cli(&["log", "search"]).exits(1);
    // The log itself is there.
    assert!(b.say(&["log", "export"]).contains("echo new"));

    server.start_again();
    eventually("the database is taken up again", || (ask(b, "/readyz").1 == "ok\n").then_some(()));
    b.say(&["person", "add", "bob"]);
    let people = list(&b.json(&["person", "list"]));
    let names: Vec<_> = people.iter().map(|person| person["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["alice", "bob"], "nothing was done by halves");
    // What happened meanwhile is found; what was refused before it began is not there.
    assert_eq!(scene.events("command").len(), 2);
    let changes = scene.events("directory.change");
    let names: Vec<_> = changes.iter().map(|change| change["record"].as_str().unwrap()).collect();
    assert_eq!(names, ["person", "target", "grant", "person"], "{changes:#?}");
    drop(live.child.stdin.take());
    assert_eq!(live.finish().0, 0);
    b.say(&["person", "lock", "alice"]);
    scene.exec("true").fails();
    b.cli(&["log", "verify"]).ok();
}
