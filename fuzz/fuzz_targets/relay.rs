//! Two hostile ends of a relay: it refuses, ends with an error, or passes; and never answers without bound.
#![no_main]
use bartizan_ssh::connection::relay::{
    ChannelKey, DataKind, GlobalVerdict, OpenVerdict, Output, Relay, RelayHost, RelayLimits, RequestVerdict,
    Side,
};
use bartizan_ssh::wire::connection::{ChannelOpen, ChannelRequest, ChannelType, GlobalRequest, RequestType};
use libfuzzer_sys::fuzz_target;

mod common;

struct Policy;

impl RelayHost for Policy {
    fn channel_open(&mut self, _: Side, _: ChannelKey, open: &ChannelOpen<'_>) -> OpenVerdict {
        match open.channel_type {
            ChannelType::Session | ChannelType::AuthAgent => OpenVerdict::Pass,
            ChannelType::DirectTcpip { .. } => OpenVerdict::Hold,
            _ => OpenVerdict::prohibited("no"),
        }
    }
    fn channel_request(&mut self, _: Side, _: ChannelKey, request: &ChannelRequest<'_>) -> RequestVerdict {
        match request.request_type {
            RequestType::Exec { .. } => RequestVerdict::Hold,
            RequestType::Env { .. } => RequestVerdict::Swallow,
            RequestType::X11Req(_) => RequestVerdict::Refuse { text: "no\n".into() },
            _ => RequestVerdict::Pass,
        }
    }
    fn global_request(&mut self, _: Side, request: &GlobalRequest<'_>) -> GlobalVerdict {
        if request.want_reply { GlobalVerdict::Pass } else { GlobalVerdict::Swallow }
    }
    fn data(&mut self, _: ChannelKey, _: Side, _: DataKind, _: &[u8]) {}
}

struct Counted(usize);

impl Output for Counted {
    fn to(&mut self, _: Side, payload: &[u8]) {
        assert!(!payload.is_empty());
        self.0 += 1;
    }
}

fuzz_target!(|input: &[u8]| {
    let (mut relay, mut host, mut out) = (Relay::new(RelayLimits::default()), Policy, Counted(0));
    for (n, piece) in common::pieces(input).enumerate() {
        let Some((&first, payload)) = piece.split_first() else { continue };
        let from = if first & 1 == 0 { Side::Client } else { Side::Target };
        if relay.is_held(from) {
            let released = relay
                .release_request(from, RequestVerdict::Pass, &mut host, &mut out)
                .or_else(|_| relay.release_open(from, OpenVerdict::Pass, &mut out));
            if released.is_err() {
                return;
            }
        }
        match first >> 1 {
            1 => relay.terminate("over", &mut host, &mut out),
            2 => relay.lost_target(&mut host, &mut out),
            _ => {
                if relay.on_packet(from, payload, &mut host, &mut out).is_err() {
                    return;
                }
            }
        }
        // Ending all channels says a few messages for each; one packet says a few.
        assert!(out.0 <= (n + 1) * 8, "{} messages after {} packets", out.0, n + 1);
    }
});
