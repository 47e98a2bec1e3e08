//! The server's wait for the client's KEXINIT, and which cipher comes of it.

use super::*;

/// As OpenSSH 9 sends it: chacha20-poly1305 first.
const OPENSSH_CIPHERS: &str = "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,\
                               aes128-gcm@openssh.com,aes256-gcm@openssh.com";
const WITHOUT_GCM: &str = "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr";

fn client_listing(ciphers: &'static str) -> Transport {
    raw::client_with(raw::kexinit(|init| {
        init.encryption_client_to_server = raw::names(ciphers);
        init.encryption_server_to_client = raw::names(ciphers);
        init.mac_client_to_server = raw::names("hmac-sha2-256-etm@openssh.com");
        init.mac_server_to_client = raw::names("hmac-sha2-256-etm@openssh.com");
    }))
}

fn negotiated_cipher(client: &mut Transport, server: &mut Transport) -> Cipher {
    pump(client, server);
    server.negotiated().unwrap().client_to_server.cipher
}

#[test]
fn a_client_that_prefers_chacha_and_has_gcm_gets_gcm() {
    let mut server = server(server_config());
    assert!(server.outgoing().ends_with(b"\r\n"), "identification alone");
    assert_eq!(server.next_deadline(), None, "the wait begins with the client's identification");
    let cipher = negotiated_cipher(&mut client_listing(OPENSSH_CIPHERS), &mut server);
    assert_eq!(cipher, Cipher::Aes128Gcm);
}

#[test]
fn a_client_without_gcm_gets_its_first_choice() {
    let cipher = negotiated_cipher(&mut client_listing(WITHOUT_GCM), &mut server(server_config()));
    assert_eq!(cipher, Cipher::ChaCha20Poly1305);
    // Offering GCM alone must leave a common cipher both ways.
    let mut client = raw::client_with(raw::kexinit(|init| {
        init.encryption_client_to_server = raw::names(OPENSSH_CIPHERS);
        init.encryption_server_to_client = raw::names("chacha20-poly1305@openssh.com");
    }));
    assert_eq!(negotiated_cipher(&mut client, &mut server(server_config())), Cipher::ChaCha20Poly1305);
}

#[test]
fn a_client_that_waits_too_gets_the_full_list_in_the_end() {
    let mut server = server(server_config());
    feed(&mut server, b"SSH-2.0-patient\r\n");
    assert_eq!(drain(&mut server).unwrap(), []);
    let deadline = server.next_deadline().unwrap();
    assert_eq!(deadline, NOW + Duration::from_secs(1));
    server.handle_deadline(deadline - Duration::from_millis(1)).unwrap();
    assert!(server.outgoing().ends_with(b"\r\n"));
    server.handle_deadline(deadline).unwrap();
    let list = b"chacha20-poly1305@openssh.com";
    assert!(server.outgoing().windows(list.len()).any(|w| w == list));
    assert_eq!(server.next_deadline(), None);
    // The client's order decides now, for this and all later exchanges.
    let mut client = client_listing(OPENSSH_CIPHERS);
    client.sent(b"SSH-2.0-OpenSSH_Bartizan_0.1.0\r\n".len());
    feed(&mut server, &take_outgoing(&mut client));
    drain(&mut server).unwrap();
    assert!(matches!(server.state, exchange::State::Exchange(_)));
}

#[test]
fn without_the_wait_everything_is_offered_at_once() {
    let mut server = server(ServerConfig { wait_for_client_kexinit: None, ..server_config() });
    assert!(!server.outgoing().ends_with(b"\r\n"));
    let cipher = negotiated_cipher(&mut client_listing(OPENSSH_CIPHERS), &mut server);
    assert_eq!(cipher, Cipher::ChaCha20Poly1305);
}

#[test]
fn rekeys_keep_to_gcm_whoever_starts() {
    let algorithms =
        Algorithms { ciphers: vec![Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm], ..Algorithms::default() };
    let (mut client, mut server) =
        established_with(ClientConfig { algorithms, ..Default::default() }, server_config());
    for start in [0, 1] {
        [&mut client, &mut server][start].start_rekey(NOW).unwrap();
        assert_eq!(negotiated_cipher(&mut client, &mut server), Cipher::Aes256Gcm);
    }
}

#[test]
fn two_servers_or_http_clients_are_not_spoken_to() {
    let mut server = server(server_config());
    let greeting = server.outgoing().len();
    feed(&mut server, b"GET / HTTP/1.0\r\n\r\n");
    assert!(matches!(drain(&mut server), Err(TransportError::Identification(_))));
    assert_eq!(server.outgoing().len(), greeting);
    assert!(server.is_closed());
}
