use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn to(pattern: &str) -> ForwardTo {
    pattern.parse().unwrap_or_else(|e| panic!("{e}"))
}

fn on(pattern: &str) -> ListenOn {
    pattern.parse().unwrap_or_else(|e| panic!("{e}"))
}

fn dest(host: &[u8], port: u32) -> ForwardEnd {
    ForwardEnd::destination(host, port)
}

#[test]
fn destinations_are_compared_by_name_or_by_address() {
    for (pattern, host, port, covered) in [
        ("db:5432", "db", 5432, true),
        ("db:5432", "DB.", 5432, true),
        ("DB.Corp.:5432", "db.corp", 5432, true),
        ("db:5432", "db", 5433, false),
        ("db:5432", "db2", 5432, false),
        ("db:5432", "db.example.com", 5432, false),
        ("db*:5432", "db-1", 5432, true),
        ("db*:5432", "db.example.com", 5432, false),
        ("*.corp:*", "a.corp", 1, true),
        ("*.corp:*", "a.b.corp", 65535, true),
        ("*.corp:*", "corp", 1, false),
        ("*.corp:*", "a.corp.example.com", 1, false),
        ("a*.*.corp:*", "ab.x.corp", 1, true),
        ("a*.*.corp:*", "ab.x.y.corp", 1, false),
        ("web:8000-8100", "web", 8100, true),
        ("web:8000-8100", "web", 8101, false),
        ("*:443", "anything.example.com", 443, true),
        ("*:443", "192.0.2.1", 443, true),
        ("*:443", "::1", 443, true),
        ("*:*", "db", 0, false),
        ("*:*", "db", 65536, false),
        ("*:*", "db", 65536 + 22, false),
        ("10.0.0.0/8:22", "10.1.2.3", 22, true),
        ("10.0.0.0/8:22", "11.1.2.3", 22, false),
        ("10.0.0.0/8:22", "::ffff:10.1.2.3", 22, true),
        ("10.0.0.0/8:22", "::FFFF:0a01:0203", 22, true),
        ("10.0.0.0/8:22", "::10.1.2.3", 22, false),
        ("10.0.0.0/8:22", "ten", 22, false),
        ("10.0.0.5:22", "10.0.0.5", 22, true),
        ("10.0.0.5:22", "10.0.0.6", 22, false),
        ("0.0.0.0/0:22", "127.0.0.1", 22, true),
        ("0.0.0.0/8:22", "0.0.0.0", 22, false),
        ("0.0.0.0/0:22", "0.0.0.0", 22, true),
        ("[fd00::/8]:22", "fd00:0:0::5", 22, true),
        ("[fd00::/8]:22", "fe80::5", 22, false),
        ("[::1]:22", "0:0:0:0:0:0:0:1", 22, true),
        ("[::/0]:22", "10.0.0.5", 22, false),
        ("localhost:22", "127.0.0.1", 22, false),
        ("*.nip.io:22", "10.0.0.5", 22, false),
    ] {
        assert_eq!(to(pattern).covers(&dest(host.as_bytes(), port)), covered, "{pattern} {host}:{port}");
    }
}

/// What libraries take for an address, or cut, in another way than we would.
#[test]
fn strange_spellings_are_for_no_rule() {
    let long = [b'a'; 64];
    let longer = [&b"a."[..]; 200].concat();
    for host in [
        &b""[..],
        b".",
        b"127.1",
        b"127.0.1",
        b"0177.0.0.1",
        b"127.0.0.01",
        b"0x7f.0.0.1",
        b"0x7f000001",
        b"0X7F000001",
        b"2130706433",
        b"017700000001",
        b"127.0.0.0x1",
        b"127.0.0.1.",
        b"127.0.0.256",
        b"1.2.3.4.5",
        b"0x",
        b"a.0x1",
        b"a.1",
        b"fe80::1%eth0",
        b"::1%0",
        b"[::1]",
        b"::1]",
        b"1::2::3",
        b"10.0.0.5/8",
        b"db\0",
        b"db\0.corp",
        b"db corp",
        b" db",
        b"db\n",
        b"db\t",
        b"db\x7f",
        b"d\xc3\xa4b",
        b"d\xffb",
        b"db..",
        b"a..b",
        b".db",
        b"*",
        b"d*b",
        b"db:22",
        b"user@db",
        b"http://db",
        b"db/",
        b"db\\x",
        b"127.0.0.1 x",
        &long,
        &longer,
    ] {
        let end = dest(host, 22);
        assert!(end.unclear().is_some(), "{end}");
        for pattern in ["*:*", "127.0.0.1:*", "0.0.0.0/0:*", "[::/0]:*", "db*:*", "*.corp:*"] {
            assert!(!to(pattern).covers(&end), "{pattern} {end}");
            let listens = ForwardEnd::listener(host, 22);
            let every = matches!(&listens, ForwardEnd::Tcp { host: ForwardHost::Every, .. });
            assert!(every || !on(pattern).covers(&listens), "{pattern} {listens}");
        }
    }
    // Without a rule, everything is as it was.
    assert!(ForwardRules::default().cover(Permission::ForwardLocal, &dest(b"127.1", 22)));
}

#[test]
fn a_target_listens_where_rules_say() {
    for (pattern, address, port, covered) in [
        ("localhost:8080", "localhost", 8080, true),
        ("localhost:8080", "LOCALHOST.", 8080, true),
        ("localhost:8080", "127.0.0.1", 8080, true),
        ("localhost:8080", "::1", 8080, true),
        ("localhost:8080", "127.0.0.2", 8080, false),
        ("localhost:8080", "", 8080, false),
        ("localhost:8080", "*", 8080, false),
        ("localhost:8080", "0.0.0.0", 8080, false),
        ("localhost:8080", "::", 8080, false),
        ("localhost:8080", "localhost", 8081, false),
        ("127.0.0.1:8080", "localhost", 8080, false),
        ("127.0.0.0/8:8080", "127.0.0.9", 8080, true),
        ("local*:80", "127.0.0.1", 80, false),
        ("localhost:8000-8100", "localhost", 0, false),
        ("localhost:0", "localhost", 0, true),
        ("localhost:0", "localhost", 1, false),
        ("localhost:*", "localhost", 0, true),
        ("localhost:*", "localhost", 65536, false),
        ("*:8080", "", 8080, true),
        (":8080", "*", 8080, true),
        (":8080", "0.0.0.0", 8080, true),
        (":8080", "10.0.0.5", 8080, true),
        ("10.0.0.0/8:80", "0.0.0.0", 80, false),
        ("0.0.0.0/8:80", "0.0.0.0", 80, false),
        ("0.0.0.0/0:80", "0.0.0.0", 80, true),
        ("0.0.0.0/0:80", "::ffff:0.0.0.0", 80, true),
        ("0.0.0.0/0:80", "", 80, false),
        ("[fe80::/10]:80", "::", 80, false),
        ("[::/0]:80", "::", 80, true),
    ] {
        let end = ForwardEnd::listener(address.as_bytes(), port);
        assert_eq!(on(pattern).covers(&end), covered, "{pattern} {address}:{port}");
    }
}

#[test]
fn sockets_are_paths() {
    for (pattern, path, covered) in [
        ("/run/app/*.sock", &b"/run/app/x.sock"[..], true),
        ("/run/app/*.sock", b"/run/app/a/x.sock", false),
        ("/run/**", b"/run/a/b", true),
        ("/run/**", b"/run/../etc/x", false),
        ("/run/**", b"/run//x", false),
        ("/run/**", b"/run/./x", false),
        ("/run/**", b"/run/x\0", false),
        ("/run/**", b"/run/x\\y", false),
        ("/**", b"run/x", false),
        ("/**", b"@abstract", false),
        ("/**", b"\0abstract", false),
        ("/**", b"", false),
        ("*:*", b"/run/x", false),
    ] {
        let end = ForwardEnd::Unix(path.to_vec());
        assert_eq!(
            (to(pattern).covers(&end), on(pattern).covers(&end)),
            (covered, covered),
            "{pattern} {end}"
        );
    }
    assert!(!to("/**").covers(&dest(b"db", 22)));
}

#[test]
fn what_could_not_be_for_what_it_looks_like_is_no_pattern() {
    for refused in [
        "",
        "db",
        "db:",
        ":",
        "db:0-5",
        "db:70000",
        "db:5-4",
        "db:+5",
        "db:-5",
        "db:5-",
        "db:a",
        "db: 5",
        "d b:5",
        "10.0.*:22",
        "*.*:22",
        "10.*.*.*:22",
        "127.1:22",
        "0x7f000001:22",
        "0177.0.0.1:22",
        "a**:22",
        "**.corp:22",
        "a..b:22",
        ".:22",
        "::1:22",
        "fd00::/8:22",
        "[db]:22",
        "[10.0.0.5]:22",
        "[::1%eth0]:22",
        "[::1:22",
        "[]:22",
        "10.0.0.0/33:22",
        "10.0.0/8:22",
        "db/8:22",
        "[::ffff:10.0.0.0/104]:22",
        "[::ffff:10.0.0.5]:22",
        "dä:22",
        "d?:22",
        "/run/../x",
        "run/x",
        "/run/[ab]",
        "user@db:22",
        "db\0:22",
        "db\n:22",
    ] {
        assert!(refused.parse::<ForwardTo>().is_err(), "{refused:?}");
        assert!(refused.parse::<ListenOn>().is_err(), "{refused:?}");
    }
    for listener in [":8080", "db:0", "localhost:0"] {
        assert!(listener.parse::<ForwardTo>().is_err() && listener.parse::<ListenOn>().is_ok(), "{listener}");
    }
    let error = "10.0.*:22".parse::<ForwardTo>().unwrap_err().to_string();
    assert!(error.starts_with("destination \"10.0.*:22\" ") && error.contains("10.0.0.0/8"), "{error}");
}

#[test]
fn patterns_read_as_they_are_shown() {
    for (written, shown) in [
        ("DB.corp.:5432", "db.corp:5432"),
        ("*:*", "*:*"),
        ("db:80-80", "db:80"),
        ("db:8000-8100", "db:8000-8100"),
        ("10.0.0.5:22", "10.0.0.5:22"),
        ("10.0.0.5/32:22", "10.0.0.5:22"),
        ("10.0.0.0/8:22", "10.0.0.0/8:22"),
        ("[FD00::/8]:22", "[fd00::/8]:22"),
        ("[0::1]:22", "[::1]:22"),
        ("/run/app/", "/run/app"),
    ] {
        assert_eq!(to(written).to_string(), shown);
        assert_eq!(to(shown), to(written));
    }
    assert_eq!(on(":0").to_string(), "*:0");
    let rules = ForwardRules { to: vec![to("db:5432"), to("/run/x")], listen: vec![on("localhost:0")] };
    assert_eq!(rules.to_string(), "to db:5432, /run/x; listening on localhost:0");
    let json = serde_json::to_value(&rules).unwrap();
    assert_eq!(json, serde_json::json!({ "to": ["db:5432", "/run/x"], "listen": ["localhost:0"] }));
    assert_eq!(serde_json::from_value::<ForwardRules>(json).unwrap(), rules);
    assert_eq!(serde_json::from_str::<ForwardRules>("{}").unwrap(), ForwardRules::default());
    assert!(serde_json::from_str::<ForwardRules>(r#"{"to":["127.1:22"]}"#).is_err());
}

#[test]
fn rules_stand_beside_the_permission_that_they_are_for() {
    let destinations = ForwardRules { to: vec![to("db:5432")], ..ForwardRules::default() };
    let listeners = ForwardRules { listen: vec![on("localhost:0")], ..ForwardRules::default() };
    for (rules, allow, fits) in [
        (&destinations, "forward:local", true),
        (&destinations, "shell,forward:local", true),
        (&destinations, "shell,forward:remote", false),
        (&listeners, "forward:remote", true),
        (&listeners, "forward:local", false),
        (&ForwardRules::default(), "shell", true),
    ] {
        assert_eq!(rules.check(&allow.parse().unwrap()).is_ok(), fits, "{rules} {allow}");
    }
    let many = ForwardRules { to: vec![to("db:5432"); 65], ..ForwardRules::default() };
    assert!(many.check(&"forward:local".parse().unwrap()).is_err());
    // One kind of rule holds nothing of the other.
    assert!(destinations.cover(Permission::ForwardRemote, &ForwardEnd::listener(b"", 80)));
    assert!(!destinations.cover(Permission::ForwardLocal, &dest(b"web", 80)));
}

#[test]
fn ends_are_read_as_people_write_them() {
    let read = |text| ForwardEnd::parse(text, Permission::ForwardLocal);
    assert_eq!(read("db:5432"), Some(dest(b"db", 5432)));
    assert_eq!(read("[::1]:80"), Some(dest(b"::1", 80)));
    assert_eq!(read("127.1:80"), Some(dest(b"127.1", 80)));
    assert_eq!(read("/run/x"), Some(ForwardEnd::Unix(b"/run/x".to_vec())));
    assert_eq!(ForwardEnd::parse(":80", Permission::ForwardRemote), Some(ForwardEnd::listener(b"", 80)));
    for none in ["db", "db:", "db:+1", "db:http", "", "db:99999999999"] {
        assert!(read(none).is_none(), "{none}");
    }
    assert_eq!(dest(b"a\x1b\0", 1).to_string(), r"a\x1b\x00:1".to_owned(), "escaped");
    assert!(dest(&[b'a'; 9000], 1).to_string().len() < 300);
}

proptest! {
    /// An address in any spelling that we take is judged as the address that it is.
    #[test]
    fn an_address_is_judged_by_its_number(bits in any::<u32>(), prefix in 0..=32_u8, net in any::<u32>(), mapped in any::<bool>()) {
        let ip = Ipv4Addr::from(bits);
        let text = if mapped { ip.to_ipv6_mapped().to_string() } else { ip.to_string() };
        let pattern = to(&format!("{}/{prefix}:*", Ipv4Addr::from(net)));
        let shift = |address: u32| u64::from(address) >> (32 - prefix);
        let within = shift(bits) == shift(net) && (bits != 0 || prefix == 0);
        prop_assert_eq!(pattern.covers(&dest(text.as_bytes(), 22)), within);
    }

    #[test]
    fn every_address_of_the_standard_library_is_plain(v6 in any::<u128>()) {
        let ip = IpAddr::V6(Ipv6Addr::from(v6));
        let end = dest(ip.to_string().as_bytes(), 1);
        let address = ForwardHost::Address(ip.to_canonical());
        prop_assert_eq!(&end, &ForwardEnd::Tcp { host: address, port: 1 });
        prop_assert!(to("*:*").covers(&end));
    }

    /// What a C library would take for an IPv4 address is an address for us, too, or nothing.
    #[test]
    fn numbers_are_never_names(parts in prop::collection::vec("(0[xX])?[0-9a-fA-F]{0,4}|[0-9]{1,12}", 1..5)) {
        let host = parts.join(".");
        let numeric = parts.iter().all(|part| {
            let hex = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
            hex.map_or(part.bytes().all(|b| b.is_ascii_digit()), |hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
        });
        let name = matches!(dest(host.as_bytes(), 1), ForwardEnd::Tcp { host: ForwardHost::Name(_), .. });
        prop_assert!(!(numeric && name), "{}", host);
    }

    #[test]
    fn any_bytes_are_judged_and_shown(host in prop::collection::vec(any::<u8>(), 0..300), port in any::<u32>()) {
        for end in [dest(&host, port), ForwardEnd::listener(&host, port), ForwardEnd::Unix(host.clone())] {
            let strange = end.unclear().is_some();
            prop_assert!(!strange || !(to("*:*").covers(&end) || to("/**").covers(&end) || on("*:*").covers(&end)));
            prop_assert!(end.to_string().bytes().all(|byte| byte >= 0x20 && byte != 0x7f));
        }
    }

    #[test]
    fn patterns_survive_a_round_trip(pattern in "([a-z*]{1,3}[.]){0,2}([a-z*]{1,4}|[*]):([*]|[0-9]{1,4}(-[0-9]{4})?)") {
        if let Ok(read) = pattern.parse::<ForwardTo>() {
            prop_assert_eq!(read.to_string().parse::<ForwardTo>().unwrap(), read);
        }
    }
}
