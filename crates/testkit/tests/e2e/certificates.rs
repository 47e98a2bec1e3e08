//! Certificates that Bartizan gives people: what they open, what they do not, and how they are taken back.

use std::fs;

use bartizan_testkit::{BartizanOptions, Certify, Finished, KeyPair, KeyType, eventually, run};
use serde_json::Value;

use crate::scene::{Options, Scene, Way, list, text, ways};

ways! {
    everywhere: ;
    bartizan:
        a_certificate_of_ours_logs_in,
        certificates_of_ours_that_prove_nothing,
        a_revoked_certificate_is_refused_and_its_session_ends,
        certificates_of_listed_cas_are_revoked_too,
        a_locked_person_has_no_certificate,
}

/// A key that is registered to nobody, and from now on the client's.
fn laptop(scene: &mut Scene, name: &str) -> KeyPair {
    let key = KeyPair::generate(scene.folder(), name, KeyType::Ed25519);
    scene.client = scene.client.with_key(&key);
    key
}

/// Issues a certificate for the key into the place where ssh looks for it; gives what was issued.
#[track_caller]
fn issue(scene: &Scene, key: &KeyPair, options: &[&str]) -> Value {
    let certificate = format!("{}-cert.pub", text(key.private()));
    let public = key.public();
    let command = ["cert", "issue", "alice", "--key", text(&public), "--out", &certificate, "--force"];
    scene.bartizan().json(&[&command[..], options].concat())
}

#[track_caller]
fn refused(scene: &Scene, why: &str) -> Finished {
    let before = scene.events("auth.reject").len();
    let done = scene.exec("true").exits(255).says(&["permission denied"]);
    let rejected =
        eventually("the refusal is on record", || scene.events("auth.reject").into_iter().nth(before));
    assert!(rejected["reason"].as_str().unwrap().contains(why), "{rejected:#}");
    done
}

fn a_certificate_of_ours_logs_in(way: Way) {
    let mut scene = Scene::new(way);
    let key = laptop(&mut scene, "id_laptop");
    refused(&scene, "registered to nobody");
    let issued = issue(&scene, &key, &["--for", "30m", "--source", "127.0.0.0/8,::1"]);
    scene.exec("exit 7").exits(7);
    let accepted = scene.event("auth.accept");
    assert_eq!((&accepted["person"], &accepted["method"]), (&"alice".into(), &"certificate".into()));
    let used = &accepted["certificate"];
    assert_eq!(
        (&used["serial"], &used["key_id"], &used["ca"]),
        (&issued["serial"], &issued["key_id"], &issued["ca"])
    );
    let told = scene.event("certificate.issue");
    assert_eq!((&told["holder"], &told["serial"]), (&"alice".into(), &issued["serial"]), "{told:#}");
    assert_eq!(told["key"], key.fingerprint().as_str());
    // What stock tools say of it.
    let certificate = format!("{}-cert.pub", text(key.private()));
    let shown = run(std::process::Command::new("ssh-keygen").args(["-Lf", &certificate])).ok().text();
    for line in ["user certificate", "alice", "source-address 127.0.0.0/8,::1/128", "permit-pty"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(!shown.contains("forwarding"), "{shown}");
    // A terminal is not held back.
    let mut client = scene.start(&["-tt"], "tty && exit 5");
    client.read_to("/dev/");
    assert_eq!(client.finish().0, 5);
    // Named as the file of an option, elsewhere.
    let elsewhere = scene.folder().join("elsewhere.pub");
    fs::rename(&certificate, &elsewhere).unwrap();
    refused(&scene, "registered to nobody");
    let line = format!("CertificateFile {}", text(&elsewhere));
    let (endpoint, login) = (scene.bartizan().endpoint(), scene.target.login().to_owned());
    scene.client.host("bastion", &endpoint, "alice", &[&line]);
    scene.client.host("by-name", &endpoint, &format!("alice+{login}@web-1"), &[&line]);
    scene.exec("exit 7").exits(7);
}

fn certificates_of_ours_that_prove_nothing(way: Way) {
    let mut scene = Scene::new(way);
    let key = laptop(&mut scene, "id_far");
    issue(&scene, &key, &["--source", "192.0.2.0/24"]);
    refused(&scene, "may not be used from this address");

    let key = laptop(&mut scene, "id_short");
    issue(&scene, &key, &["--for", "1s"]);
    // It may end between the login and the session, too, which then says so itself.
    eventually("the certificate ends", || {
        let done = scene.exec("true");
        (done.code() == 255 && done.errors().contains("Permission denied")).then_some(())
    });
    refused(&scene, "has expired");

    // Changed in one place: its CA has not signed that. The stock client does not even send it.
    let key = laptop(&mut scene, "id_changed");
    issue(&scene, &key, &[]);
    scene.exec("exit 7").exits(7);
    let file = format!("{}-cert.pub", text(key.private()));
    let whole = fs::read_to_string(&file).unwrap();
    let middle = whole.len() / 2;
    let other = if whole.as_bytes()[middle] == b'A' { "B" } else { "A" };
    fs::write(&file, format!("{}{other}{}", &whole[..middle], &whole[middle + 1..])).unwrap();
    scene.exec("true").exits(255).says(&["permission denied"]);

    // Somebody else's certificate, by the same CA.
    let bobs = KeyPair::generate(scene.folder(), "id_bob", KeyType::Ed25519);
    scene.bartizan().say(&["person", "add", "bob"]);
    let public = bobs.public();
    let of_bob = format!("{}-cert.pub", text(bobs.private()));
    scene.bartizan().say(&["cert", "issue", "bob", "--key", text(&public), "--out", &of_bob]);
    scene.client = scene.client.with_key(&bobs);
    // By the user name nobody is named, and bob is let in to nothing.
    scene.exec("true").fails();
    assert_eq!(scene.sessions().iter().filter(|session| session["person"] == "bob").count(), 0);
}

fn a_revoked_certificate_is_refused_and_its_session_ends(way: Way) {
    let mut scene = Scene::new(way);
    let key = laptop(&mut scene, "id_laptop");
    let issued = issue(&scene, &key, &[]);
    let mut client = scene.start(&["-tt"], "echo up; exec sleep 1000");
    client.read_to("up\r\n");
    let serial = issued["serial"].to_string();
    scene.bartizan().say(&["cert", "revoke", &serial]);
    let (code, _, errors) = client.finish();
    assert_ne!(code, 0, "{errors}");
    let ended = scene.ended_session();
    assert!(ended.to_string().contains("revoked"), "{ended:#}");
    refused(&scene, "the certificate is revoked");
    let told = scene.event("certificate.revoke");
    assert_eq!((&told["serial"], &told["holder"]), (&issued["serial"], &"alice".into()), "{told:#}");
    let listed = list(&scene.bartizan().json(&["cert", "list"]));
    assert_eq!(
        (&listed[0]["state"], &listed[0]["serial"]),
        (&"revoked".into(), &issued["serial"]),
        "{listed:?}"
    );
    scene.bartizan().cli(&["cert", "revoke", &serial]).exits(1).says(&["exists already"]);

    // Another one for the same key is good, until the key itself is revoked.
    issue(&scene, &key, &[]);
    scene.exec("exit 7").exits(7);
    scene.bartizan().say(&["cert", "revoke", "--key", &key.fingerprint()]);
    refused(&scene, "the certificate is revoked");
    let public = key.public();
    let again = ["cert", "issue", "alice", "--key", text(&public)];
    scene.bartizan().cli(&again).exits(1).says(&["are revoked"]);
    // After a restart, too.
    scene.bartizan_mut().kill();
    scene.bartizan_mut().start_again();
    refused(&scene, "the certificate is revoked");
}

fn certificates_of_listed_cas_are_revoked_too(way: Way) {
    let mut scene = Scene::new(way);
    let ca = KeyPair::generate(scene.folder(), "company_ca", KeyType::Ed25519);
    let line = format!("{} company", ca.line().rsplit_once(' ').unwrap().0);
    let file = scene.folder().join("company.pub");
    fs::write(&file, line).unwrap();
    scene.bartizan().say(&["ca", "trust", text(&file)]);
    let certified = |scene: &mut Scene, name: &str, key_id: &str, serial: Option<&str>| {
        let key = laptop(scene, name);
        let how = Certify { principals: "alice", key_id, ..Certify::default() };
        match serial {
            None => drop(ca.certify(&key, &how)),
            Some(serial) => {
                let mut keygen = std::process::Command::new("ssh-keygen");
                keygen.args(["-q", "-I", key_id, "-n", "alice", "-V", "-1d:+1d", "-z", serial, "-s"]);
                run(keygen.arg(ca.private()).arg(key.public())).ok();
            }
        }
    };
    certified(&mut scene, "id_one", "alice's laptop", None);
    let mut client = scene.start(&["-tt"], "echo up; exec sleep 1000");
    client.read_to("up\r\n");
    let b = scene.bartizan();
    b.cli(&["cert", "revoke", "0", "--ca", "company"]).exits(2).says(&["serial number"]);
    b.say(&["cert", "revoke", "--key-id", "alice's laptop", "--ca", "company"]);
    assert_ne!(client.finish().0, 0);
    refused(&scene, "the certificate is revoked");

    certified(&mut scene, "id_two", "another", Some("18446744073709551615"));
    scene.exec("exit 7").exits(7);
    scene.bartizan().say(&["cert", "revoke", "18446744073709551615", "--ca", &ca.fingerprint()]);
    refused(&scene, "the certificate is revoked");
    let listed = scene.bartizan().say(&["cert", "list"]);
    assert!(listed.contains("alice's laptop") && listed.contains("18446744073709551615"), "{listed}");

    // The CA goes on with what is not revoked.
    certified(&mut scene, "id_three", "a third", None);
    scene.exec("exit 7").exits(7);
}

fn a_locked_person_has_no_certificate(way: Way) {
    let mut scene = Scene::new(way);
    let key = laptop(&mut scene, "id_laptop");
    issue(&scene, &key, &[]);
    let mut client = scene.start(&["-tt"], "echo up; exec sleep 1000");
    client.read_to("up\r\n");
    scene.bartizan().say(&["person", "lock", "alice"]);
    assert_ne!(client.finish().0, 0);
    refused(&scene, "this person is locked");
    scene.bartizan().say(&["person", "unlock", "alice"]);
    scene.exec("exit 7").exits(7);
    // Who has the name later has nothing of it.
    scene.bartizan().say(&["person", "remove", "alice", "--with-grants"]);
    scene.exec("true").exits(255);
    eventually("a second passes", || {
        scene.bartizan().say(&["person", "add", "alice"]);
        let listed = list(&scene.bartizan().json(&["cert", "list"]));
        let older = listed[0]["state"] == "certificate_older_than_person";
        scene.bartizan().say(&["person", "remove", "alice"]);
        older.then_some(())
    });
    scene.bartizan().say(&["person", "add", "alice"]);
    refused(&scene, "issued before this person was added");
}

/// The people CA is no way around Bartizan, even for somebody who is called like an account of the target.
#[test]
fn a_persons_certificate_opens_no_target() {
    let mut scene = Scene::new(Way::ProxyJump);
    let login = scene.target.login().to_owned();
    let b = scene.bartizan();
    b.say(&["person", "add", &login]);
    let grant = ["--target", "web-1", "--login", &login, "--allow", "exec"];
    b.say(&[&["grant", "add", "--person", &login][..], &grant].concat());
    let key = laptop(&mut scene, "id_same");
    let (public, certificate) = (key.public(), format!("{}-cert.pub", text(key.private())));
    scene.bartizan().say(&["cert", "issue", &login, "--key", text(&public), "--out", &certificate]);
    let (target, bastion) = (scene.target.endpoint(), scene.bartizan().endpoint());
    scene.client.trust(&scene.target.known_hosts_line());
    scene.client.host("straight", &target, &login, &[]);
    scene.client.host("bastion", &bastion, &login, &[]);
    // Through Bartizan, and the target believes its user CA.
    scene.exec("exit 7").exits(7);
    run(scene.client.ssh().args(["straight", "exit 7"])).exits(255).says(&["permission denied"]);
    // What the user CA signed would have opened it: that is why people have another.
    let stolen = KeyPair::generate(scene.folder(), "id_stolen", KeyType::Ed25519);
    let user_ca = scene.bartizan().data().join("keys/user_ca");
    let mut keygen = std::process::Command::new("ssh-keygen");
    keygen.args(["-q", "-I", "stolen", "-n", &login, "-V", "-1d:+1d", "-s"]).arg(user_ca);
    run(keygen.arg(stolen.public())).ok();
    run(scene.client.with_key(&stolen).ssh().args(["straight", "exit 7"])).exits(7);
    let shown = |which| scene.bartizan().say(&["ca", "show", which]);
    assert_ne!(shown("people"), shown("user"));
    // And neither CA of ours can be made one of people by hand.
    for which in ["user", "host", "people"] {
        let file = scene.folder().join(which);
        fs::write(&file, shown(which)).unwrap();
        let own = format!("own {which} ca");
        scene.bartizan().cli(&["ca", "trust", text(&file)]).fails().says(&[&own]);
    }
}

#[test]
fn the_people_ca_is_rotated_and_an_old_folder_gets_one() {
    let mut scene = Scene::new(Way::ProxyJump);
    // As a version without it left the folder.
    scene.bartizan_mut().stop();
    let keys = scene.bartizan().data().join("keys");
    fs::remove_file(keys.join("people_ca")).unwrap();
    fs::remove_file(keys.join("people_ca.pub")).unwrap();
    scene.bartizan_mut().start_again();
    let made = scene.event("ca.change");
    assert_eq!(
        (&made["ca"], &made["action"], &made["by"]),
        (&"people".into(), &"create".into(), &"start".into())
    );
    let key = laptop(&mut scene, "id_laptop");
    let issued = issue(&scene, &key, &[]);
    assert_eq!(issued["ca"], made["key"]);
    let mut client = scene.start(&["-tt"], "echo up; exec sleep 1000");
    client.read_to("up\r\n");
    let b = scene.bartizan();
    b.say(&["ca", "rotate", "people"]);
    b.say(&["ca", "rotate", "people", "--activate"]);
    scene.exec("exit 7").exits(7);
    let other = KeyPair::generate(scene.folder(), "id_other", KeyType::Ed25519);
    let next = issue(&scene, &other, &[]);
    assert_ne!(next["ca"], issued["ca"]);
    // What the former key signed ends with it, sessions included.
    scene.bartizan().say(&["ca", "retire", "people"]);
    assert_ne!(client.finish().0, 0);
    refused(&scene, "an authority that is not trusted");
    scene.client = scene.client.with_key(&other);
    scene.exec("exit 7").exits(7);
}

#[test]
fn how_long_certificates_last_is_bounded_by_the_configuration() {
    let bartizan = BartizanOptions::written("[certificates]\nlongest = \"1h\"\n");
    let mut scene = Scene::with(Way::UserName, &Options { bartizan, ..Options::default() });
    let key = laptop(&mut scene, "id_laptop");
    let public = key.public();
    let order = |life| ["cert", "issue", "alice", "--key", text(&public), "--for", life];
    let b = scene.bartizan();
    b.cli(&order("61m")).exits(2).says(&["3600 s at most", "[certificates] longest"]);
    assert!(b.say(&order("60m")).starts_with("ssh-ed25519-cert-v01@openssh.com "));
    let file = b.data().join("bartizan.toml");
    let longer = fs::read_to_string(&file).unwrap().replace("\"1h\"", "\"48h\"");
    fs::write(file, longer).unwrap();
    b.reload();
    let told = eventually("the new value is taken", || scene.events("server.reload").pop());
    assert_eq!(told["changed"], serde_json::json!(["certificates.longest"]), "{told:#}");
    b.say(&order("47h"));
    // Nothing is issued for a file that is not written.
    let there = scene.folder().join("there");
    fs::write(&there, "mine").unwrap();
    let over = [&order("1m")[..], &["--out", text(&there)]].concat();
    b.cli(&over).exits(1).says(&["exists already"]);
    assert_eq!(scene.events("certificate.issue").len(), 2);
}
