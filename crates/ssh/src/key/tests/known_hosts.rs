//! `known_hosts` lines, and what `ssh-keygen -F` finds in the same file.

use proptest::prelude::*;

use super::keygen::Keygen;
use crate::key::known_hosts::{KnownHost, KnownHosts, Marker, lookup_name};
use crate::key::{KeyKind, PrivateKey, PublicKey};

fn key() -> PublicKey {
    PrivateKey::generate(KeyKind::Ed25519).unwrap().public_key().clone()
}

#[test]
fn patterns_negations_ports_and_case() {
    let key = key();
    for (patterns, host, port, expected) in [
        ("web-1", "web-1", 22, true),
        ("web-1", "WEB-1", 22, true),
        ("Web-1", "web-1", 22, true),
        ("web-1", "web-10", 22, false),
        ("web-?", "web-1", 22, true),
        ("web-?", "web-", 22, false),
        ("web-*", "web-", 22, true),
        ("*", "anything", 22, true),
        ("*", "anything", 2222, true),
        ("web-1", "web-1", 2222, false),
        ("[web-1]:2222", "web-1", 2222, true),
        ("[web-1]:2222", "web-1", 22, false),
        ("[web-1]:22", "web-1", 22, false),
        ("[*]:2222", "web-1", 2222, true),
        ("*.org,!bad.org", "good.org", 22, true),
        ("*.org,!bad.org", "bad.org", 22, false),
        ("!bad.org,*.org", "bad.org", 22, false),
        ("!bad.org", "good.org", 22, false),
        ("a,10.0.0.5,b", "10.0.0.5", 22, true),
        ("fe80::1", "fe80::1", 22, true),
        ("*a*b*c*", "xxaxxbxxcxx", 22, true),
        ("*a*b*c*", "xxaxxcxxbxx", 22, false),
        ("a*", "b", 22, false),
    ] {
        let line = KnownHost::new(None, patterns, key.clone()).unwrap();
        assert_eq!(line.matches(host, port), expected, "{patterns} against {host} port {port}");
        assert_eq!(KnownHost::parse(&line.to_string()).unwrap().unwrap(), line);
    }
}

#[test]
fn stars_do_not_take_exponential_time() {
    let patterns = "*a".repeat(400);
    let line = KnownHost::new(None, &patterns, key()).unwrap();
    assert!(!line.matches(&"a".repeat(399), 22));
    assert!(line.matches(&"a".repeat(400), 22));
    assert!(!line.matches(&format!("{}b", "a".repeat(5000)), 22));
}

#[test]
fn hashed_names_match_only_their_host() {
    let line = KnownHost::hashed("Web-1", 2222, key()).unwrap();
    assert!(line.matches("web-1", 2222) && !line.matches("web-1", 22) && !line.matches("web-2", 2222));
    let text = line.to_string();
    assert!(text.starts_with("|1|") && !text.contains("web"));
    assert_eq!(KnownHost::parse(&text).unwrap().unwrap(), line);
}

#[test]
fn lines_that_are_none_are_refused() {
    let base64 = key().to_openssh("");
    for good in ["", "   ", "# comment", "#web-1 ssh-ed25519 AAAA"] {
        assert_eq!(KnownHost::parse(good), Ok(None), "{good:?}");
    }
    let long = "x".repeat(1025);
    for bad in [
        "web-1".to_owned(),
        "web-1 ssh-ed25519".to_owned(),
        "web-1 ssh-ed25519 AAAA".to_owned(),
        "web-1 1024 65537 123456789".to_owned(),
        format!("@unknown web-1 {base64}"),
        format!("@revoked @revoked web-1 {base64}"),
        format!("@revoked {base64}"),
        format!("a,,b {base64}"),
        format!("{long} {base64}"),
        format!("|1|abc|def {base64}"),
        format!("|2|{0}|{0} {base64}", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        format!("|1|{0} {base64}", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        format!("|1|{0}|{0},web {base64}", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ] {
        assert!(KnownHost::parse(&bad).is_err(), "{bad:?}");
    }
    for bad in ["", "a b", "a\nb", "a,", "|1|x", "@revoked", "a#b"] {
        assert!(KnownHost::new(None, bad, key()).is_err(), "{bad:?}");
    }
    assert!(KnownHosts::parse(&"#".repeat(16 * 1024 * 1024 + 1)).is_err());
}

#[test]
fn a_file_is_read_as_far_as_it_makes_sense() {
    let (host, ca, revoked) = (key(), key(), key());
    let text = format!(
        "# ours\n\nweb-1 {0} the host\nnonsense\n@cert-authority *.org,web-? {1}\r\n@revoked * {2}\nweb-1 {2}\nweb-1 ssh-dss AAAAB3NzaC1kc3MAAAAA\n",
        host.to_openssh(""),
        ca.to_openssh(""),
        revoked.to_openssh(""),
    );
    let file = KnownHosts::parse(&text).unwrap();
    assert_eq!(file.lines().len(), 4);
    assert_eq!(file.lines()[0].comment(), "the host");
    assert_eq!(file.lines()[1].marker(), Some(Marker::CertAuthority));
    let lines: Vec<usize> = file.faults().iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [4, 8]);
    let known = file.lookup("WEB-1", 22);
    assert_eq!((known.keys, known.authorities, known.revoked), (vec![&host], vec![&ca], vec![&revoked]));
    // Without a line for the port, as `ssh` does; but a line for the port has the last word.
    assert_eq!(file.lookup("web-1", 2222).keys, [&host]);
    let other = key();
    let with_port = format!("{text}[web-1]:2222 {}\n", other.to_openssh(""));
    let file = KnownHosts::parse(&with_port).unwrap();
    assert_eq!(file.lookup("web-1", 2222).keys, [&other]);
    assert!(file.lookup("web-1", 2222).revoked.contains(&&revoked));
    assert!(file.lookup("elsewhere", 22).keys.is_empty());
}

#[test]
fn faults_are_kept_within_bounds() {
    let file = KnownHosts::parse(&"nonsense\n".repeat(5000)).unwrap();
    assert_eq!((file.faults().len(), file.lines().len()), (100, 0));
}

/// Line numbers that `ssh-keygen -F` names: `# Host web-1 found: line 3 CA`.
fn found_by_keygen(keygen: &Keygen, name: &str) -> Vec<usize> {
    let output = keygen.try_run(&["-F", name, "-f", "known_hosts"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.lines().filter_map(|line| line.strip_prefix("# Host ")?.split("found: line ").nth(1));
    numbers.map(|rest| rest.split(' ').next().unwrap().parse().unwrap()).collect()
}

fn found_by_us(text: &str, host: &str, port: u16) -> Vec<usize> {
    let speaks = |line: &&str| KnownHost::parse(line).unwrap().is_some_and(|line| line.matches(host, port));
    text.lines().enumerate().filter(|(_, line)| speaks(line)).map(|(index, _)| index + 1).collect()
}

const HOSTS: [(&str, u16); 8] = [
    ("a", 22),
    ("ab", 22),
    ("aab", 22),
    ("abab", 22),
    ("a.b", 22),
    ("a", 2222),
    ("ab", 2222),
    ("10.0.0.5", 22),
];

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof!["!?[ab*?.]{1,6}", "[ab*?]{1,4}", r"\[[ab*?]{1,3}\]:2222", Just("10.0.0.*".to_owned())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn ssh_keygen_finds_the_same_lines(
        lines in prop::collection::vec(prop::collection::vec(pattern(), 1..4), 40),
        hashed in prop::collection::vec(0usize..HOSTS.len(), 10),
    ) {
        let key = key();
        let mut text = String::from("# comment\n\n");
        for (index, patterns) in lines.iter().enumerate() {
            let marker = [None, None, Some(Marker::CertAuthority), Some(Marker::Revoked)][index % 4];
            let line = KnownHost::new(marker, &patterns.join(","), key.clone()).unwrap();
            text.push_str(&format!("{line}\n"));
        }
        for index in hashed {
            let (host, port) = HOSTS[index];
            text.push_str(&format!("{}\n", KnownHost::hashed(host, port, key.clone()).unwrap()));
        }
        let keygen = Keygen::new();
        keygen.write("known_hosts", &text);
        for (host, port) in HOSTS {
            let name = lookup_name(host, port);
            prop_assert_eq!(found_by_us(&text, host, port), found_by_keygen(&keygen, &name), "{} in\n{}", name, text);
        }
        // And the names that ssh-keygen hashes are found by us. It hashes lines without wildcards only.
        keygen.run(&["-q", "-H", "-f", "known_hosts"]);
        let hashed = keygen.read("known_hosts");
        let here: Vec<_> = HOSTS.iter().map(|(host, port)| found_by_us(&hashed, host, *port).len()).collect();
        let there: Vec<_> = HOSTS.iter().map(|(host, port)| found_by_keygen(&keygen, &lookup_name(host, *port)).len()).collect();
        prop_assert_eq!(here, there);
    }
}

proptest! {
    #[test]
    fn no_text_panics_the_parser(text in "[ -~\n|@!*]{0,200}", host in ".{0,20}", port in any::<u16>()) {
        if let Ok(file) = KnownHosts::parse(&text) {
            let _ = file.lookup(&host, port);
        }
    }
}
