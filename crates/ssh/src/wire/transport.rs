//! Messages of the transport protocol.
//!
//! Sources: RFC 4253 (transport), RFC 5656 (ECDH), RFC 8308 (EXT_INFO), OpenSSH's `PROTOCOL`
//! (`ping@openssh.com`). Types parse from and write to payloads; no state, no keys.

use super::{Malformed, NameList, Reader, Writer};

/// `SSH_MSG_DISCONNECT` (RFC 4253 §11.1).
pub const SSH_MSG_DISCONNECT: u8 = 1;
/// `SSH_MSG_IGNORE` (RFC 4253 §11.2).
pub const SSH_MSG_IGNORE: u8 = 2;
/// `SSH_MSG_UNIMPLEMENTED` (RFC 4253 §11.4).
pub const SSH_MSG_UNIMPLEMENTED: u8 = 3;
/// `SSH_MSG_DEBUG` (RFC 4253 §11.3).
pub const SSH_MSG_DEBUG: u8 = 4;
/// `SSH_MSG_SERVICE_REQUEST` (RFC 4253 §10).
pub const SSH_MSG_SERVICE_REQUEST: u8 = 5;
/// `SSH_MSG_SERVICE_ACCEPT` (RFC 4253 §10).
pub const SSH_MSG_SERVICE_ACCEPT: u8 = 6;
/// `SSH_MSG_EXT_INFO` (RFC 8308 §2.3).
pub const SSH_MSG_EXT_INFO: u8 = 7;
/// `SSH_MSG_KEXINIT` (RFC 4253 §7.1).
pub const SSH_MSG_KEXINIT: u8 = 20;
/// `SSH_MSG_NEWKEYS` (RFC 4253 §7.3).
pub const SSH_MSG_NEWKEYS: u8 = 21;
/// `SSH_MSG_KEX_ECDH_INIT` (RFC 5656 §4), also the hybrid exchanges' first message.
pub const SSH_MSG_KEX_ECDH_INIT: u8 = 30;
/// `SSH_MSG_KEX_ECDH_REPLY` (RFC 5656 §4), also the hybrid exchanges' second message.
pub const SSH_MSG_KEX_ECDH_REPLY: u8 = 31;
/// `SSH2_MSG_PING` (OpenSSH `PROTOCOL` §1.9, `ping@openssh.com`).
pub const SSH_MSG_PING: u8 = 192;
/// `SSH2_MSG_PONG` (OpenSSH `PROTOCOL` §1.9, `ping@openssh.com`).
pub const SSH_MSG_PONG: u8 = 193;

/// The reason code of `SSH_MSG_DISCONNECT`. Source: RFC 4253 §11.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// `SSH_DISCONNECT_HOST_NOT_ALLOWED_TO_CONNECT`
    HostNotAllowedToConnect = 1,
    /// `SSH_DISCONNECT_PROTOCOL_ERROR`
    ProtocolError = 2,
    /// `SSH_DISCONNECT_KEY_EXCHANGE_FAILED`
    KeyExchangeFailed = 3,
    /// `SSH_DISCONNECT_RESERVED`
    Reserved = 4,
    /// `SSH_DISCONNECT_MAC_ERROR`
    MacError = 5,
    /// `SSH_DISCONNECT_COMPRESSION_ERROR`
    CompressionError = 6,
    /// `SSH_DISCONNECT_SERVICE_NOT_AVAILABLE`
    ServiceNotAvailable = 7,
    /// `SSH_DISCONNECT_PROTOCOL_VERSION_NOT_SUPPORTED`
    ProtocolVersionNotSupported = 8,
    /// `SSH_DISCONNECT_HOST_KEY_NOT_VERIFIABLE`
    HostKeyNotVerifiable = 9,
    /// `SSH_DISCONNECT_CONNECTION_LOST`
    ConnectionLost = 10,
    /// `SSH_DISCONNECT_BY_APPLICATION`
    ByApplication = 11,
    /// `SSH_DISCONNECT_TOO_MANY_CONNECTIONS`
    TooManyConnections = 12,
    /// `SSH_DISCONNECT_AUTH_CANCELLED_BY_USER`
    AuthCancelledByUser = 13,
    /// `SSH_DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE`
    NoMoreAuthMethodsAvailable = 14,
    /// `SSH_DISCONNECT_ILLEGAL_USER_NAME`
    IllegalUserName = 15,
}

impl DisconnectReason {
    /// The number on the wire.
    pub const fn code(self) -> u32 {
        self as u32
    }
}

/// `SSH_MSG_DISCONNECT`: the connection ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// The reason code; any number, see [`DisconnectReason`] for the known ones.
    pub reason: u32,
    /// Text from the peer: escape it wherever it is shown.
    pub description: &'a [u8],
}

impl<'a> Disconnect<'a> {
    /// Parses a payload, message number included. The language tag may be absent (some peers omit it).
    ///
    /// # Errors
    /// When the reason or the description does not parse.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = body(payload, SSH_MSG_DISCONNECT, "SSH_MSG_DISCONNECT")?;
        let reason = reader.u32("disconnect reason code")?;
        let description = reader.string("disconnect description")?;
        Ok(Self { reason, description })
    }

    /// Writes the payload, with an empty language tag.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(SSH_MSG_DISCONNECT);
        out.put_u32(self.reason);
        out.put_string(self.description);
        out.put_string(b"");
    }
}

/// `SSH_MSG_UNIMPLEMENTED`: the sequence number of the packet that was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unimplemented {
    /// Sequence number of the rejected packet, counted by the side that had sent it.
    pub sequence: u32,
}

impl Unimplemented {
    /// Parses a payload, message number included.
    ///
    /// # Errors
    /// When it is not exactly one number.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let what = "SSH_MSG_UNIMPLEMENTED";
        let mut reader = body(payload, SSH_MSG_UNIMPLEMENTED, what)?;
        let sequence = reader.u32(what)?;
        reader.end(what)?;
        Ok(Self { sequence })
    }

    /// Writes the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(SSH_MSG_UNIMPLEMENTED);
        out.put_u32(self.sequence);
    }
}

/// `SSH_MSG_EXT_INFO`: named extensions. Source: RFC 8308 §2.3.
#[derive(Clone, Copy, Debug)]
pub struct ExtInfo<'a> {
    entries: Reader<'a>,
    count: u32,
}

impl<'a> ExtInfo<'a> {
    /// More extensions than this are refused (OpenSSH: 1,024).
    pub const MAX_EXTENSIONS: u32 = 1024;

    /// Parses a payload, message number included, and checks every entry once.
    ///
    /// # Errors
    /// When an entry does not parse, entries are missing or too many, or bytes are left.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let what = "SSH_MSG_EXT_INFO";
        let mut reader = body(payload, SSH_MSG_EXT_INFO, what)?;
        let count = reader.u32("nr-extensions")?;
        if count > Self::MAX_EXTENSIONS {
            return Err(Malformed::new("nr-extensions"));
        }
        let mut check = reader;
        for _ in 0..count {
            check.string("extension-name")?;
            check.string("extension-value")?;
        }
        check.end(what)?;
        Ok(Self { entries: reader, count })
    }

    /// Name and value of each extension, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut reader = self.entries;
        (0..self.count).map_while(move |_| {
            let name = reader.string("extension-name").ok()?;
            Some((name, reader.string("extension-value").ok()?))
        })
    }

    /// Writes a payload with these extensions.
    pub fn write(extensions: &[(&str, &[u8])], out: &mut Vec<u8>) {
        out.put_u8(SSH_MSG_EXT_INFO);
        out.put_u32(extensions.len() as u32);
        for (name, value) in extensions {
            out.put_string(name.as_bytes());
            out.put_string(value);
        }
    }
}

/// `SSH_MSG_KEXINIT`: what one side can do. Source: RFC 4253 §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KexInit<'a> {
    /// Random bytes of the sender.
    pub cookie: [u8; 16],
    /// `kex_algorithms`, with the markers of RFC 8308 and of strict KEX.
    pub kex_algorithms: NameList<'a>,
    /// `server_host_key_algorithms`
    pub server_host_key_algorithms: NameList<'a>,
    /// `encryption_algorithms_client_to_server`
    pub encryption_client_to_server: NameList<'a>,
    /// `encryption_algorithms_server_to_client`
    pub encryption_server_to_client: NameList<'a>,
    /// `mac_algorithms_client_to_server`
    pub mac_client_to_server: NameList<'a>,
    /// `mac_algorithms_server_to_client`
    pub mac_server_to_client: NameList<'a>,
    /// `compression_algorithms_client_to_server`
    pub compression_client_to_server: NameList<'a>,
    /// `compression_algorithms_server_to_client`
    pub compression_server_to_client: NameList<'a>,
    /// `first_kex_packet_follows`: the sender's next packet is a guess.
    pub first_kex_packet_follows: bool,
}

impl<'a> KexInit<'a> {
    /// Parses a payload, message number included. Languages are checked and dropped.
    ///
    /// # Errors
    /// Names the list that does not parse.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut r = body(payload, SSH_MSG_KEXINIT, "SSH_MSG_KEXINIT")?;
        let mut cookie = [0; 16];
        cookie.copy_from_slice(r.take(16, "KEXINIT cookie")?);
        let parsed = Self {
            cookie,
            kex_algorithms: r.name_list("kex_algorithms")?,
            server_host_key_algorithms: r.name_list("server_host_key_algorithms")?,
            encryption_client_to_server: r.name_list("encryption_algorithms_client_to_server")?,
            encryption_server_to_client: r.name_list("encryption_algorithms_server_to_client")?,
            mac_client_to_server: r.name_list("mac_algorithms_client_to_server")?,
            mac_server_to_client: r.name_list("mac_algorithms_server_to_client")?,
            compression_client_to_server: r.name_list("compression_algorithms_client_to_server")?,
            compression_server_to_client: r.name_list("compression_algorithms_server_to_client")?,
            first_kex_packet_follows: {
                r.name_list("languages_client_to_server")?;
                r.name_list("languages_server_to_client")?;
                r.bool("first_kex_packet_follows")?
            },
        };
        r.u32("KEXINIT reserved")?;
        r.end("SSH_MSG_KEXINIT")?;
        Ok(parsed)
    }

    /// Writes the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(SSH_MSG_KEXINIT);
        out.put(&self.cookie);
        for list in [
            self.kex_algorithms,
            self.server_host_key_algorithms,
            self.encryption_client_to_server,
            self.encryption_server_to_client,
            self.mac_client_to_server,
            self.mac_server_to_client,
            self.compression_client_to_server,
            self.compression_server_to_client,
        ] {
            out.put_string(list.as_str().as_bytes());
        }
        out.put_string(b"");
        out.put_string(b"");
        out.put_bool(self.first_kex_packet_follows);
        out.put_u32(0);
    }
}

/// `SSH_MSG_KEX_ECDH_INIT`: the client's ephemeral public value (`Q_C`, or `C_INIT` of a hybrid).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KexEcdhInit<'a> {
    /// The client's public value.
    pub client_public: &'a [u8],
}

impl<'a> KexEcdhInit<'a> {
    /// Parses a payload, message number included.
    ///
    /// # Errors
    /// When it is not exactly one string.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let what = "SSH_MSG_KEX_ECDH_INIT";
        let mut reader = body(payload, SSH_MSG_KEX_ECDH_INIT, what)?;
        let client_public = reader.string(what)?;
        reader.end(what)?;
        Ok(Self { client_public })
    }

    /// Writes the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(SSH_MSG_KEX_ECDH_INIT);
        out.put_string(self.client_public);
    }
}

/// `SSH_MSG_KEX_ECDH_REPLY`: host key, the server's ephemeral public value, and the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KexEcdhReply<'a> {
    /// `K_S`: the server's public host key or host certificate.
    pub host_key: &'a [u8],
    /// `Q_S`, or `S_REPLY` of a hybrid.
    pub server_public: &'a [u8],
    /// The signature on the exchange hash.
    pub signature: &'a [u8],
}

impl<'a> KexEcdhReply<'a> {
    /// Parses a payload, message number included.
    ///
    /// # Errors
    /// When it is not exactly three strings.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let what = "SSH_MSG_KEX_ECDH_REPLY";
        let mut reader = body(payload, SSH_MSG_KEX_ECDH_REPLY, what)?;
        let host_key = reader.string("host key")?;
        let server_public = reader.string("server's ephemeral public key")?;
        let signature = reader.string("signature on the exchange hash")?;
        reader.end(what)?;
        Ok(Self { host_key, server_public, signature })
    }

    /// Writes the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(SSH_MSG_KEX_ECDH_REPLY);
        out.put_string(self.host_key);
        out.put_string(self.server_public);
        out.put_string(self.signature);
    }
}

/// `SSH2_MSG_PING` or `SSH2_MSG_PONG`: bytes that come back as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping<'a> {
    /// The bytes to send back.
    pub data: &'a [u8],
}

impl<'a> Ping<'a> {
    /// Parses a PING or PONG payload, message number included.
    ///
    /// # Errors
    /// When it is not exactly one string.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let what = "SSH2_MSG_PING";
        let mut reader = Reader::new(payload);
        if !matches!(reader.u8(what)?, SSH_MSG_PING | SSH_MSG_PONG) {
            return Err(Malformed::new(what));
        }
        let data = reader.string(what)?;
        reader.end(what)?;
        Ok(Self { data })
    }

    /// Writes a PING with these bytes.
    pub fn write_ping(&self, out: &mut Vec<u8>) {
        out.put_u8(SSH_MSG_PING);
        out.put_string(self.data);
    }

    /// Writes the PONG that answers it.
    pub fn write_pong(&self, out: &mut Vec<u8>) {
        out.put_u8(SSH_MSG_PONG);
        out.put_string(self.data);
    }
}

fn body<'a>(payload: &'a [u8], number: u8, what: &'static str) -> Result<Reader<'a>, Malformed> {
    let mut reader = Reader::new(payload);
    if reader.u8(what)? == number { Ok(reader) } else { Err(Malformed::new(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kexinit() -> Vec<u8> {
        let list = |text: &'static str| NameList::parse(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        KexInit {
            cookie: [7; 16],
            kex_algorithms: list("curve25519-sha256,ext-info-c"),
            server_host_key_algorithms: list("ssh-ed25519"),
            encryption_client_to_server: list("aes256-gcm@openssh.com"),
            encryption_server_to_client: list("aes128-gcm@openssh.com"),
            mac_client_to_server: list(""),
            mac_server_to_client: list("hmac-sha2-256-etm@openssh.com"),
            compression_client_to_server: list("none"),
            compression_server_to_client: list("none"),
            first_kex_packet_follows: true,
        }
        .write(&mut out);
        out
    }

    #[test]
    fn messages_survive_the_round_trip() {
        let payload = kexinit();
        let mut again = Vec::new();
        KexInit::parse(&payload).unwrap().write(&mut again);
        assert_eq!(payload, again);

        let mut out = Vec::new();
        let reply = KexEcdhReply { host_key: b"k", server_public: b"q", signature: b"s" };
        reply.write(&mut out);
        assert_eq!(KexEcdhReply::parse(&out).unwrap(), reply);

        out.clear();
        let disconnect = Disconnect { reason: 11, description: b"bye" };
        disconnect.write(&mut out);
        assert_eq!(Disconnect::parse(&out).unwrap(), disconnect);

        out.clear();
        ExtInfo::write(&[("server-sig-algs", b"ssh-ed25519"), ("ping@openssh.com", b"0")], &mut out);
        let names: Vec<_> = ExtInfo::parse(&out).unwrap().iter().map(|(name, _)| name).collect();
        assert_eq!(names, [&b"server-sig-algs"[..], b"ping@openssh.com"]);
    }

    #[test]
    fn every_truncation_and_every_trailing_byte_is_refused() {
        let mut reply = Vec::new();
        KexEcdhReply { host_key: b"k", server_public: b"q", signature: b"s" }.write(&mut reply);
        let mut init = Vec::new();
        KexEcdhInit { client_public: b"q" }.write(&mut init);
        let mut ext = Vec::new();
        ExtInfo::write(&[("a", b"b")], &mut ext);
        let mut ping = Vec::new();
        Ping { data: b"x" }.write_ping(&mut ping);
        type Parses = fn(&[u8]) -> bool;
        let parses: [(Vec<u8>, Parses); 5] = [
            (kexinit(), |p| KexInit::parse(p).is_ok()),
            (reply, |p| KexEcdhReply::parse(p).is_ok()),
            (init, |p| KexEcdhInit::parse(p).is_ok()),
            (ext, |p| ExtInfo::parse(p).is_ok()),
            (ping, |p| Ping::parse(p).is_ok()),
        ];
        for (mut payload, parse) in parses {
            assert!(parse(&payload));
            for cut in 0..payload.len() {
                assert!(!parse(&payload[..cut]), "cut at {cut}");
            }
            payload.push(0);
            assert!(!parse(&payload), "trailing byte");
        }
    }

    #[test]
    fn ext_info_counts_are_checked_before_they_are_used() {
        for count in [1u32, 1025, u32::MAX] {
            let mut out = vec![SSH_MSG_EXT_INFO];
            out.put_u32(count);
            assert!(ExtInfo::parse(&out).is_err(), "{count}");
        }
    }
}
