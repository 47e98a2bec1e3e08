//! Rotation of Bartizan's own CAs with overlap: nobody is locked out at any step.

use bartizan_testkit::eventually;

use crate::scene::{Scene, Way, list};

/// What `ssh-config` says the client must trust, in place of what it trusted.
fn install_for_client(scene: &Scene) {
    let file = scene.client.known_hosts();
    std::fs::write(file, "").unwrap();
    let parts = scene.bartizan().json(&["ssh-config"]);
    parts["known_hosts"].as_str().unwrap().lines().for_each(|line| scene.client.trust(line));
}

fn lines(scene: &Scene, which: &str) -> usize {
    scene.bartizan().say(&["ca", "show", which]).lines().count()
}

#[test]
fn the_user_ca_is_rotated_and_targets_never_refuse() {
    let mut scene = Scene::new(Way::ProxyJump);
    let b = scene.bartizan();
    scene.exec("exit 7").exits(7);
    b.say(&["ca", "rotate", "user"]);
    assert_eq!(lines(&scene, "user"), 2);
    // Not installed yet, and the key that signs is the same.
    scene.exec("exit 7").exits(7);
    let shown = b.say(&["ca", "show", "user"]);
    shown.lines().for_each(|line| scene.target.trust_user_ca(line));
    scene.exec("exit 7").exits(7);
    b.say(&["ca", "rotate", "user", "--activate"]);
    scene.exec("exit 7").exits(7);
    let next = b.json(&["ca", "list"])[0]["fingerprint"].as_str().unwrap().to_owned();
    // The target tells which CA it believed.
    assert!(scene.target.log().contains(&next), "{}", scene.target.log());
    scene.bartizan_mut().kill();
    scene.bartizan_mut().start_again();
    scene.exec("exit 7").exits(7);
    scene.bartizan().say(&["ca", "retire", "user"]);
    assert_eq!(lines(&scene, "user"), 1);
    scene.exec("exit 7").exits(7);
    let steps: Vec<_> =
        scene.events("ca.change").iter().map(|e| e["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(steps, ["rotate", "activate", "retire"]);
    scene.bartizan().cli(&["ca", "retire", "user"]).fails().says(&["no old key"]);
}

#[test]
fn the_host_ca_is_rotated_at_its_time_and_clients_believe_both() {
    let scene = Scene::new(Way::ProxyJump);
    scene.exec("exit 7").exits(7);
    let b = scene.bartizan();
    b.say(&["ca", "rotate", "host", "--at", "1h"]);
    assert_eq!(lines(&scene, "host"), 2);
    install_for_client(&scene);
    scene.exec("exit 7").exits(7);
    // The hour passes.
    std::fs::write(b.data().join("keys/host_ca.next.at"), "2020-01-01T00:00:00Z\n").unwrap();
    eventually("the next key signs by itself", || {
        list(&b.json(&["ca", "list"]))
            .iter()
            .any(|ca| ca["ca"] == "host" && ca["state"] == "old")
            .then_some(())
    });
    assert_eq!(scene.events("ca.change").pop().unwrap()["by"], "schedule");
    scene.exec("exit 7").exits(7);
    b.say(&["ca", "retire", "host"]);
    install_for_client(&scene);
    scene.exec("exit 7").exits(7);
}
