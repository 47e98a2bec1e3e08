//! Writes the seeds under `corpus/` afresh: `cargo run --example seeds`. Needs `ssh`, `sshd` and `ssh-keygen`.
//!
//! Keys are new each time, so run it only when a target's input changes its shape or a message is added; `-- TARGET …`
//! writes those of some targets alone.

mod channels;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bartizan_ssh::auth::client::{ClientAuth, Credential};
use bartizan_ssh::key::{Certificate, HostKey, KeyKind, PrivateKey, PublicKey};
use bartizan_ssh::transport::{Algorithms, ClientConfig, KexMethod, ServerConfig, Transport};
use bartizan_ssh::wire::connection::*;
use bartizan_ssh::wire::userauth::{
    Banner, Failure, InfoRequest, InfoResponse, Method, PasswordChangeRequest, PkOk, Prompt,
    PublicKeyRequest, Request, SERVICE_CONNECTION, SecretBytes,
};
use bartizan_ssh::wire::{NameList, Writer as _};

const KINDS: [KeyKind; 5] =
    [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa3072];

fn main() {
    let corpus = Path::new("corpus");
    if wanted().next().is_none() {
        let _ = fs::remove_dir_all(corpus);
    }
    wanted().for_each(|target| drop(fs::remove_dir_all(corpus.join(target))));
    transport();
    authentication();
    connection();
    keys();
    sftp_root();
    channels::all();
}

/// The targets to write for; none stands for all.
fn wanted() -> impl Iterator<Item = String> {
    std::env::args().skip(1)
}

fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    if wanted().next().is_some() && !wanted().any(|one| one == target) {
        return;
    }
    let folder = Path::new("corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

/// The contrary of `pieces` in `fuzz_targets/common.rs`.
fn joined<T: AsRef<[u8]>>(pieces: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut input = Vec::new();
    for piece in pieces {
        input.extend((piece.as_ref().len() as u16).to_be_bytes());
        input.extend(piece.as_ref());
    }
    input
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut string = Vec::new();
    string.put_string(bytes);
    string
}

/// What each end said of a key exchange up to its NEWKEYS, in the clear.
struct Opening {
    client: Vec<u8>,
    server: Vec<u8>,
}

fn transport() {
    for kex in KexMethod::ALL {
        let opening = our_opening(kex);
        for (role, bytes) in [("client", &opening.client), ("server", &opening.server)] {
            let name = format!("{role}-{}", kex.name().replace('@', "-"));
            seed("packets_before_keys", &name, joined(payloads(bytes)));
            if kex == KexMethod::Curve25519Sha256 {
                seed("identification", &format!("our-{role}"), joined(bytes.chunks(1000)));
                seed("identification", &format!("our-{role}-by-bytes"), joined(bytes[..100].chunks(1)));
            }
        }
    }
    for (role, bytes) in [("client", openssh_client()), ("server", openssh_server())] {
        seed("identification", &format!("openssh-{role}"), joined([&bytes]));
        seed("packets_before_keys", &format!("{role}-openssh"), joined(payloads(&bytes)));
    }
    seed("identification", "lines-before", joined(["Welcome\r\nto\nnothing\r\nSSH-1.99-old\n"]));
    seed("identification", "too-long", joined([[b'S'; 300]]));
    seed("identification", "http", joined(["GET / HTTP/1.1\r\nHost: bastion\r\n\r\n"]));
    let messages: [(&str, Vec<u8>); 6] = [
        ("ignore", [&[2][..], &string(b"noise")].concat()),
        ("debug", [&[4, 1][..], &string(b"text"), &string(b"")].concat()),
        ("unimplemented", vec![3, 0, 0, 0, 7]),
        ("disconnect", [&[1, 0, 0, 0, 11][..], &string(b"bye"), &string(b"")].concat()),
        ("service-request", [&[5][..], &string(b"ssh-userauth")].concat()),
        ("ping", [&[192][..], &string(b"0123")].concat()),
    ];
    for (name, message) in &messages {
        seed("packets_before_keys", name, joined([message]));
        after_keys(name, 0, [[&[3][..], message].concat()]);
        seed("auth_messages", name, message);
    }
    let data = [&[3, 94, 0, 0, 0, 0][..], &string(&[b'x'; 400])].concat();
    let flipped = [&[2][..], &data[1..]].concat();
    after_keys("rekey-by-client", 0, [&data[..], &[0], &data, &data]);
    after_keys("rekey-by-both", 0, [&data[..], &[0], &[1], &data]);
    // Each cipher, each MAC.
    for choice in [0x00, 0x01, 0x02, 0x03, 0x14, 0x25, 0x33] {
        let rekeyed: [&[u8]; 6] = [&[1], &data, &[1], &data, &[0], &data];
        after_keys(&format!("rekey-twice-{choice:02x}"), choice, rekeyed);
        after_keys(&format!("flipped-{choice:02x}"), choice, [&data[..], &flipped, &data]);
    }
}

fn after_keys<T: AsRef<[u8]>>(name: &str, choice: u8, pieces: impl IntoIterator<Item = T>) {
    seed("packets_after_keys", name, [&[choice][..], &joined(pieces)].concat());
}

fn our_opening(kex: KexMethod) -> Opening {
    let algorithms = Algorithms { kex: vec![kex], ..Algorithms::default() };
    let key = PrivateKey::derive_ed25519(&[1; 32], b"fuzz").unwrap();
    let server =
        ServerConfig { algorithms: algorithms.clone(), ..ServerConfig::new(vec![HostKey::new(key)]) };
    let client = ClientConfig { algorithms, ..ClientConfig::default() };
    let mut server = Transport::server(Arc::new(server), Duration::ZERO).unwrap();
    let mut client = Transport::client(Arc::new(client), Duration::ZERO).unwrap();
    let mut said = Opening { client: Vec::new(), server: Vec::new() };
    while !client.can_send() || !server.can_send() {
        said.client.extend(passed(&mut client, &mut server));
        said.server.extend(passed(&mut server, &mut client));
    }
    said
}

fn passed(from: &mut Transport, to: &mut Transport) -> Vec<u8> {
    let bytes = from.outgoing().to_vec();
    from.sent(bytes.len());
    to.receive_space(bytes.len())[..bytes.len()].copy_from_slice(&bytes);
    to.received(bytes.len());
    while let Some(incoming) = to.poll(Duration::ZERO).unwrap() {
        if let bartizan_ssh::transport::Incoming::HostKey(_) = incoming {
            to.accept_host_key().unwrap();
        }
    }
    bytes
}

/// The payloads of packets in the clear, identification before them, up to and with NEWKEYS.
fn payloads(stream: &[u8]) -> Vec<&[u8]> {
    let line = stream.iter().position(|&byte| byte == b'\n').unwrap();
    let mut rest = &stream[line + 1..];
    let mut payloads = Vec::new();
    while let Some((length, packet)) = rest.split_first_chunk::<4>() {
        let (packet, after) = packet.split_at(u32::from_be_bytes(*length) as usize);
        payloads.push(&packet[1..packet.len() - usize::from(packet[0])]);
        rest = if packet[1] == 21 { &[] } else { after };
    }
    payloads
}

/// Says who we are and listens for identification and KEXINIT.
fn opening_of(mut stream: TcpStream) -> Vec<u8> {
    stream.write_all(b"SSH-2.0-fuzz\r\n").unwrap();
    let mut said = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let line = said.iter().position(|&byte| byte == b'\n').map_or(usize::MAX - 4, |at| at + 1);
        if let Some(length) = said.get(line..line + 4) {
            let end = line + 4 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if said.len() >= end {
                said.truncate(end);
                return said;
            }
        }
        let n = stream.read(&mut chunk).unwrap();
        assert_ne!(n, 0, "OpenSSH hung up");
        said.extend(&chunk[..n]);
    }
}

fn openssh_client() -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut ssh = Command::new("ssh")
        .args(["-F", "none", "-p", &port, "root@127.0.0.1", "true"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = opening_of(listener.accept().unwrap().0);
    ssh.kill().unwrap();
    ssh.wait().unwrap();
    said
}

fn openssh_server() -> Vec<u8> {
    let _ = fs::create_dir_all("/run/sshd");
    let folder = scratch();
    keygen(&["-t", "ed25519", "-f", &format!("{folder}/host")]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    let mut sshd = Command::new("/usr/sbin/sshd")
        .args(["-i", "-f", "/dev/null", "-h", &format!("{folder}/host")])
        .stdin(OwnedFd::from(far.try_clone().unwrap()))
        .stdout(OwnedFd::from(far))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = opening_of(near.try_clone().unwrap());
    near.shutdown(Shutdown::Both).unwrap();
    sshd.wait().unwrap();
    fs::remove_dir_all(folder).unwrap();
    said
}

fn request<'a>(user: &'a str, method: Method<'a>) -> Vec<u8> {
    Request { user, service: SERVICE_CONNECTION, method }.to_payload().to_vec()
}

fn authentication() {
    let key = PrivateKey::derive_ed25519(&[1; 32], b"fuzz").unwrap();
    let blob = key.public_key().blob();
    let signature = key.sign(bartizan_ssh::key::SignatureAlgorithm::Ed25519, b"something else").unwrap();
    let publickey = |host_key, signature| {
        Method::PublicKey(PublicKeyRequest { algorithm: "ssh-ed25519", blob, host_key, signature })
    };
    let password = Method::Password { password: SecretBytes(b"hunter2"), new_password: None };
    let changed =
        Method::Password { password: SecretBytes(b"hunter2"), new_password: Some(SecretBytes(b"hunter3")) };
    let interactive = Method::KeyboardInteractive { language: b"", submethods: b"totp" };
    let responses = InfoResponse { responses: vec![SecretBytes(b"123456"), SecretBytes(b"")] };
    let of_client: [(&str, Vec<u8>); 9] = [
        ("none", request("root", Method::None)),
        ("publickey-offered", request("root", publickey(None, None))),
        ("publickey-signed", request("root", publickey(None, Some(&signature)))),
        ("hostbound-signed", request("root", publickey(Some(b"host"), Some(&signature)))),
        ("password", request("root", password)),
        ("password-changed", request("root", changed)),
        ("keyboard-interactive", request("root", interactive)),
        ("info-response", responses.to_payload().to_vec()),
        ("unknown-method", request("root", Method::Other { name: "gssapi-with-mic", fields: b"\0\0\0\0" })),
    ];
    for (name, payload) in &of_client {
        seed("auth_messages", name, payload);
        seed("auth_server", name, joined([payload]));
    }
    seed("auth_server", "all", joined(of_client.iter().map(|(_, payload)| payload)));
    seed("auth_server", "rounds", joined([6, 7, 7, 6, 7].map(|at: usize| &of_client[at].1)));
    let others = ["alice", "bob", "root"].map(|user| request(user, publickey(None, None)));
    seed("auth_server", "names-change", joined(&others));

    let failure = |methods: &'static str, partial_success| {
        let methods = NameList::parse(methods.as_bytes()).unwrap();
        Failure { methods, partial_success }.to_payload().to_vec()
    };
    let prompts = vec![Prompt { text: b"Password: ", echo: false }, Prompt { text: b"Code: ", echo: true }];
    let info = InfoRequest { name: b"PAM", instruction: b"Say it", language: b"", prompts };
    let of_server: [(&str, Vec<u8>); 8] = [
        ("service-accept", [&[6][..], &string(b"ssh-userauth")].concat()),
        ("failure", failure("publickey,keyboard-interactive,password", false)),
        ("partial-success", failure("keyboard-interactive,password", true)),
        ("banner", Banner { message: b"No\x1b[2J\n", language: b"en" }.to_payload().to_vec()),
        ("pk-ok", PkOk { algorithm: "ssh-ed25519", blob }.to_payload().to_vec()),
        ("info-request", info.to_payload().to_vec()),
        ("change", PasswordChangeRequest { prompt: b"Expired", language: b"" }.to_payload().to_vec()),
        ("success", vec![52]),
    ];
    for (name, payload) in &of_server {
        seed("auth_messages", name, payload);
    }
    let order = |order: &[usize]| joined(order.iter().map(|&at| &of_server[at].1));
    seed("auth_client", "key-then-success", order(&[0, 7]));
    seed("auth_client", "through-all", order(&[0, 3, 2, 5, 5, 1, 6, 1, 1]));
    seed("auth_client", "partial", order(&[0, 2, 5, 7]));
    seed("auth_client", "out-of-place", order(&[4, 0, 4, 6, 5]));
    let mut said = Vec::new();
    // Not the session id of the target, which holds that no signature verifies.
    let mut auth = ClientAuth::new(&[8; 32], "root", vec![Credential::key(key)]);
    auth.start(&mut said);
    auth.on_packet(&of_server[0].1, &mut said).unwrap();
    seed("auth_server", "our-client", joined(said.iter().skip(1).map(|payload| &payload[..])));
}

fn open(channel_type: ChannelType<'_>) -> Message<'_> {
    let (initial_window_size, maximum_packet_size) = (2 << 20, 32 << 10);
    Message::ChannelOpen(ChannelOpen {
        channel_type,
        sender_channel: 0,
        initial_window_size,
        maximum_packet_size,
    })
}

fn ask(request_type: RequestType<'_>) -> Message<'_> {
    Message::ChannelRequest(ChannelRequest { recipient_channel: 0, want_reply: true, request_type })
}

fn global(request_type: GlobalRequestType<'_>) -> Message<'_> {
    Message::GlobalRequest(GlobalRequest { want_reply: true, request_type })
}

fn opens() -> [(&'static str, Message<'static>); 4] {
    let (originator_address, originator_port) = (&b"127.0.0.1"[..], 50_000);
    [
        ("open-session", open(ChannelType::Session)),
        ("open-direct-tcpip", {
            let (host, port) = (&b"web-1"[..], 22);
            open(ChannelType::DirectTcpip { host, port, originator_address, originator_port })
        }),
        ("open-x11", open(ChannelType::X11 { originator_address, originator_port })),
        ("open-agent", open(ChannelType::AuthAgent)),
    ]
}

fn requests() -> [(&'static str, Message<'static>); 12] {
    let size = WindowSize { cols: 80, rows: 24, width_pixels: 0, height_pixels: 0 };
    let pty = PtyRequest { term: b"xterm-256color", size, modes: PtyModes(&[53, 0, 0, 0, 1, 0]) };
    let exit_signal = ExitSignal { name: b"TERM", core_dumped: false, message: b"ended", language: b"" };
    let cookie = X11Cookie(b"0123456789abcdef");
    let x11 = X11Request { single_connection: false, protocol: b"MIT-MAGIC-COOKIE-1", cookie, screen: 0 };
    [
        ("pty-req", ask(RequestType::PtyReq(pty))),
        ("window-change", ask(RequestType::WindowChange(size))),
        ("env", ask(RequestType::Env { name: b"LANG", value: b"C.UTF-8" })),
        ("shell", ask(RequestType::Shell)),
        ("exec", ask(RequestType::Exec { command: b"uptime" })),
        ("subsystem", ask(RequestType::Subsystem { name: b"sftp" })),
        ("signal", ask(RequestType::Signal { name: b"INT" })),
        ("exit-status", ask(RequestType::ExitStatus { status: 7 })),
        ("exit-signal", ask(RequestType::ExitSignal(exit_signal))),
        ("x11-req", ask(RequestType::X11Req(x11))),
        ("eow", ask(RequestType::EndOfWrite)),
        ("unknown-request", ask(RequestType::Unknown { name: "simple@putty", data: b"more" })),
    ]
}

fn globals() -> [(&'static str, Message<'static>); 4] {
    [
        ("tcpip-forward", global(GlobalRequestType::TcpipForward { address: b"", port: 0 })),
        ("no-more-sessions", global(GlobalRequestType::NoMoreSessions)),
        ("keepalive", global(GlobalRequestType::Keepalive)),
        ("unknown-global", global(GlobalRequestType::Unknown { name: "x@y", data: b"more" })),
    ]
}

fn others() -> [(&'static str, Message<'static>); 12] {
    let recipient_channel = 0;
    let (initial_window_size, maximum_packet_size, data) = (100_000, 32_768, &b""[..]);
    let confirmation = OpenConfirmation {
        recipient_channel,
        sender_channel: 0,
        initial_window_size,
        maximum_packet_size,
        data,
    };
    let reason = OpenFailureReason::CONNECT_FAILED;
    let failure = OpenFailure { recipient_channel, reason, description: b"refused", language: b"" };
    [
        ("confirmation", Message::OpenConfirmation(confirmation)),
        ("open-failure", Message::OpenFailure(failure)),
        ("adjust", Message::WindowAdjust { recipient_channel, bytes_to_add: 32_768 }),
        ("data", Message::Data { recipient_channel, data: b"hello" }),
        ("stderr", Message::ExtendedData { recipient_channel, data_type_code: 1, data: b"oh" }),
        ("eof", Message::Eof { recipient_channel }),
        ("close", Message::Close { recipient_channel }),
        ("channel-success", Message::ChannelSuccess { recipient_channel }),
        ("channel-failure", Message::ChannelFailure { recipient_channel }),
        ("request-success", Message::RequestSuccess { data: b"\0\0\x1f\x90" }),
        ("request-failure", Message::RequestFailure),
        ("exit", ask(RequestType::ExitStatus { status: 0 })),
    ]
}

/// Conversations: words are names of messages; `<` before one says that the target (or the peer's peer) speaks.
const CONVERSATIONS: [(&str, &str); 8] = [
    (
        "exec",
        "open-session <confirmation env exec <channel-success data <data <adjust eof <eof <exit <close close",
    ),
    (
        "shell",
        "open-session <confirmation pty-req <channel-success shell <channel-success window-change <channel-failure data <data <stderr <exit-signal <close close",
    ),
    (
        "pipelined",
        "open-session <confirmation env unknown-request x11-req exec <channel-success <channel-failure <channel-success data <close close",
    ),
    (
        "refused",
        "open-x11 open-agent <open-failure open-direct-tcpip <confirmation data data close <close open-session <open-failure",
    ),
    (
        "early-data",
        "open-session <confirmation data data eof exec <channel-failure exec <channel-success <data close <close",
    ),
    (
        "globals",
        "keepalive <request-failure tcpip-forward <request-success unknown-global no-more-sessions <keepalive request-failure <request-failure <request-success open-session",
    ),
    (
        "again",
        "open-session <confirmation close <close open-session <confirmation subsystem <channel-success <eow data <close <exit close",
    ),
    ("from-target", "<open-agent confirmation <data data <eof eof <close close <open-x11 <open-session"),
];

fn connection() {
    let groups: [&[(&str, Message<'static>)]; 4] = [&opens(), &requests(), &globals(), &others()];
    let all: Vec<_> =
        groups.into_iter().flatten().map(|(name, message)| (*name, message.to_payload())).collect();
    for (name, payload) in &all {
        seed("connection_messages", name, payload);
    }
    let said = |name: &str| &all.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("{name}")).1;
    for (name, words) in CONVERSATIONS {
        let words = words.split(' ').map(|word| (word.starts_with('<'), said(word.trim_start_matches('<'))));
        let relay = words.clone().map(|(target, payload)| [&[10 + u8::from(target)][..], payload].concat());
        seed("relay", name, joined(relay));
        seed("endpoint", name, joined(words.filter(|(target, _)| !target).map(|(_, payload)| payload)));
        // The endpoint as the one who opened.
        let words = CONVERSATIONS.iter().find(|(n, _)| *n == name).unwrap().1.split(' ');
        let target = words.filter(|word| word.starts_with('<')).map(|word| said(&word[1..]));
        seed("endpoint", &format!("{name}-as-opener"), [b"\0\0".to_vec(), joined(target)].concat());
    }
}

fn keys() {
    let folder = scratch();
    let data = b"data";
    let mut lines = String::new();
    keygen(&["-t", "ecdsa", "-f", &format!("{folder}/ca")]);
    for kind in KINDS {
        let key = PrivateKey::generate(kind).unwrap();
        let name = key.public_key().algorithm();
        let public = format!("{folder}/key.pub");
        fs::write(&public, key.public_key().to_openssh("seed")).unwrap();
        keygen(
            &["-s", &format!("{folder}/ca"), "-I", "alice", "-n", "root,web", "-z", "7", "-V", "+1h"]
                .iter()
                .chain(&["-O", "source-address=10.0.0.0/8", "-O", "no-pty", &public])
                .copied()
                .collect::<Vec<_>>(),
        );
        let line = fs::read_to_string(format!("{folder}/key-cert.pub")).unwrap();
        let certificate = Certificate::from_openssh(&line).unwrap().0;
        seed("certificate", &format!("{name}-cert"), certificate.blob());
        seed("certificate", name, key.public_key().blob());
        for algorithm in key.public_key().signature_algorithms() {
            let signature = key.sign(*algorithm, data).unwrap();
            let input = joined([key.public_key().blob(), &signature, data]);
            seed("signatures", algorithm.name(), input);
        }
        lines += &format!("web-1,10.0.0.5 {}\n", key.public_key().to_openssh("by hand"));
        if kind == KeyKind::Ed25519 {
            seed("known_hosts", "private", key.to_openssh("seed").unwrap().as_bytes());
            seed(
                "known_hosts",
                "authority",
                format!("@cert-authority *.x,!y.x {}", key.public_key().to_openssh("")),
            );
            seed(
                "known_hosts",
                "revoked",
                format!("# no\n\n@revoked [web-1]:2222 {}\n", key.public_key().to_openssh("")),
            );
            fs::write(format!("{folder}/known_hosts"), &lines).unwrap();
            keygen(&["-H", "-f", &format!("{folder}/known_hosts")]);
            seed("known_hosts", "hashed", fs::read(format!("{folder}/known_hosts")).unwrap());
            seed("known_hosts", "certificate", &line);
        }
    }
    seed("known_hosts", "plain", lines);
    for (name, blob, signature) in security_keys() {
        PublicKey::from_blob(&blob).unwrap();
        seed("certificate", name, &blob);
        seed("signatures", name, joined([&blob[..], &signature, data]));
    }
    fs::remove_dir_all(folder).unwrap();
}

/// Keys of security keys, with signatures that are well-formed and false: nobody here can touch anything.
fn security_keys() -> [(&'static str, Vec<u8>, Vec<u8>); 2] {
    let application = string(b"ssh:");
    let flags = [1, 0, 0, 0, 9];
    let ed25519 = PrivateKey::derive_ed25519(&[1; 32], b"fuzz").unwrap();
    let point = &ed25519.public_key().blob()[15..];
    let name = "sk-ssh-ed25519@openssh.com";
    let blob = [&string(name.as_bytes())[..], point, &application].concat();
    let signature = [&string(name.as_bytes())[..], &string(&[5; 64]), &flags].concat();
    let p256 = PrivateKey::generate(KeyKind::EcdsaP256).unwrap();
    let rest = &p256.public_key().blob()[4 + "ecdsa-sha2-nistp256".len()..];
    let ec_name = "sk-ecdsa-sha2-nistp256@openssh.com";
    let ec_blob = [&string(ec_name.as_bytes())[..], rest, &application].concat();
    let numbers = [string(&[5; 32]), string(&[6; 32])].concat();
    let ec_signature = [&string(ec_name.as_bytes())[..], &string(&numbers), &flags].concat();
    [(name, blob, signature), (ec_name, ec_blob, ec_signature)]
}

fn scratch() -> String {
    let folder = std::env::temp_dir().join(format!("bartizan-seeds-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder.display().to_string()
}

fn keygen(arguments: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    if arguments[0] == "-t" {
        command.args(["-N", ""]);
    }
    let status = command.arg("-q").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.unwrap().success(), "ssh-keygen {arguments:?}");
}

/// Conversations with an SFTP root: pieces of the client (0), answers to its questions (3, 4), and packets of the places'
/// servers (5, and 8 more for the second).
fn sftp_root() {
    let packet = |who: u8, kind: u8, parts: &[&[u8]]| [&[who, kind], parts.concat().as_slice()].concat();
    let path = |kind: u8, id: u32, path: &[u8], tail: &[u8]| {
        packet(0, kind, &[&id.to_be_bytes(), &string(path), tail])
    };
    let version = |who: u8| {
        let names = ["posix-rename@openssh.com", "statvfs@openssh.com", "copy-data"];
        let extensions: Vec<u8> =
            names.iter().flat_map(|name| [string(name.as_bytes()), string(b"1")].concat()).collect();
        packet(who, 2, &[&[0, 0, 0, 3], &extensions])
    };
    let ours = |n: u64| string(&n.to_be_bytes());
    let listing = [
        path(16, 1, b".", b""),
        path(17, 2, b"/web-1", b""),
        vec![4],
        path(11, 3, b"/", b""),
        [&[4], &b"web-1"[..]].concat(),
        packet(0, 12, &[&[0, 0, 0, 4], &ours(1)]),
        packet(0, 4, &[&[0, 0, 0, 5], &ours(1)]),
    ];
    seed("sftp_root", "listing", joined(listing));
    let file = [
        path(3, 1, b"/web-1/root/etc/hosts", &[0, 0, 0, 1, 0, 0, 0, 0]),
        version(5),
        packet(5, 102, &[&[0; 4], &string(b"h")]),
        packet(0, 5, &[&[0, 0, 0, 2], &ours(3), &[0; 12]]),
        packet(5, 103, &[&[0, 0, 0, 1], &string(b"127.0.0.1")]),
        path(19, 3, b"/web-1/root/link", b""),
        packet(5, 104, &[&[0, 0, 0, 2, 0, 0, 0, 1], &string(b"/etc"), &string(b""), &[0; 4]]),
        packet(0, 4, &[&[0, 0, 0, 4], &ours(3)]),
        packet(5, 101, &[&[0, 0, 0, 3, 0, 0, 0, 0], &string(b""), &string(b"")]),
    ];
    seed("sftp_root", "file", joined(file));
    let two = |kind: u8, from: &[u8], to: &[u8]| path(kind, 7, from, &string(to));
    let places = [
        path(17, 1, b"/web-1/root/a", b""),
        path(17, 2, b"/db-1/root/b", b""),
        path(17, 3, b"/db-2/root/../../db-1/x/c", b""),
        version(5),
        version(13),
        two(18, b"/web-1/root/a", b"/db-1/root/a"),
        two(18, b"/web-1/root/a", b"/web-1/root/b"),
        two(20, b"/web-1/root/a", b"/web-1/root/b"),
        packet(
            0,
            200,
            &[
                &[0, 0, 0, 8],
                &string(b"posix-rename@openssh.com"),
                &string(b"/web-1/root/a"),
                &string(b"/web-1/root/b"),
            ],
        ),
        packet(0, 200, &[&[0, 0, 0, 9], &string(b"copy-data"), &ours(1), &[0; 16], &ours(2), &[0; 8]]),
        vec![7],
        packet(13, 105, &[&[0; 8]]),
        packet(6, 255, &[&[255; 4]]),
    ];
    seed("sftp_root", "places", joined(places));
}
