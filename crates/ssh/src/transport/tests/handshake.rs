//! Every algorithm, both roles, against ourselves.

use super::*;
use crate::key::{CertificateBuilder, CertificateKind};

fn exchange_packets(client: &mut Transport, server: &mut Transport) {
    server.inbound.admit();
    for (number, len) in [(1, 0), (2, 1), (3, 15), (4, 16), (5, 17), (6, 32_768), (7, 100_000)] {
        client.send(&payload(number, len)).unwrap();
        server.send_parts(&payload(number, len)[..3], &payload(number, len)[3..]).unwrap();
        let (at_client, at_server) = pump(client, server);
        assert_eq!(at_client, [Seen::Packet(payload(number, len))]);
        assert_eq!(at_server, [Seen::Packet(payload(number, len))]);
    }
}

#[test]
fn every_method_cipher_and_mac_carries_packets_and_rekeys() {
    for kex in KexMethod::ALL {
        for cipher in Cipher::ALL {
            for mac in Mac::ALL.into_iter().take(if cipher.is_aead() { 1 } else { 4 }) {
                let algorithms = algorithms(kex, cipher, mac);
                let client_config = ClientConfig { algorithms: algorithms.clone(), ..Default::default() };
                let server_config = ServerConfig { algorithms, ..server_config() };
                let (mut client, mut server) = established_with(client_config, server_config);
                let protection = Protection { cipher, mac: (!cipher.is_aead()).then_some(mac) };
                for end in [&client, &server] {
                    let negotiated = end.negotiated().unwrap();
                    assert_eq!(negotiated.kex, kex);
                    assert_eq!(negotiated.client_to_server, protection);
                    assert_eq!(negotiated.server_to_client, protection);
                    assert!(end.strict_kex() && end.can_send());
                }
                exchange_packets(&mut client, &mut server);
                client.start_rekey(NOW).unwrap();
                let rekeyed = vec![Seen::Rekeyed];
                assert_eq!(pump(&mut client, &mut server), (rekeyed.clone(), rekeyed));
                exchange_packets(&mut client, &mut server);
            }
        }
    }
}

#[test]
fn directions_may_differ() {
    let kexinit = raw::kexinit(|init| {
        init.encryption_client_to_server = raw::names("aes192-ctr");
        init.mac_client_to_server = raw::names("hmac-sha2-512-etm@openssh.com");
        init.encryption_server_to_client = raw::names("aes128-gcm@openssh.com");
    });
    let (mut client, mut server) = (raw::client_with(kexinit), server(server_config()));
    pump(&mut client, &mut server);
    assert_eq!(client.negotiated(), server.negotiated());
    let negotiated = client.negotiated().unwrap().clone();
    let up = Protection { cipher: Cipher::Aes192Ctr, mac: Some(Mac::HmacSha512Etm) };
    assert_eq!(negotiated.client_to_server, up);
    assert_eq!(negotiated.server_to_client, Protection { cipher: Cipher::Aes128Gcm, mac: None });
    exchange_packets(&mut client, &mut server);
}

#[test]
fn both_sides_know_the_same_session() {
    let (client, server) = established();
    assert_eq!(client.session_id(), server.session_id());
    assert_eq!(client.exchange_hash(), client.session_id());
    assert_eq!(client.host_blob(), server.host_blob());
    assert_eq!(client.host_blob(), Some(ED25519.public_key().blob()));
    assert_eq!(client.peer_identification(), Some(&b"SSH-2.0-OpenSSH_Bartizan_0.1.0"[..]));
}

#[test]
fn every_kind_of_host_key_and_its_certificate() {
    let ca = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    for kind in
        [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa3072]
    {
        let private = Arc::new(PrivateKey::generate(kind).unwrap());
        let builder = CertificateBuilder::new(CertificateKind::Host, private.public_key());
        let certificate = builder.principal("h").valid(0, u64::MAX).sign(&ca).unwrap();
        let key = HostKey::with_certificate(private, certificate).unwrap();
        for name in key.algorithms() {
            let algorithm = crate::key::PublicKeyAlgorithm::from_name(name).unwrap();
            let client_config =
                ClientConfig { host_key_algorithms: vec![algorithm], ..ClientConfig::default() };
            let (mut client, mut server) =
                established_with(client_config, ServerConfig::new(vec![key.clone(), ED25519.clone()]));
            assert_eq!(client.negotiated().unwrap().host_key.name(), name);
            assert_eq!(client.host_blob(), key.blob_for(name));
            assert!(client.host_signature().is_some() && server.host_signature().is_none());
            exchange_packets(&mut client, &mut server);
        }
    }
}

#[test]
fn the_first_host_key_is_shown_and_nothing_happens_before_it_is_accepted() {
    let (mut client, mut server) = (client(ClientConfig::default()), server(server_config()));
    client.send(&payload(1, 10)).unwrap();
    loop {
        feed(&mut server, &take_outgoing(&mut client));
        assert_eq!(drain(&mut server).unwrap(), []);
        feed(&mut client, &take_outgoing(&mut server));
        if let Some(incoming) = client.poll(NOW).unwrap() {
            let Incoming::HostKey(identity) = incoming else { panic!("{incoming:?}") };
            assert_eq!(identity.key(), ED25519.public_key());
            break;
        }
    }
    assert_eq!(take_outgoing(&mut client), [], "nothing is sent to a server that is not trusted yet");
    assert!(!client.can_send() && client.poll(NOW).unwrap().is_none());
    client.accept_host_key().unwrap();
    assert!(matches!(client.accept_host_key(), Err(TransportError::Misuse(_))));
    let (at_client, at_server) = pump(&mut client, &mut server);
    assert_eq!(at_client, [Seen::Established]);
    assert_eq!(at_server, [Seen::Established, Seen::Packet(payload(1, 10))]);
}

#[test]
fn a_refused_host_key_ends_in_a_disconnect_that_the_server_reads() {
    let (mut client, mut server) = (client(ClientConfig::default()), server(server_config()));
    while !matches!(client.poll(NOW).unwrap(), Some(Incoming::HostKey(_))) {
        feed(&mut server, &take_outgoing(&mut client));
        drain(&mut server).unwrap();
        feed(&mut client, &take_outgoing(&mut server));
    }
    client.disconnect(DisconnectReason::HostKeyNotVerifiable, "unknown host key");
    feed(&mut server, &take_outgoing(&mut client));
    assert_eq!(drain(&mut server).unwrap(), [Seen::Disconnect(9)]);
    assert!(server.is_closed() && matches!(server.poll(NOW), Err(TransportError::Closed)));
}

#[test]
fn nothing_in_common_is_told_to_both_sides() {
    let algorithms =
        Algorithms { ciphers: vec![Cipher::Aes128Ctr], macs: vec![Mac::HmacSha256Etm], ..Default::default() };
    let mut client = client(ClientConfig { algorithms, ..Default::default() });
    let algorithms =
        Algorithms { ciphers: vec![Cipher::Aes128Ctr], macs: vec![Mac::HmacSha512Etm], ..Default::default() };
    let mut server = server(ServerConfig { algorithms, ..server_config() });
    feed(&mut server, &take_outgoing(&mut client));
    let error = drain(&mut server).unwrap_err();
    assert_eq!(error.fault(), Fault::Incompatible);
    assert_eq!(
        error.to_string(),
        "no common mac_algorithms_client_to_server: peer offers hmac-sha2-256-etm@openssh.com"
    );
    feed(&mut client, &take_outgoing(&mut server));
    assert!(matches!(drain(&mut client), Err(TransportError::NoCommonAlgorithm { .. })));
}

#[test]
fn extensions_are_announced_to_those_who_ask() {
    let (client, server) = established();
    let extensions = client.peer_extensions();
    assert!(extensions.ping && extensions.hostbound);
    assert_eq!(extensions.server_sig_algs(), Some(&crate::key::SignatureAlgorithm::ALL[..]));
    assert_eq!(*server.peer_extensions(), PeerExtensions::default());
}

#[test]
fn pings_are_answered_and_only_sent_to_peers_that_know_them() {
    let (mut client, mut server) = established();
    client.ping(b"how long?").unwrap();
    let (at_client, at_server) = pump(&mut client, &mut server);
    assert_eq!((at_client, at_server), (vec![Seen::Pong(b"how long?".to_vec())], vec![]));
    assert!(matches!(server.ping(b"x"), Err(TransportError::Misuse(_))));
    assert!(!server.is_closed());
}

#[test]
fn only_carried_messages_can_be_sent() {
    let (mut client, _) = established();
    for number in (0..50).filter(|n| ![5, 6].contains(n)) {
        assert!(matches!(client.send(&[number, 0, 0, 0, 0]), Err(TransportError::Misuse(_))), "{number}");
    }
    assert!(matches!(client.send(&[]), Err(TransportError::Misuse(_))));
    assert!(matches!(client.send_parts(&[94], &vec![0; MAX_PAYLOAD]), Err(TransportError::Misuse(_))));
    assert!(client.outgoing().is_empty() && !client.is_closed());
    client.send_parts(&[94], &vec![0; MAX_PAYLOAD - 1]).unwrap();
}

#[test]
fn an_idle_transport_holds_no_buffers_and_little_else() {
    let (mut client, mut server) = established();
    for end in [&mut client, &mut server] {
        assert!(end.take_receive_buffer().is_some() && end.take_send_buffer().is_some());
        assert!(end.take_receive_buffer().is_none() && end.take_send_buffer().is_none());
        end.give_receive_buffer(vec![0; 70_000]);
        end.give_send_buffer(vec![0; 70_000]);
        assert_eq!(end.receive_space(1).len(), 70_000);
    }
    exchange_packets(&mut client, &mut server);
    assert!(size_of::<Transport>() < 1024, "{}", size_of::<Transport>());
}

#[test]
fn passwords_do_not_stay_in_the_receive_buffer() {
    let password = b"correct horse battery staple";
    let (mut client, mut server) = established();
    let holds = |buffer: &[u8]| buffer.windows(password.len()).any(|w| w == password);
    for last_look in ["poll", "take", "space"] {
        client.send_parts(&[50], password).unwrap();
        feed(&mut server, &take_outgoing(&mut client));
        let Some(Incoming::Packet(payload)) = server.poll(NOW).unwrap() else { panic!("a packet") };
        assert!(holds(payload));
        match last_look {
            "poll" => {
                assert_eq!(server.poll(NOW).unwrap(), None);
                assert!(!holds(server.receive_space(1)));
            }
            "take" => assert!(!holds(&server.take_receive_buffer().unwrap())),
            _ => assert!(!holds(server.receive_space(1))),
        }
    }
}

#[test]
fn a_transport_moves_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Transport>();
}
