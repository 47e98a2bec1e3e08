//! Peers that our own transports never are: other KEXINITs, guesses, no strict KEX.

use super::*;
use crate::wire::NameList;
use crate::wire::transport::{KexEcdhInit, KexInit};

pub(super) fn names(list: &str) -> NameList<'_> {
    NameList::parse(list.as_bytes()).unwrap()
}

/// A client's KEXINIT without markers, changed by `change`.
pub(super) fn kexinit(change: impl FnOnce(&mut KexInit<'_>)) -> Vec<u8> {
    let mut init = KexInit {
        cookie: [3; 16],
        kex_algorithms: names("curve25519-sha256"),
        server_host_key_algorithms: names("ssh-ed25519"),
        encryption_client_to_server: names("aes256-gcm@openssh.com"),
        encryption_server_to_client: names("aes256-gcm@openssh.com"),
        mac_client_to_server: names(""),
        mac_server_to_client: names(""),
        compression_client_to_server: names("none"),
        compression_server_to_client: names("none"),
        first_kex_packet_follows: false,
    };
    change(&mut init);
    let mut payload = Vec::new();
    init.write(&mut payload);
    payload
}

fn with_kexinit(role: Role, payload: Vec<u8>) -> Transport {
    let mut end = Transport::new(role, NOW);
    end.outbound.packet(&payload, &[]).unwrap();
    end.own_kexinit = Some(payload);
    end
}

/// A client that sends this KEXINIT.
pub(super) fn client_with(payload: Vec<u8>) -> Transport {
    with_kexinit(Role::Client(Arc::new(ClientConfig::default())), payload)
}

#[test]
fn peers_without_strict_kex_may_chatter_and_keep_their_sequence_numbers() {
    let mut client = Transport::new(Role::Client(Arc::new(ClientConfig::default())), NOW);
    client.outbound.packet(&[2, 0, 0, 0, 0], &[]).unwrap();
    let payload_without_markers = kexinit(|_| ());
    client.outbound.packet(&payload_without_markers, &[]).unwrap();
    client.own_kexinit = Some(payload_without_markers);
    let mut server = server(server_config());
    feed(&mut server, &take_outgoing(&mut client));
    drain(&mut server).unwrap();
    feed(&mut client, &take_outgoing(&mut server));
    drain(&mut client).unwrap();
    assert!(!server.strict_kex() && !client.strict_kex());
    client.outbound.packet(&[4, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]).unwrap();
    assert_eq!(
        pump(&mut client, &mut server),
        (vec![Seen::HostKey, Seen::Established], vec![Seen::Established])
    );
    for round in 0..3 {
        client.send(&payload(round, 50)).unwrap();
        server.send(&payload(round, 50)).unwrap();
        let packet = vec![Seen::Packet(payload(round, 50))];
        assert_eq!(pump(&mut client, &mut server), (packet.clone(), packet));
        client.start_rekey(NOW).unwrap();
        pump(&mut client, &mut server);
    }
    // IGNORE, KEXINIT, INIT, DEBUG, NEWKEYS, 3 × (payload, KEXINIT, INIT, NEWKEYS): never reset.
    client.outbound.packet(&[150], &[]).unwrap();
    feed(&mut server, &take_outgoing(&mut client));
    drain(&mut server).unwrap();
    assert_eq!(server.last_sequence, 17);
    assert_eq!(*client.peer_extensions(), PeerExtensions::default(), "EXT_INFO was not asked for");
}

#[test]
fn a_right_guess_is_used() {
    let mut server = server(server_config());
    let mut client = client_with(kexinit(|init| {
        // The server's own first choices.
        init.kex_algorithms = names("mlkem768x25519-sha256,curve25519-sha256");
        init.first_kex_packet_follows = true;
    }));
    let (_share, public) = kex::ClientExchange::start(KexMethod::MlKem768X25519Sha256).unwrap();
    let mut init = Vec::new();
    KexEcdhInit { client_public: &public }.write(&mut init);
    client.outbound.packet(&init, &[]).unwrap();
    feed(&mut server, &take_outgoing(&mut client));
    drain(&mut server).unwrap();
    assert!(server.can_send() && matches!(server.state, exchange::State::NewKeys(_)));
}

#[test]
fn a_wrong_guess_is_dropped_in_both_roles() {
    let mut server = server(server_config());
    let mut client = client_with(kexinit(|init| init.first_kex_packet_follows = true));
    client.outbound.packet(&[34, 1, 2, 3], &[]).unwrap();
    pump(&mut client, &mut server);
    assert_eq!(client.session_id(), server.session_id());
    assert!(server.session_id().is_some());

    let mut client = super::client(ClientConfig::default());
    let payload = kexinit(|init| init.first_kex_packet_follows = true);
    let mut server = with_kexinit(Role::Server(Arc::new(server_config())), payload);
    server.outbound.packet(&[31, 1, 2, 3], &[]).unwrap();
    pump(&mut client, &mut server);
    assert_eq!(client.session_id(), server.session_id());
    assert!(client.session_id().is_some());
}

#[test]
fn only_one_packet_is_dropped_for_a_guess() {
    let mut server = server(server_config());
    let mut client = client_with(kexinit(|init| init.first_kex_packet_follows = true));
    client.outbound.packet(&[30, 1], &[]).unwrap();
    client.outbound.packet(&[30, 1], &[]).unwrap();
    feed(&mut server, &take_outgoing(&mut client));
    assert!(matches!(drain(&mut server), Err(TransportError::Malformed(_))));
}

#[test]
fn strict_kex_wants_kexinit_first() {
    let mut client = Transport::new(Role::Client(Arc::new(ClientConfig::default())), NOW);
    client.outbound.packet(&[2, 0, 0, 0, 0], &[]).unwrap();
    client.send_kexinit().unwrap();
    let mut server = server(server_config());
    feed(&mut server, &take_outgoing(&mut client));
    assert!(matches!(drain(&mut server), Err(TransportError::Protocol(_))));
}
