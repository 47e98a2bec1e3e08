//! The stream cut, chunked and corrupted at will.

use proptest::prelude::*;

use super::*;

#[test]
fn a_stranger_s_packets_are_short_and_those_of_who_is_known_are_not() {
    let (mut client, mut server) = established();
    client.send(&payload(1, 72 * 1024)).unwrap();
    let (_, at_server) = pump(&mut client, &mut server);
    assert_eq!(at_server, [Seen::Packet(payload(1, 72 * 1024))], "all that authentication needs");
    server.send(&[52]).unwrap();
    pump(&mut client, &mut server);
    client.send(&payload(2, 250 * 1024)).unwrap();
    let (_, at_server) = pump(&mut client, &mut server);
    assert_eq!(at_server, [Seen::Packet(payload(2, 250 * 1024))]);

    let (mut client, mut server) = established();
    client.send(&payload(1, 80 * 1024)).unwrap();
    feed(&mut server, &take_outgoing(&mut client)[..16]);
    assert_eq!(drain(&mut server), Err(TransportError::CorruptPacket), "its beginning says enough");
}

const PACKETS: [(u32, usize); 3] = [(1, 0), (2, 40), (3, 300)];

/// What one side should see once established.
fn all_packets() -> Vec<Seen> {
    PACKETS.iter().map(|&(number, len)| Seen::Packet(payload(number, len))).collect()
}

/// Runs a whole connection, passing each side's bytes through `wire(to_server, offset, bytes)`;
/// both send [`PACKETS`] at once. Returns what each side saw, or its error.
struct Outcome {
    at: [Vec<Seen>; 2],
    errors: [Option<TransportError>; 2],
    offsets: [usize; 2],
}

fn run(cipher: Cipher, mut wire: impl FnMut(bool, usize, &mut Vec<u8>)) -> Outcome {
    let algorithms = algorithms(KexMethod::Curve25519Sha256, cipher, Mac::HmacSha256Etm);
    let client = client(ClientConfig { algorithms: algorithms.clone(), ..Default::default() });
    let server = server(ServerConfig { algorithms, ..server_config() });
    let mut ends = [client, server];
    let mut outcome = Outcome { at: [vec![], vec![]], errors: [None, None], offsets: [0, 0] };
    for (number, len) in PACKETS {
        ends.iter_mut().for_each(|end| end.send(&payload(number, len)).unwrap());
    }
    loop {
        let mut moved = false;
        for to in [1, 0] {
            let mut bytes = take_outgoing(&mut ends[1 - to]);
            let len = bytes.len();
            wire(to == 1, outcome.offsets[to], &mut bytes);
            outcome.offsets[to] += len;
            moved |= len > 0;
            feed(&mut ends[to], &bytes);
            loop {
                match ends[to].poll(NOW) {
                    Ok(None) => break,
                    Ok(Some(Incoming::HostKey(_))) => {
                        outcome.at[to].push(Seen::HostKey);
                        ends[to].accept_host_key().unwrap();
                    }
                    Ok(Some(Incoming::Established)) => outcome.at[to].push(Seen::Established),
                    Ok(Some(Incoming::Packet(p))) => outcome.at[to].push(Seen::Packet(p.to_vec())),
                    Ok(Some(Incoming::Disconnect { reason, .. })) => {
                        outcome.at[to].push(Seen::Disconnect(reason));
                        break;
                    }
                    Ok(Some(other)) => panic!("{other:?}"),
                    Err(TransportError::Closed) => break,
                    Err(error) => {
                        outcome.errors[to] = Some(error);
                        break;
                    }
                }
            }
        }
        if !moved {
            return outcome;
        }
    }
}

fn expected(is_server: bool) -> Vec<Seen> {
    let start = if is_server { vec![Seen::Established] } else { vec![Seen::HostKey, Seen::Established] };
    [start, all_packets()].concat()
}

/// Whatever happened, nothing was seen that was not sent, or out of order.
fn assert_nothing_wrong_was_seen(outcome: &Outcome, context: &str) {
    for to in [0, 1] {
        let seen: Vec<_> =
            outcome.at[to].iter().filter(|s| !matches!(s, Seen::Disconnect(_))).cloned().collect();
        let expected = expected(to == 1);
        assert!(expected.starts_with(&seen), "{context}: {} saw {seen:?}", ["client", "server"][to]);
    }
}

#[test]
fn a_byte_changed_anywhere_ends_the_connection_or_never_mattered() {
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305, Cipher::Aes128Ctr] {
        let clean = run(cipher, |_, _, _| ());
        assert_eq!(clean.at, [expected(false), expected(true)]);
        // The last packets, which the other side does not answer, are longer than what we change.
        for to_server in [true, false] {
            let mut harmless = 0;
            for at in 0..clean.offsets[usize::from(to_server)] {
                let outcome = run(cipher, |up, offset, bytes| {
                    if up == to_server && (offset..offset + bytes.len()).contains(&at) {
                        bytes[at - offset] ^= 0x10;
                    }
                });
                assert_nothing_wrong_was_seen(&outcome, &format!("{cipher:?} {to_server} {at}"));
                if outcome.at == clean.at {
                    harmless += 1;
                }
            }
            // Padding of KEXINIT, INIT or REPLY, NEWKEYS before keys are in force is covered by nothing.
            assert!(harmless <= 3 * 11, "{cipher:?}: {harmless} changed bytes went unnoticed");
        }
    }
}

#[test]
fn a_byte_changed_under_keys_is_an_error_once_the_packet_is_there() {
    for (cipher, mac) in all_protections() {
        for at in 0.. {
            let (mut client, mut server) = established_under(cipher, mac);
            client.send(&payload(1, 20)).unwrap();
            let mut bytes = take_outgoing(&mut client);
            if at >= bytes.len() {
                break;
            }
            bytes[at] ^= 0x80 >> (at % 8);
            // A changed length may make the packet longer: give it all that it could wait for.
            bytes.resize(bytes.len() + MAX_PACKET_LENGTH, 0);
            feed(&mut server, &bytes);
            assert_eq!(drain(&mut server), Err(TransportError::CorruptPacket), "{cipher:?} {mac:?} {at}");
            assert!(matches!(server.poll(NOW), Err(TransportError::Closed)));
            feed(&mut client, &take_outgoing(&mut server));
            assert_eq!(drain(&mut client).unwrap(), [Seen::Disconnect(5)]);
        }
    }
}

fn all_protections() -> impl Iterator<Item = (Cipher, Mac)> {
    let macs = |cipher: Cipher| if cipher.is_aead() { &Mac::ALL[..1] } else { &Mac::ALL[..] };
    Cipher::ALL.into_iter().flat_map(move |cipher| macs(cipher).iter().map(move |&mac| (cipher, mac)))
}

fn established_under(cipher: Cipher, mac: Mac) -> (Transport, Transport) {
    let algorithms = algorithms(KexMethod::Curve25519Sha256, cipher, mac);
    let client_config = ClientConfig { algorithms: algorithms.clone(), ..Default::default() };
    established_with(client_config, ServerConfig { algorithms, ..server_config() })
}

#[test]
fn impossible_lengths_under_keys_end_at_once_and_allocate_nothing() {
    // The length of a packet can be chosen where it is not encrypted; elsewhere garbage has to do.
    for (cipher, mac) in all_protections() {
        for length in [0u32, 1, 15, 35_000, 262_160, 0x7fff_fff0, u32::MAX] {
            let (_, mut server) = established_under(cipher, mac);
            drop(server.take_receive_buffer());
            feed(&mut server, &[&length.to_be_bytes()[..], &[0x55; 12]].concat());
            let result = drain(&mut server);
            let clear = cipher.is_gcm() || (!cipher.is_aead() && mac.name().contains("-etm"));
            assert!(!clear || result == Err(TransportError::CorruptPacket), "{cipher:?} {mac:?} {length}");
            assert!(server.receive_space(1).len() < 100);
        }
    }
}

#[test]
fn a_stream_cut_anywhere_delivers_whole_packets_only() {
    for to_server in [true, false] {
        let whole = run(Cipher::Aes256Gcm, |_, _, _| ()).offsets[usize::from(to_server)];
        for cut in 0..whole {
            let outcome = run(Cipher::Aes256Gcm, |up, offset, bytes| {
                if up == to_server {
                    bytes.truncate(cut.saturating_sub(offset));
                }
            });
            assert_nothing_wrong_was_seen(&outcome, &format!("{to_server} {cut}"));
            assert_eq!(outcome.errors, [None, None], "a missing end is not an error yet");
            assert_ne!(outcome.at[usize::from(to_server)], expected(to_server));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn chunks_of_any_size_give_the_same_result(
        sizes in proptest::collection::vec(1usize..700, 1..20),
        at_least in 1usize..5000,
        cipher in 0usize..6,
    ) {
        let algorithms = algorithms(KexMethod::EcdhSha2Nistp256, Cipher::ALL[cipher], Mac::HmacSha256Etm);
        let client = client(ClientConfig { algorithms: algorithms.clone(), ..Default::default() });
        let server = server(ServerConfig { algorithms, ..server_config() });
        let mut ends = [client, server];
        for (number, len) in PACKETS {
            ends.iter_mut().for_each(|end| end.send(&payload(number, len)).unwrap());
        }
        let mut sizes = sizes.iter().cycle();
        let mut at = [Vec::new(), Vec::new()];
        let mut idle = 0;
        while idle < 2 {
            for to in [0, 1] {
                let outgoing = ends[1 - to].outgoing();
                let n = outgoing.len().min(*sizes.next().unwrap());
                let bytes = outgoing[..n].to_vec();
                ends[1 - to].sent(n);
                idle = if n == 0 { idle + 1 } else { 0 };
                let space = ends[to].receive_space(at_least.max(n));
                space[..n].copy_from_slice(&bytes);
                ends[to].received(n);
                at[to].extend(drain(&mut ends[to]).unwrap());
            }
        }
        prop_assert_eq!(at, [expected(false), expected(true)]);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_grow_the_buffer(
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        identified: bool,
        under_keys: bool,
        is_server: bool,
    ) {
        let mut end = if under_keys {
            let (client, server) = established();
            if is_server { server } else { client }
        } else if is_server { server(server_config()) } else { client(ClientConfig::default()) };
        if identified && !under_keys {
            feed(&mut end, b"SSH-2.0-x\r\n");
        }
        feed(&mut end, &bytes);
        let _ = drain(&mut end);
        prop_assert!(end.receive_space(1).len() <= MAX_PACKET_LENGTH + 128);
    }

    #[test]
    fn arbitrary_payloads_of_key_exchange_messages_never_panic(
        number in proptest::sample::select(vec![1u8, 2, 3, 4, 7, 20, 21, 30, 31, 192, 193]),
        body in proptest::collection::vec(any::<u8>(), 0..400),
        steps in 0usize..4,
        is_server: bool,
    ) {
        let mut ends = [client(ClientConfig::default()), server(server_config())];
        for step in 0..steps {
            let to = step % 2;
            let bytes = take_outgoing(&mut ends[1 - to]);
            feed(&mut ends[to], &bytes);
            drain(&mut ends[to]).unwrap();
        }
        let to = usize::from(is_server);
        ends[1 - to].outbound.packet(&[number], &body).unwrap();
        let bytes = take_outgoing(&mut ends[1 - to]);
        feed(&mut ends[to], &bytes);
        let _ = drain(&mut ends[to]);
    }
}
