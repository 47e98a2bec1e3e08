//! How fast channel data pass through a relay, without transports: `cargo run --release --example relay_throughput`.
//!
//! Pushes 4 GiB of 32 KiB `CHANNEL_DATA` from the target to the client, and 8 MiB of one-byte ones, with
//! the window adjustments of a client that reads them all, and a host that listens and does nothing. The
//! output copies each payload once, as a transport's send buffer does; that copy is also measured
//! alone. The best of five runs each, in turns.

use bartizan_ssh::connection::relay::{
    ChannelKey, DataKind, GlobalVerdict, OpenVerdict, Output, Relay, RelayError, RelayHost, RelayLimits,
    RequestVerdict, Side,
};
use bartizan_ssh::wire::connection::{
    ChannelOpen, ChannelRequest, ChannelType, GlobalRequest, Message, OpenConfirmation, RequestType,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

const WINDOW: u32 = 2 << 20;

fn main() -> Result<(), RelayError> {
    for (length, total) in [(32 * 1024, 4 << 30), (1, 8 << 20)] {
        let rounds = total / length as u64;
        let (mut copy, mut relay) = (Duration::MAX, Duration::MAX);
        for _ in 0..5 {
            copy = copy.min(copy_alone(length, rounds));
            relay = relay.min(through_relay(length, rounds)?);
        }
        show(&format!("{length:>5} bytes a packet, copied only"), copy, length, rounds);
        show(&format!("{length:>5} bytes a packet, relayed"), relay, length, rounds);
    }
    Ok(())
}

struct Listener(u64);

impl RelayHost for Listener {
    fn channel_open(&mut self, _: Side, _: ChannelKey, _: &ChannelOpen<'_>) -> OpenVerdict {
        OpenVerdict::Pass
    }
    fn channel_request(&mut self, _: Side, _: ChannelKey, _: &ChannelRequest<'_>) -> RequestVerdict {
        RequestVerdict::Pass
    }
    fn global_request(&mut self, _: Side, _: &GlobalRequest<'_>) -> GlobalVerdict {
        GlobalVerdict::Pass
    }
    fn data(&mut self, _: ChannelKey, _: Side, _: DataKind, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
}

/// A send buffer that is written over and over: one copy per payload, no growth.
struct SendBuffer(Vec<u8>);

impl Output for SendBuffer {
    fn to(&mut self, _: Side, payload: &[u8]) {
        self.0.clear();
        self.0.extend_from_slice(black_box(payload));
        black_box(&self.0);
    }
}

fn copy_alone(length: usize, rounds: u64) -> Duration {
    let payload = Message::Data { recipient_channel: 0, data: &vec![7; length] }.to_payload();
    let mut out = SendBuffer(Vec::with_capacity(2 * length));
    let start = Instant::now();
    for _ in 0..rounds {
        out.to(Side::Client, &payload);
    }
    start.elapsed()
}

fn through_relay(length: usize, rounds: u64) -> Result<Duration, RelayError> {
    let mut out = SendBuffer(Vec::with_capacity(2 * length));
    let mut host = Listener(0);
    let mut relay = Relay::new(RelayLimits::default());
    for (from, message) in opening() {
        let _ = relay.on_packet(from, &message.to_payload(), &mut host, &mut out)?;
    }
    let data = Message::Data { recipient_channel: 0, data: &vec![7; length] }.to_payload();
    let adjust = Message::WindowAdjust { recipient_channel: 0, bytes_to_add: 3 * length as u32 }.to_payload();
    let start = Instant::now();
    for round in 0..rounds {
        let _ = relay.on_packet(Side::Target, &data, &mut host, &mut out)?;
        // As OpenSSH adjusts.
        if round % 3 == 2 {
            let _ = relay.on_packet(Side::Client, &adjust, &mut host, &mut out)?;
        }
    }
    let elapsed = start.elapsed();
    assert_eq!(host.0, rounds * length as u64, "every byte was heard");
    Ok(elapsed)
}

/// A session channel, number 0 at both ends, with a program running.
fn opening() -> [(Side, Message<'static>); 3] {
    let (initial_window_size, maximum_packet_size) = (WINDOW, 32 * 1024);
    let channel_type = ChannelType::Session;
    let open = ChannelOpen { channel_type, sender_channel: 0, initial_window_size, maximum_packet_size };
    let confirmation = OpenConfirmation {
        recipient_channel: 0,
        sender_channel: 0,
        initial_window_size,
        maximum_packet_size,
        data: b"",
    };
    let exec = ChannelRequest {
        recipient_channel: 0,
        want_reply: false,
        request_type: RequestType::Exec { command: b"cat" },
    };
    [
        (Side::Client, Message::ChannelOpen(open)),
        (Side::Target, Message::OpenConfirmation(confirmation)),
        (Side::Client, Message::ChannelRequest(exec)),
    ]
}

#[expect(clippy::print_stdout, reason = "a program that prints its measurement")]
fn show(what: &str, elapsed: Duration, length: usize, rounds: u64) {
    let gib = (rounds * length as u64) as f64 / f64::from(1 << 30);
    let rate = gib / elapsed.as_secs_f64();
    let each = elapsed.as_nanos() as f64 / rounds as f64;
    println!("{what}: {rate:.2} GiB/s, {each:.1} ns a packet");
}
