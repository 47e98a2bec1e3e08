//! Conversations within channels: the SFTP gate, a forwarded agent, a forwarded connection; and an agent's answers.

use bartizan_ssh::key::{KeyKind, PrivateKey};

use super::{joined, seed, string};

pub(super) fn all() {
    sftp_gate();
    agent();
    greeting();
}

/// The first byte of a piece: who speaks, and that it is cut into chunks of 8 bytes.
const CLIENT: u8 = 0x0E;
const TARGET: u8 = 0x0F;

fn piece(who: u8, bytes: &[u8]) -> Vec<u8> {
    [&[who][..], bytes].concat()
}

/// A packet or a message: length, number, and the rest.
fn packet(who: u8, kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    piece(who, &string(&[&[kind][..], &parts.concat()].concat()))
}

/// What is permitted, what is not, and what breaks the stream; the target's answers in between.
fn sftp_gate() {
    let id = |id: u32| id.to_be_bytes();
    let path =
        |kind: u8, n: u32, path: &[u8], tail: &[u8]| packet(CLIENT, kind, &[&id(n), &string(path), tail]);
    let no_attributes = [0; 4];
    let open =
        |n: u32, name: &[u8], flags: u32| path(3, n, name, &[flags.to_be_bytes(), no_attributes].concat());
    let status = |n: u32| packet(TARGET, 101, &[&id(n), &id(0), &string(b""), &string(b"")]);
    let handle = |n: u32, name: &[u8]| packet(TARGET, 102, &[&id(n), &string(name)]);
    let hello = [packet(CLIENT, 1, &[&id(3)]), packet(TARGET, 2, &[&id(3)])];
    let reading = [
        open(1, b"/srv/a", 1),
        handle(1, b"h1"),
        packet(CLIENT, 5, &[&id(2), &string(b"h1"), &[0; 8], &id(100)]),
        packet(TARGET, 103, &[&id(2), &string(b"content")]),
        packet(CLIENT, 4, &[&id(3), &string(b"h1")]),
        status(3),
    ];
    let write = |n: u32, at: u64, bytes: &[u8]| {
        packet(CLIENT, 6, &[&id(n), &string(b"h2"), &at.to_be_bytes(), &string(bytes)])
    };
    // The second write goes beyond what a file may hold.
    let writing = [
        open(4, b"/srv/b", 26),
        handle(4, b"h2"),
        write(5, 0, &[7; 300]),
        status(5),
        write(6, 900, &[7; 300]),
    ];
    let refused = [
        open(7, b"/srv/keys/id", 1),
        open(8, b"/srv/x/../keys/id", 1),
        open(9, b"relative", 1),
        path(18, 10, b"/srv/a", &string(b"/srv/keys/a")),
        path(20, 11, b"/srv/link", &string(b"/etc/passwd")),
        packet(CLIENT, 200, &[&id(12), &string(b"unknown@example.com"), b"more"]),
        packet(CLIENT, 5, &[&id(13), &string(b"no such handle"), &[0; 8], &id(1)]),
    ];
    let entry = [string(b"a"), string(b"-rw-r--r-- a"), no_attributes.to_vec()].concat();
    let listing = [
        path(11, 14, b"/srv", b""),
        handle(14, b"d"),
        packet(CLIENT, 12, &[&id(15), &string(b"d")]),
        packet(TARGET, 104, &[&id(15), &id(1), &entry]),
        path(16, 16, b".", b""),
        path(17, 17, b"/srv/a", b""),
        packet(TARGET, 105, &[&id(17), &no_attributes]),
        path(13, 18, b"/srv/a", b""),
        packet(
            CLIENT,
            200,
            &[&id(19), &string(b"posix-rename@openssh.com"), &string(b"/srv/a"), &string(b"/srv/b")],
        ),
    ];
    let told = |name: &str, parts: &[Vec<u8>]| seed("sftp_gate", name, joined(hello.iter().chain(parts)));
    told("reading", &reading);
    told("writing", &writing);
    told("refused", &refused);
    told("listing", &listing);
    told("answer-to-nothing", &[status(77)]);
    told("too-long", &[piece(CLIENT, &[0xFF; 5])]);
}

/// A channel to an agent, where the target asks; and answers alone.
fn agent() {
    let key = PrivateKey::derive_ed25519(&[1; 32], b"fuzz").unwrap();
    let blob = key.public_key().blob().to_vec();
    let signed =
        [&string(&[3; 32])[..], &[50], &string(b"git"), &string(b"ssh-connection"), &string(b"publickey")];
    let signature = key.sign(key.public_key().signature_algorithms()[0], &signed.concat()).unwrap();
    let keys = [&1_u32.to_be_bytes()[..], &string(&blob), &string(b"a comment")].concat();
    let conversation = [
        packet(TARGET, 11, &[]),
        packet(CLIENT, 12, &[&keys]),
        packet(TARGET, 13, &[&string(&blob), &string(&signed.concat()), &[0; 4]]),
        packet(CLIENT, 14, &[&string(&signature)]),
        packet(TARGET, 13, &[&string(&blob), &string(b"no login"), &[0; 4]]),
        packet(CLIENT, 5, &[]),
        packet(TARGET, 27, &[&string(b"session-bind@openssh.com"), b"more"]),
        packet(CLIENT, 28, &[]),
        packet(TARGET, 18, &[&string(&blob)]),
        packet(TARGET, 19, &[]),
    ];
    seed("decode_agent", "login", joined(conversation));
    seed("decode_agent", "answer-to-nothing", joined([packet(CLIENT, 6, &[])]));
    seed("decode_agent", "too-long", joined([piece(TARGET, &[0, 4, 0, 1, 11])]));
    let mut lines: Vec<_> = [KeyKind::EcdsaP256, KeyKind::Rsa3072]
        .map(|kind| PrivateKey::generate(kind).unwrap().public_key().blob().to_vec())
        .into();
    lines.extend([b"rubbish".to_vec(), blob]);
    let all = lines.iter().flat_map(|blob| [string(blob), string(b"comment")].concat()).collect::<Vec<_>>();
    seed("agent_answers", "keys", [&[12][..], &(lines.len() as u32).to_be_bytes(), &all].concat());
    seed("agent_answers", "too-many", [12, 255, 255, 255, 255]);
    seed("agent_answers", "signature", [&[14][..], &string(&signature)].concat());
    seed("agent_answers", "refused", [5]);
}

/// A TLS record with a `ClientHello` for `name`, cut into two.
fn client_hello(name: &[u8]) -> Vec<u8> {
    let vector =
        |bytes: usize, content: &[u8]| [&(content.len() as u32).to_be_bytes()[4 - bytes..], content].concat();
    let entry = [&[0][..], &vector(2, name)].concat();
    let extensions = [&[0, 43][..], &vector(2, &[2, 3, 4]), &[0, 0], &vector(2, &vector(2, &entry))].concat();
    let suites = vector(2, &[0x13, 1]);
    let body =
        [&[3, 3][..], &[7; 32], &vector(1, &[]), &suites, &vector(1, &[0]), &vector(2, &extensions)].concat();
    let message = [&[1][..], &vector(3, &body)].concat();
    let (first, second) = message.split_at(message.len() / 2);
    [&[0x16, 3, 1][..], &vector(2, first), &[0x16, 3, 1], &vector(2, second)].concat()
}

fn greeting() {
    let http = b"GET /a?b HTTP/1.1\r\nAccept: */*\r\nHost: intranet\r\n\r\nbody";
    let tls = client_hello(b"db.example.com");
    for (name, who, bytes) in [
        ("http", CLIENT, &http[..]),
        ("http-of-the-target", TARGET, http),
        ("tls", CLIENT, &tls),
        ("neither", CLIENT, b"SSH-2.0-x\r\n"),
        ("no-tls", CLIENT, b"\x16\x01\x00\x00\x05hello"),
    ] {
        seed("decode_greeting", name, joined([piece(who, bytes)]));
    }
    let both =
        [piece(TARGET, b"220 mail.example.com\r\n"), piece(CLIENT, &tls[..9]), piece(CLIENT, &tls[9..])];
    seed("decode_greeting", "both", joined(both));
}
