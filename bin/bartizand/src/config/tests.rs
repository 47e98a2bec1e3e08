//! Golden messages of configurations that are refused, and the meaning of those that are not.

use std::path::Path;
use std::time::Duration;

use bartizan_ssh::transport::{KexMethod, Mac};

use super::keys::{KEYS, RELOADED, SECTIONS};
use super::*;

fn refused(text: &str) -> String {
    Config::parse(Path::new("bartizan.toml"), text).unwrap_err().to_string()
}

#[test]
fn nothing_written_means_the_defaults() {
    let config = Config::parse(Path::new("bartizan.toml"), "").unwrap();
    assert_eq!(config.listen, ["0.0.0.0:2222".parse().unwrap()]);
    assert_eq!(config.login_grace, Duration::from_secs(60));
    assert_eq!((config.half_open, config.half_open_per_source), (2048, 128));
    assert_eq!(config.half_open_per_second, 20);
    assert_eq!(config.log_level, "info");
    assert!(config.workers >= 1);
    assert_eq!(config.public_address(), format!("{}:2222", default_node()));
}

#[test]
fn every_key_can_be_written_and_means_something() {
    let config = Config::parse(
        Path::new("bartizan.toml"),
        r#"
        node = "gate-1"
        listen = ["127.0.0.1:2222", "[::1]:60022"]
        public_address = "bastion.example.com:2222"
        log_level = "info,bartizan_gateway=debug"
        workers = 3
        [limits]
        login_grace = "2m"
        half_open = 10
        half_open_per_source = 5
        half_open_per_second = 7
        idle = "15m"
        [ssh]
        key_exchange = ["ecdh-sha2-nistp384", "mlkem768x25519-sha256"]
        macs = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"]
        [session]
        accept_env = ["LANG", "APP_*"]
        drain = "0s"
        [metrics]
        listen = ["127.0.0.1:9222"]
        "#,
    )
    .unwrap();
    assert_eq!(config.node.0, "gate-1");
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.public_address(), "bastion.example.com:2222");
    assert_eq!(config.workers, 3);
    assert_eq!(config.login_grace, Duration::from_secs(120));
    assert_eq!((config.half_open, config.half_open_per_source), (10, 5));
    assert_eq!(config.half_open_per_second, 7);
    assert_eq!(config.accept_env, ["LANG", "APP_*"]);
    assert_eq!(config.drain, Duration::ZERO);
    assert_eq!(config.metrics_listen, ["127.0.0.1:9222".parse().unwrap()]);
    assert_eq!(config.key_exchange, [KexMethod::EcdhSha2Nistp384, KexMethod::MlKem768X25519Sha256]);
    assert_eq!(config.macs, [Mac::HmacSha256Etm, Mac::HmacSha256]);
}

/// What is compared at a reload and shown by `check` is all of it, and what a reload takes is what it says.
#[test]
fn every_key_has_a_value_that_is_shown_and_a_reload_takes_what_it_says() {
    let before = Config::parse(Path::new("c"), "").unwrap();
    let names = before.values().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names, KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
    let after = Config::parse(
        Path::new("c"),
        r#"
        node = "other"
        listen = ["127.0.0.1:2222"]
        public_address = "bastion.example.com"
        database = "postgres://bartizan@db/bartizan"
        database_password_file = "/etc/password"
        log_level = "debug"
        workers = 77
        [limits]
        login_grace = "2m"
        half_open = 10
        half_open_per_source = 5
        half_open_per_second = 7
        idle = "15m"
        [ssh]
        key_exchange = ["mlkem768x25519-sha256"]
        macs = ["hmac-sha2-256"]
        [session]
        accept_env = ["LANG"]
        drain = "5m"
        [certificates]
        longest = "1h"
        [recordings]
        keep = "400d"
        keep_size = "500GiB"
        [space]
        low = "30%, 100GiB"
        full = "10%, 20GiB"
        [vault]
        master_key = "/etc/master"
        [metrics]
        listen = ["127.0.0.1:9222"]
        "#,
    )
    .unwrap();
    assert_eq!(before.differing(&after), names, "all of them were written");
    let taken = before.reloaded(&after);
    assert_eq!(before.differing(&taken), RELOADED);
    let rest: Vec<_> = names.into_iter().filter(|name| !RELOADED.contains(name)).collect();
    assert_eq!(taken.differing(&after), rest);
}

#[test]
fn the_public_address_is_the_first_listener_unless_written() {
    let config = Config::parse(Path::new("c"), "listen = [\"10.0.0.1:22\", \"[::1]:22\"]").unwrap();
    assert_eq!(config.public_address(), "10.0.0.1:22");
}

#[test]
fn faults_name_line_and_remedy() {
    let texts = [
        "listn = []\n",
        "node = \"a\"\n\nlogin_grace = \"3s\"\n[limits]\nhalf_opn = 3\n",
        "zebra = 1\n[elephants]\na = 1\n",
        "listen = [\"localhost:22\", \"127.0.0.1:1\",\n \"127.0.0.1:1\"]\n",
        "listen = \"0.0.0.0:2222\"\nworkers = \"two\"\n",
        "listen = []\nworkers = 0\n[limits]\nlogin_grace = \"2 minutes\"\nhalf_open = -1\n",
        "[limits]\nlogin_grace = \"5h\"\n[session]\naccept_env = [\"LC_*\", \"A=B\"]\n",
        "node = \"a b\\u001b[2J\"\nlog_level = \"loud!!\"\npublic_address = \"-oProxy\"\n",
        "\"\\u001b[2J\" = 1\n",
        "node = \"a\nlisten = []\n",
        "node = \"a\"\nnode = \"b\"\n",
        "limits = 3\nlisten = []\n",
        "[limits]\nidle = \"0s\"\n",
        "[limits]\nidle = 600\n",
        "[ssh]\nkey_exchange = [\"diffie-hellman-group14-sha1\"]\n",
        "[ssh]\nkey_exchange = []\n",
        "[ssh]\nmacs = [\"hmac-sha1\"]\n",
        "[metrics]\nlisten = [\"9222\"]\n[session]\ndrain = \"25h\"\n",
        "[space]\nlow = \"lots\"\nfull = \"10%\"\n",
        "[space]\nfull = \"30%, 1GiB\"\n",
        "[space]\nlow = \"1%, 1MiB\"\n",
    ];
    let told = texts.map(|text| format!("--- {text:?}\n{}\n", refused(text))).concat();
    assert!(!told.contains('\u{1b}'), "no control byte is repeated");
    insta::assert_snapshot!(told);
}

#[test]
fn every_key_stands_in_a_known_section_and_is_explained() {
    for key in KEYS {
        let section = key.name.rsplit_once('.').map(|(section, _)| section);
        assert!(section.is_none_or(|section| SECTIONS.contains(&section)), "{}", key.name);
        assert!(
            key.consequence.ends_with('.') && !key.default.is_empty() && !key.unit.is_empty(),
            "{}",
            key.name
        );
    }
}

/// The page in the documentation is the list of keys. To renew it: `BLESS=1 cargo test -p bartizand`.
#[test]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    assert_eq!(page, reference(), "renew it with BLESS=1");
}
