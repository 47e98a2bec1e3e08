//! Algorithms and keys of clients: what is offered works, what is left out is refused clearly.

use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{BartizanOptions, KeyPair, KeyType, Pattern, SshdOptions, run, run_with_input};

use crate::scene::{Options, Scene, Way, text, trust_bartizan, ways};

ways! {
    everywhere: ;
    bartizan:
        every_algorithm_carries_bytes,
        what_is_left_out_is_refused,
        every_key_type_proves_a_person,
        hardware_keys_prove_a_person,
        the_right_key_may_come_late,
        the_target_s_host_keys_stay_on_their_side,
        a_silent_session_is_kept_alive,
        clients_take_us_for_openssh,
        a_target_without_better_macs_is_reached,
        macs_for_old_clients_can_be_switched_on,
}

/// What an operator can switch on for clients that must have it.
fn with_nist_curves(way: Way) -> Scene {
    let methods = [
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
    ];
    let bartizan = BartizanOptions::written(format!("\n[ssh]\nkey_exchange = {methods:?}\n"));
    let mut scene = Scene::with(way, &Options { bartizan, ..Options::default() });
    KeyPair::generate(&scene.bartizan().data().join("keys"), "host_ecdsa", KeyType::EcdsaP256);
    scene.bartizan_mut().stop();
    scene.bartizan_mut().start_again();
    trust_bartizan(&scene.client, scene.bartizan());
    scene
}

fn every_algorithm_carries_bytes(way: Way) {
    let scene = with_nist_curves(way);
    let bytes = Pattern::bytes(9, 300_000);
    let host_keys = match way {
        // The inner server shows certificates of the host CA.
        Way::ProxyJump => "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com",
        _ => "HostKeyAlgorithms ecdsa-sha2-nistp256 rsa-sha2-512 rsa-sha2-256 ssh-ed25519",
    };
    for line in [
        "KexAlgorithms curve25519-sha256 curve25519-sha256@libssh.org \
         ecdh-sha2-nistp256 ecdh-sha2-nistp384 \
         ecdh-sha2-nistp521",
        "Ciphers aes256-gcm@openssh.com aes128-gcm@openssh.com aes256-ctr aes192-ctr aes128-ctr \
         chacha20-poly1305@openssh.com",
        "MACs hmac-sha2-256-etm@openssh.com hmac-sha2-512-etm@openssh.com",
        "Compression yes no",
        host_keys,
    ] {
        let (option, values) = line.split_once(' ').unwrap();
        for value in values.split_whitespace() {
            let mut ssh = scene.client.ssh();
            if option == "MACs" {
                ssh.args(["-c", "aes128-ctr"]);
            }
            ssh.args(["-o", &format!("{option}={value}"), scene.host(), "cat"]);
            let done = run_with_input(&mut ssh, &bytes).ok();
            assert!(done.stdout == bytes, "{option} {value}");
        }
    }
}

fn what_is_left_out_is_refused(way: Way) {
    let scene = Scene::new(way);
    for (option, word) in [
        ("KexAlgorithms=diffie-hellman-group14-sha1", "no matching key exchange"),
        ("Ciphers=aes128-cbc", "no matching cipher"),
        ("HostKeyAlgorithms=ssh-rsa", "no matching host key"),
        ("HostKeyAlgorithms=ecdsa-sha2-nistp256", "no matching host key"),
        (
            "KexAlgorithms=ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521",
            "no matching key exchange",
        ),
    ] {
        run(scene.client.ssh().args(["-o", option, scene.host(), "true"])).exits(255).says(&[word]);
    }
}

/// An RSA key proves a person by SHA-2 only. (The jump's own connection would not see the option.)
#[test]
fn a_signature_with_sha1_proves_nobody() {
    let scene = Scene::new(Way::UserName);
    let key = KeyPair::generate(scene.folder(), "id_rsa", KeyType::Rsa);
    scene.bartizan().say(&["key", "add", "alice", text(&key.public())]);
    let client = scene.client.with_key(&key);
    let with = |algorithm: &str| {
        let option = format!("PubkeyAcceptedAlgorithms={algorithm}");
        run(client.ssh().args(["-o", &option, scene.host(), "exit 7"]))
    };
    with("rsa-sha2-512").exits(7);
    with("rsa-sha2-256").exits(7);
    with("ssh-rsa").exits(255);
}

fn every_key_type_proves_a_person(way: Way) {
    let scene = Scene::new(way);
    for kind in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::Rsa] {
        let key = KeyPair::generate(scene.folder(), &format!("id_{kind:?}"), kind);
        scene.bartizan().say(&["key", "add", "alice", text(&key.public())]);
        run(scene.client.with_key(&key).ssh().args([scene.host(), "exit 7"])).exits(7);
        let accepted = scene.bartizan().json(&["log", "search", "--type", "auth.accept", "--limit", "1"]);
        assert_eq!(accepted[0]["key"], key.fingerprint().as_str(), "{kind:?}");
    }
}

/// OpenSSH's own stand-in for a hardware key (Debian: openssh-tests).
const SK_DUMMY: &str = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";

/// A hardware key of one kind, which the stand-in always touches unless `options` say otherwise.
fn hardware_key(scene: &Scene, kind: &str, options: &[&str]) -> PathBuf {
    assert!(Path::new(SK_DUMMY).exists(), "openssh-tests is missing: run scripts/setup-test.sh test");
    let path = scene.folder().join(kind);
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", kind, "-w", SK_DUMMY, "-N", "", "-f", text(&path)]);
    run(keygen.args(options)).ok();
    scene.bartizan().say(&["key", "add", "alice", text(&path.with_extension("pub"))]);
    path
}

/// `ssh` with that key and no other, also for the jump's own connection, which reads the configuration only.
fn ssh_with_hardware_key(scene: &Scene, path: &Path) -> Command {
    let config = std::fs::read_to_string(scene.client.config()).unwrap();
    let own = scene.key.private().display().to_string();
    let config = config.replace(&own, text(path)) + &format!("  SecurityKeyProvider {SK_DUMMY}\n");
    let file = scene.folder().join("sk_config");
    std::fs::write(&file, config).unwrap();
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(file).env_remove("SSH_AUTH_SOCK").args([scene.host(), "exit 7"]);
    ssh
}

/// A key that was made so signs without a touch, which `sshd` refuses by itself, too.
#[test]
fn hardware_keys_that_nobody_touched_prove_nothing() {
    let scene = Scene::new(Way::UserName);
    for kind in ["ed25519-sk", "ecdsa-sk"] {
        let path = hardware_key(&scene, kind, &["-O", "no-touch-required"]);
        run(&mut ssh_with_hardware_key(&scene, &path)).exits(255).says(&["permission denied"]);
    }
    let rejected = scene.events("auth.reject");
    assert_eq!(rejected.len(), 2, "{rejected:#?}");
    for event in rejected {
        let reason = event["reason"].as_str().unwrap();
        assert!(reason.starts_with("the hardware key was not touched"), "{event:#}");
    }
    assert!(scene.sessions().is_empty());
}

fn hardware_keys_prove_a_person(way: Way) {
    let scene = Scene::new(way);
    for kind in ["ed25519-sk", "ecdsa-sk"] {
        let path = hardware_key(&scene, kind, &[]);
        run(&mut ssh_with_hardware_key(&scene, &path)).exits(7);
        let shown = run(Command::new("ssh-keygen").arg("-lf").arg(path.with_extension("pub"))).ok().text();
        let accepted = scene.bartizan().json(&["log", "search", "--type", "auth.accept", "--limit", "1"]);
        assert!(shown.contains(accepted[0]["key"].as_str().unwrap()), "{shown} {accepted:#}");
    }
}

/// Agents hold many keys; the right one may be the last that is offered.
fn the_right_key_may_come_late(way: Way) {
    let scene = Scene::new(way);
    let config = std::fs::read_to_string(scene.client.config()).unwrap();
    let wrong = (0..12).fold(String::from("Host *\n"), |lines, n| {
        let key = KeyPair::generate(scene.folder(), &format!("wrong_{n}"), KeyType::Ed25519);
        lines + &format!("  IdentityFile {}\n", key.private().display())
    });
    let file = scene.folder().join("many_keys");
    std::fs::write(&file, wrong + &config).unwrap();
    let mut ssh = Command::new("ssh");
    run(ssh.arg("-F").arg(file).env_remove("SSH_AUTH_SOCK").args([scene.host(), "exit 7"])).exits(7);
    // Offers that prove nothing are no failures.
    assert!(scene.events("auth.reject").is_empty());
}

/// A target announces all its host keys; a client that learns from that must learn ours.
fn the_target_s_host_keys_stay_on_their_side(way: Way) {
    let scene = Scene::new(way);
    let mut ssh = scene.client.ssh();
    run(ssh.args(["-o", "UpdateHostKeys=yes", scene.host(), "exit 7"])).exits(7);
    let known = std::fs::read_to_string(scene.client.known_hosts()).unwrap();
    let key = scene.target.host_key().line();
    assert!(!known.contains(key.split(' ').nth(1).unwrap()), "the target's key got to the client:\n{known}");
    scene.exec("exit 7").exits(7);
}

/// A client that knows one of our keys learns the others, so that one of them may be replaced.
#[test]
fn our_other_host_keys_are_learned() {
    let scene = Scene::new(Way::UserName);
    let file = scene.client.known_hosts();
    let endpoint = scene.bartizan().endpoint();
    let (host, port) = endpoint.rsplit_once(':').unwrap();
    let ours = format!("[{host}]:{port} ");
    let lines = std::fs::read_to_string(&file).unwrap();
    let keys: Vec<_> = lines.lines().filter(|line| line.starts_with(&ours)).collect();
    assert!(keys.len() >= 2, "there is a second key to learn:\n{lines}");
    std::fs::write(&file, format!("{}\n", keys[0])).unwrap();
    let mut ssh = scene.client.ssh();
    ssh.args(["-v", "-o", "UpdateHostKeys=yes", scene.host(), "exit 7"]);
    run(&mut ssh).exits(7).says(&["learned new hostkey"]);
    let known = std::fs::read_to_string(&file).unwrap();
    for key in keys {
        assert!(known.contains(key.split(' ').nth(2).unwrap()), "{key} was not learned:\n{known}");
    }
}

/// What OpenSSH says to its like alone.
fn clients_take_us_for_openssh(way: Way) {
    let scene = Scene::new(way);
    let mut ssh = scene.client.ssh();
    run(ssh.args(["-v", scene.host(), "exit 7"])).exits(7).says(&["requesting no-more-sessions@openssh.com"]);
}

/// As much as dropbear before 2020 and OpenSSH before 6.2 can do.
fn a_target_without_better_macs_is_reached(way: Way) {
    let config = vec!["Ciphers aes256-ctr".into(), "MACs hmac-sha2-256".into()];
    let sshd = SshdOptions { config, ..SshdOptions::default() };
    let scene = Scene::with(way, &Options { sshd, ..Options::default() });
    let bytes = Pattern::bytes(7, 300_000);
    let done = run_with_input(scene.client.ssh().args([scene.host(), "cat"]), &bytes).ok();
    assert!(done.stdout == bytes);
}

fn macs_for_old_clients_can_be_switched_on(way: Way) {
    let old = ["-c", "aes128-ctr", "-m", "hmac-sha2-512"];
    let scene = Scene::new(way);
    run(scene.client.ssh().args(old).args([scene.host(), "exit 7"])).exits(255).says(&["no matching mac"]);

    let macs = "\n[ssh]\nmacs = [\"hmac-sha2-256-etm@openssh.com\", \"hmac-sha2-512\"]\n";
    let bartizan = BartizanOptions::written(macs);
    let scene = Scene::with(way, &Options { bartizan, ..Options::default() });
    let bytes = Pattern::bytes(8, 300_000);
    let done = run_with_input(scene.client.ssh().args(old).args([scene.host(), "cat"]), &bytes).ok();
    assert!(done.stdout == bytes);
}

fn a_silent_session_is_kept_alive(way: Way) {
    let scene = Scene::new(way);
    let mut ssh = scene.client.ssh();
    ssh.args(["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"]);
    run(ssh.args([scene.host(), "sleep 4; exit 7"])).exits(7);
}
