//! New keys: started by either side or both, with traffic in flight.

use proptest::prelude::*;

use super::*;

fn packets(seen: &[Seen]) -> Vec<&[u8]> {
    seen.iter()
        .filter_map(|s| match s {
            Seen::Packet(payload) => Some(payload.as_slice()),
            _ => None,
        })
        .collect()
}

#[test]
fn either_side_or_both_at_once_with_packets_around() {
    for (client_starts, server_starts) in [(true, false), (false, true), (true, true)] {
        let (mut client, mut server) = established();
        let session_id = client.session_id().unwrap().to_vec();
        for end in [&mut client, &mut server] {
            end.send(&payload(1, 100)).unwrap();
        }
        if client_starts {
            client.start_rekey(NOW).unwrap();
        }
        if server_starts {
            server.start_rekey(NOW).unwrap();
        }
        assert_eq!((client.rekey_in_progress(), server.rekey_in_progress()), (client_starts, server_starts));
        assert_eq!((client.can_send(), server.can_send()), (!client_starts, !server_starts));
        for end in [&mut client, &mut server] {
            end.send(&payload(2, 100)).unwrap();
            end.send(&payload(3, 5)).unwrap();
        }
        let (at_client, at_server) = pump(&mut client, &mut server);
        for seen in [at_client, at_server] {
            assert_eq!(packets(&seen), [payload(1, 100), payload(2, 100), payload(3, 5)]);
            assert_eq!(seen.iter().filter(|s| **s == Seen::Rekeyed).count(), 1);
        }
        for end in [&client, &server] {
            assert_eq!(end.session_id(), Some(&session_id[..]), "the session id never changes");
            assert_ne!(end.exchange_hash(), end.session_id());
            assert!(end.can_send() && !end.rekey_in_progress());
        }
        assert_eq!(client.peer.ext_infos, 1, "EXT_INFO belongs to the first exchange");
    }
}

#[test]
fn an_exchange_that_the_peer_does_not_complete_ends_its_connection() {
    for peer_starts in [false, true] {
        let (mut client, mut server) = established();
        if peer_starts {
            client.start_rekey(NOW).unwrap();
            feed(&mut server, &take_outgoing(&mut client));
            assert_eq!(drain(&mut server).unwrap(), []);
        } else {
            server.start_rekey(NOW).unwrap();
        }
        let deadline = server.next_deadline().unwrap();
        assert_eq!(deadline, NOW + Duration::from_secs(120));
        server.handle_deadline(deadline - Duration::from_millis(1)).unwrap();
        assert!(!server.is_closed());
        assert_eq!(server.handle_deadline(deadline), Err(TransportError::ExchangeTooSlow));
        assert!(server.is_closed());
    }
}

#[test]
fn a_complete_exchange_leaves_no_deadline_but_the_next() {
    let limits = RekeyLimits { after: None, ..RekeyLimits::default() };
    let config = ClientConfig { rekey: limits, ..ClientConfig::default() };
    let (mut client, mut server) = established_with(config, server_config());
    server.start_rekey(NOW).unwrap();
    pump(&mut client, &mut server);
    assert_eq!(server.next_deadline(), Some(NOW + Duration::from_secs(3600)));
    assert_eq!(client.next_deadline(), None, "without a limit by time none is due");
}

#[test]
fn starting_twice_or_too_early_does_nothing() {
    let mut client = client(ClientConfig::default());
    let before = client.outgoing().len();
    client.start_rekey(NOW).unwrap();
    assert_eq!(client.outgoing().len(), before);
    let (mut client, mut server) = established();
    client.start_rekey(NOW).unwrap();
    let once = client.outgoing().len();
    client.start_rekey(NOW).unwrap();
    assert_eq!(client.outgoing().len(), once);
    // Nor does it start one of its own while the peer's is being answered.
    feed(&mut server, &take_outgoing(&mut client));
    drain(&mut server).unwrap();
    server.start_rekey(NOW).unwrap();
    assert!(!server.rekey_in_progress());
    let rekeyed = vec![Seen::Rekeyed];
    assert_eq!(pump(&mut client, &mut server), (rekeyed.clone(), rekeyed));
}

#[test]
fn another_host_key_is_refused() {
    let (mut client, mut server) = established();
    let other = HostKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap());
    server.role = Role::Server(Arc::new(ServerConfig::new(vec![other])));
    client.start_rekey(NOW).unwrap();
    feed(&mut server, &take_outgoing(&mut client));
    drain(&mut server).unwrap();
    feed(&mut client, &take_outgoing(&mut server));
    drain(&mut client).unwrap();
    feed(&mut server, &take_outgoing(&mut client));
    drain(&mut server).unwrap();
    feed(&mut client, &take_outgoing(&mut server));
    assert_eq!(drain(&mut client), Err(TransportError::HostKeyChanged));
    feed(&mut server, &take_outgoing(&mut client));
    assert_eq!(drain(&mut server).unwrap(), [Seen::Disconnect(9)]);
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let other = HostKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap());
    let (mut client, mut server) = (client(ClientConfig::default()), server(server_config()));
    feed(&mut server, &take_outgoing(&mut client));
    drain(&mut server).unwrap();
    feed(&mut client, &take_outgoing(&mut server));
    drain(&mut client).unwrap();
    feed(&mut server, &take_outgoing(&mut client));
    drain(&mut server).unwrap();
    // Put the other key's blob, which has the same length, into the reply.
    let mut bytes = take_outgoing(&mut server);
    let blob = ED25519.public_key().blob();
    let at = bytes.windows(blob.len()).position(|w| w == blob).unwrap();
    bytes[at..at + blob.len()].copy_from_slice(other.public_key().blob());
    feed(&mut client, &bytes);
    assert!(matches!(drain(&mut client), Err(TransportError::HostKey(_))));
}

#[test]
fn limits_ask_for_new_keys_and_time_does_too() {
    let rekey = RekeyLimits { bytes: 10_000, packets: 50, after: Some(Duration::from_secs(60)) };
    let limited = || {
        established_with(
            ClientConfig { rekey, ..Default::default() },
            ServerConfig { rekey, ..server_config() },
        )
    };
    let (mut client, mut server) = limited();
    assert!(!client.wants_rekey() && !server.wants_rekey());
    client.send(&payload(1, 10_000)).unwrap();
    assert!(client.wants_rekey());
    pump(&mut client, &mut server);
    assert!(server.wants_rekey(), "what came in counts as well");
    server.start_rekey(NOW).unwrap();
    assert!(!server.wants_rekey());
    pump(&mut client, &mut server);
    assert!(!client.wants_rekey() && !server.wants_rekey());

    for number in 0..50 {
        client.send(&payload(number, 1)).unwrap();
    }
    assert!(client.wants_rekey());

    let (mut client, _) = limited();
    assert_eq!(client.next_deadline(), Some(NOW + Duration::from_secs(60)));
    client.handle_deadline(NOW + Duration::from_secs(59)).unwrap();
    assert!(!client.wants_rekey());
    client.handle_deadline(NOW + Duration::from_secs(60)).unwrap();
    assert!(client.wants_rekey());
    assert_eq!(client.next_deadline(), None);
}

#[test]
fn new_keys_start_the_clock_and_the_counts_again() {
    let rekey = RekeyLimits { after: Some(Duration::from_secs(60)), ..RekeyLimits::default() };
    let (mut client, mut server) =
        established_with(ClientConfig { rekey, ..Default::default() }, server_config());
    client.handle_deadline(NOW + Duration::from_secs(60)).unwrap();
    client.start_rekey(NOW).unwrap();
    let overdue = Some(NOW + Duration::from_secs(120));
    assert_eq!(client.next_deadline(), overdue, "an exchange runs already");
    pump(&mut client, &mut server);
    assert!(!client.wants_rekey());
    assert_eq!(client.next_deadline(), Some(NOW + Duration::from_secs(60)));
}

#[test]
fn worn_out_keys_are_not_used_any_more() {
    let (mut client, mut server) = established();
    client.outbound.traffic = rekey::Traffic::worn_out();
    assert_eq!(client.send(&payload(1, 1)), Err(TransportError::RekeyOverdue));
    assert!(client.is_closed());
    feed(&mut server, &take_outgoing(&mut client));
    assert_eq!(drain(&mut server).unwrap(), [Seen::Disconnect(3)]);

    let (mut client, mut server) = established();
    client.send(&payload(1, 1)).unwrap();
    server.inbound.traffic = rekey::Traffic::worn_out();
    feed(&mut server, &take_outgoing(&mut client));
    assert_eq!(drain(&mut server), Err(TransportError::RekeyOverdue));
}

#[derive(Clone, Debug)]
enum Step {
    Send(bool, usize),
    Rekey(bool),
    Move(bool, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), 0usize..2000).prop_map(|(end, len)| Step::Send(end, len)),
        1 => any::<bool>().prop_map(Step::Rekey),
        6 => (any::<bool>(), 1usize..1500).prop_map(|(end, n)| Step::Move(end, n)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_sent_arrives_in_order_whoever_rekeys_when(
        steps in proptest::collection::vec(step(), 1..120),
        cipher in 0usize..6,
    ) {
        let algorithms = algorithms(KexMethod::Curve25519Sha256, Cipher::ALL[cipher], Mac::HmacSha512Etm);
        let (client, server) = established_with(
            ClientConfig { algorithms: algorithms.clone(), ..Default::default() },
            ServerConfig { algorithms, ..server_config() },
        );
        let mut ends = [client, server];
        let mut sent = [0u32; 2];
        let mut seen = [Vec::new(), Vec::new()];
        for step in steps {
            match step {
                Step::Send(end, len) => {
                    let end = usize::from(end);
                    ends[end].send(&payload(sent[end], len)).unwrap();
                    sent[end] += 1;
                }
                Step::Rekey(end) => ends[usize::from(end)].start_rekey(NOW).unwrap(),
                Step::Move(end, n) => {
                    let to = usize::from(end);
                    let n = n.min(ends[1 - to].outgoing().len());
                    let bytes = ends[1 - to].outgoing()[..n].to_vec();
                    ends[1 - to].sent(n);
                    feed(&mut ends[to], &bytes);
                    seen[to].extend(drain(&mut ends[to]).unwrap());
                }
            }
        }
        let [client, server] = &mut ends;
        let (at_client, at_server) = pump(client, server);
        seen[0].extend(at_client);
        seen[1].extend(at_server);
        for to in [0, 1] {
            let numbers: Vec<u32> = packets(&seen[to])
                .iter()
                .map(|p| u32::from_be_bytes(p[1..5].try_into().unwrap()))
                .collect();
            prop_assert_eq!(numbers, (0..sent[1 - to]).collect::<Vec<_>>());
            prop_assert!(ends[to].can_send() && !ends[to].rekey_in_progress());
        }
        prop_assert_eq!(ends[0].exchange_hash(), ends[1].exchange_hash());
    }
}
