//! Every message in the shape the RFCs give it, cut at each byte, and with foreign bytes behind.

use super::*;

/// One message of each kind, and every channel type and request type.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    let mut add = |name: &'static str, message: Message<'_>| all.push((name, message.to_payload()));
    for request_type in request_types() {
        add(
            "channel request",
            Message::ChannelRequest(ChannelRequest { recipient_channel: 7, want_reply: true, request_type }),
        );
    }
    for request_type in global_request_types() {
        add("global request", Message::GlobalRequest(GlobalRequest { want_reply: false, request_type }));
    }
    for channel_type in channel_types() {
        let open = ChannelOpen {
            channel_type,
            sender_channel: 3,
            initial_window_size: 0x20_0000,
            maximum_packet_size: 0x8000,
        };
        add("open", Message::ChannelOpen(open));
    }
    let recipient_channel = 0xfffe;
    add("success", Message::RequestSuccess { data: b"\0\0\x1f\x90" });
    add("failure", Message::RequestFailure);
    let confirmation = OpenConfirmation {
        recipient_channel,
        sender_channel: 1,
        initial_window_size: u32::MAX,
        maximum_packet_size: 0,
        data: b"",
    };
    add("confirmation", Message::OpenConfirmation(confirmation));
    let failure = OpenFailure {
        recipient_channel,
        reason: OpenFailureReason::RESOURCE_SHORTAGE,
        description: b"too many",
        language: b"en",
    };
    add("open failure", Message::OpenFailure(failure));
    add("adjust", Message::WindowAdjust { recipient_channel, bytes_to_add: 9 });
    add("data", Message::Data { recipient_channel, data: b"hello" });
    add("extended", Message::ExtendedData { recipient_channel, data_type_code: 1, data: b"oops" });
    add("eof", Message::Eof { recipient_channel });
    add("close", Message::Close { recipient_channel });
    add("channel success", Message::ChannelSuccess { recipient_channel });
    add("channel failure", Message::ChannelFailure { recipient_channel });
    all
}

fn request_types() -> Vec<RequestType<'static>> {
    let size = WindowSize { cols: 80, rows: 24, width_pixels: 640, height_pixels: 480 };
    vec![
        RequestType::PtyReq(PtyRequest { term: b"xterm", size, modes: PtyModes(&[53, 0, 0, 0, 1, 0]) }),
        RequestType::X11Req(X11Request {
            single_connection: false,
            protocol: b"MIT-MAGIC-COOKIE-1",
            cookie: X11Cookie(b"0123"),
            screen: 0,
        }),
        RequestType::Env { name: b"LANG", value: b"C.UTF-8" },
        RequestType::Shell,
        RequestType::Exec { command: b"true" },
        RequestType::Subsystem { name: b"sftp" },
        RequestType::WindowChange(size),
        RequestType::XonXoff { client_can_do: true },
        RequestType::Signal { name: b"TERM" },
        RequestType::ExitStatus { status: 7 },
        RequestType::ExitSignal(ExitSignal {
            name: b"SEGV",
            core_dumped: true,
            message: b"m",
            language: b"",
        }),
        RequestType::Break { milliseconds: 500 },
        RequestType::AuthAgentReq,
        RequestType::AgentReq,
        RequestType::EndOfWrite,
        RequestType::Keepalive,
        RequestType::Unknown { name: "winadj@putty.projects.tartarus.org", data: b"" },
        RequestType::Unknown { name: "keepalive@openssh.com", data: b"x" },
    ]
}

fn global_request_types() -> Vec<GlobalRequestType<'static>> {
    let blobs = HostKeyBlobs::parse(Reader::new(b"\0\0\0\x01a\0\0\0\x02bc")).unwrap();
    vec![
        GlobalRequestType::TcpipForward { address: b"", port: 0 },
        GlobalRequestType::CancelTcpipForward { address: b"localhost", port: 8080 },
        GlobalRequestType::StreamlocalForward { path: b"/tmp/s" },
        GlobalRequestType::CancelStreamlocalForward { path: b"/tmp/s" },
        GlobalRequestType::NoMoreSessions,
        GlobalRequestType::HostKeys(blobs),
        GlobalRequestType::HostKeysProve(blobs),
        GlobalRequestType::Keepalive,
        GlobalRequestType::Unknown { name: "elevation", data: b"\x01" },
    ]
}

fn channel_types() -> Vec<ChannelType<'static>> {
    let (originator_address, originator_port) = (&b"192.0.2.1"[..], 40_000);
    vec![
        ChannelType::Session,
        ChannelType::DirectTcpip { host: b"web-1", port: 22, originator_address, originator_port },
        ChannelType::ForwardedTcpip {
            connected_address: b"",
            connected_port: 80,
            originator_address,
            originator_port,
        },
        ChannelType::X11 { originator_address, originator_port },
        ChannelType::DirectStreamlocal { path: b"/run/x", reserved: b"", reserved_number: 0 },
        ChannelType::ForwardedStreamlocal { path: b"/run/x", reserved: b"" },
        ChannelType::AuthAgent,
        ChannelType::AgentConnect,
        ChannelType::Tun { mode: 1, unit: 0x7fff_ffff },
        ChannelType::Unknown { name: "vendor@example.com", data: b"any" },
    ]
}

#[test]
fn every_message_writes_back_the_bytes_it_was_read_from() {
    for (name, payload) in samples() {
        let message = Message::parse(&payload).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(message.to_payload(), payload, "{name}");
        assert_eq!(message.number(), payload[0], "{name}");
    }
}

#[test]
fn a_message_cut_short_is_malformed_or_another_legal_message_never_a_panic() {
    for (name, payload) in samples() {
        for cut in 0..payload.len() {
            if let Ok(message) = Message::parse(&payload[..cut]) {
                let written = message.to_payload();
                let only_language_missing = name == "open failure";
                assert!(written == payload[..cut] || only_language_missing, "{name} cut at {cut}");
            }
        }
    }
}

#[test]
fn bytes_behind_a_message_are_refused_where_the_message_is_known() {
    for (name, mut payload) in samples() {
        let before = Message::parse(&payload).map(|message| message.to_payload()).unwrap();
        payload.push(0);
        match Message::parse(&payload) {
            Err(MessageError::Malformed(_)) => {}
            // Open-ended by definition: the byte is kept as data, and the name decides nothing else.
            Ok(message) => assert_eq!(message.to_payload().len(), before.len() + 1, "{name}"),
            Err(other) => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn names_that_could_mean_something_else_to_the_peer_are_malformed() {
    for name in [&b""[..], b"exec\0", b"exec ", b"ex\nec", b"\xc3\xa9", b"\x1b[2J", &[b'a'; 65]] {
        let mut request = vec![SSH_MSG_CHANNEL_REQUEST, 0, 0, 0, 0];
        crate::wire::Writer::put_string(&mut request, name);
        request.push(1);
        assert!(matches!(Message::parse(&request), Err(MessageError::Malformed(_))), "{name:?}");
        let mut open = vec![SSH_MSG_CHANNEL_OPEN];
        crate::wire::Writer::put_string(&mut open, name);
        open.extend([0; 12]);
        assert!(matches!(Message::parse(&open), Err(MessageError::Malformed(_))), "{name:?}");
        let mut global = vec![SSH_MSG_GLOBAL_REQUEST];
        crate::wire::Writer::put_string(&mut global, name);
        global.push(1);
        assert!(matches!(Message::parse(&global), Err(MessageError::Malformed(_))), "{name:?}");
    }
}

#[test]
fn other_message_numbers_are_unimplemented() {
    for number in (0..=255u8).filter(|n| !(80..=82).contains(n) && !(90..=100).contains(n)) {
        assert_eq!(Message::parse(&[number]), Err(MessageError::Unimplemented(number)));
    }
    assert!(matches!(Message::parse(&[]), Err(MessageError::Malformed(_))));
}

#[test]
fn lengths_beyond_the_packet_are_malformed() {
    for len in [6u32, 35_000, u32::MAX] {
        let mut data = vec![SSH_MSG_CHANNEL_DATA, 0, 0, 0, 0];
        data.extend(len.to_be_bytes());
        data.extend(b"hello");
        assert!(matches!(Message::parse(&data), Err(MessageError::Malformed(_))), "{len}");
    }
}

#[test]
fn terminal_modes_stop_where_the_rfc_says() {
    let ops = |bytes: &'static [u8]| PtyModes(bytes).iter().map(|m| (m.opcode, m.value)).collect::<Vec<_>>();
    assert_eq!(ops(&[1, 0, 0, 0, 3, 53, 0, 0, 0, 0, 0, 72, 0, 0, 0, 1]), [(1, 3), (53, 0)], "TTY_OP_END");
    assert_eq!(ops(&[1, 0, 0, 0, 3, 160, 9]), [(1, 3)], "opcodes from 160 stop parsing");
    assert_eq!(ops(&[1, 0, 0]), [], "cut short");
    assert_eq!(ops(&[]), []);
    assert_eq!(PtyModes(&[53, 0, 0, 0, 1, 53, 0, 0, 0, 0]).value_of(PtyMode::ECHO), Some(0));
}

#[test]
fn signals_have_the_names_of_the_rfc() {
    for signal in Signal::ALL {
        assert_eq!(Signal::from_name(signal.name().as_bytes()), Some(signal));
    }
    assert_eq!(Signal::from_name(b"SIGTERM"), None);
}

#[test]
fn the_x11_cookie_is_not_shown() {
    let text = format!("{:?}", request_types()[1]);
    assert!(text.contains("<secret>") && !text.contains("0123"), "{text}");
}
