//! What encryption costs: `cargo run --release --example transport_throughput [GIB]`.
//!
//! Two transports in memory, 32 KiB packets, 4 GiB for each cipher. Prints the rate and the CPU seconds per
//! GiB of sealing (`send`) and of opening (`poll`), and nanoseconds for a packet of one byte of data (both
//! together); moving the bytes from one to the other, which a socket would do, is not counted. Then
//! what an idle connection holds.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bartizan_ssh::key::{HostKey, KeyKind, PrivateKey};
use bartizan_ssh::transport::{
    Algorithms, Cipher, ClientConfig, Incoming, Mac, RekeyLimits, ServerConfig, Transport,
};
use rustix::time::{ClockId, clock_gettime};

const PAYLOAD: usize = 32 * 1024;
/// As many packets as a proxy typically finds in its receive buffer.
const BATCH: usize = 6;
const SMALL_PACKETS: u64 = 2 << 20;
const BUFFER: usize = 256 * 1024;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let gib: u64 = std::env::args().nth(1).map_or(Ok(4), |text| text.parse())?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{:40} {:>9} {:>12} {:>12} {:>12} {:>12}",
        "", "GiB/s", "seal s/GiB", "open s/GiB", "both", "ns/packet"
    )?;
    for cipher in Cipher::ALL {
        for mac in Mac::ALL.into_iter().take(if cipher.is_aead() { 1 } else { 4 }) {
            let (seal, open) = measure(cipher, mac, PAYLOAD, BATCH, (gib << 30) / PAYLOAD as u64)?;
            let (small_seal, small_open) = measure(cipher, mac, 1, 100, SMALL_PACKETS)?;
            let small = (small_seal + small_open).as_nanos() / u128::from(SMALL_PACKETS);
            let name = if cipher.is_aead() { String::new() } else { format!(" {}", mac.name()) };
            let name = format!("{}{name}", cipher.name().trim_end_matches("@openssh.com"));
            let (seal, open) = (seal.as_secs_f64() / gib as f64, open.as_secs_f64() / gib as f64);
            let both = seal + open;
            writeln!(out, "{name:40} {:9.2} {seal:12.3} {open:12.3} {both:12.3} {small:12}", 1.0 / both)?;
        }
    }
    idle(&mut out)
}

/// CPU time of sealing and of opening so many packets with `len` bytes of data.
fn measure(
    cipher: Cipher,
    mac: Mac,
    len: usize,
    batch: usize,
    packets: u64,
) -> Result<(Duration, Duration), Failure> {
    let (mut client, mut server) = connect(cipher, mac)?;
    let payload = vec![0x5e; len];
    let batches = packets / batch as u64;
    let (mut seal, mut open) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..batches {
        let before = cpu_time();
        for _ in 0..batch {
            server.send_parts(&[94, 0, 0, 0, 0, 0, 0, 0x80, 0], &payload)?;
        }
        seal += cpu_time() - before;
        carry(&mut server, &mut client);
        let before = cpu_time();
        let mut opened = 0;
        while let Some(Incoming::Packet(packet)) = client.poll(Duration::ZERO)? {
            opened += usize::from(packet.len() == len + 9);
        }
        open += cpu_time() - before;
        assert_eq!(opened, batch);
    }
    Ok((seal, open))
}

fn connect(cipher: Cipher, mac: Mac) -> Result<(Transport, Transport), Failure> {
    let algorithms = Algorithms { ciphers: vec![cipher], macs: vec![mac], ..Algorithms::default() };
    let rekey = RekeyLimits { bytes: 1 << 60, ..RekeyLimits::default() };
    let host_key = HostKey::new(PrivateKey::generate(KeyKind::Ed25519)?);
    let server_config =
        ServerConfig { algorithms: algorithms.clone(), rekey, ..ServerConfig::new(vec![host_key]) };
    let client_config = ClientConfig { algorithms, rekey, ..ClientConfig::default() };
    let mut client = Transport::client(Arc::new(client_config), Duration::ZERO)?;
    let mut server = Transport::server(Arc::new(server_config), Duration::ZERO)?;
    while !(client.can_send() && client.outgoing().is_empty() && server.outgoing().is_empty()) {
        carry(&mut client, &mut server);
        while server.poll(Duration::ZERO)?.is_some() {}
        carry(&mut server, &mut client);
        while let Some(incoming) = client.poll(Duration::ZERO)? {
            if matches!(incoming, Incoming::HostKey(_)) {
                client.accept_host_key()?;
            }
        }
    }
    Ok((client, server))
}

/// What sockets would do.
fn carry(from: &mut Transport, to: &mut Transport) {
    let len = from.outgoing().len();
    to.receive_space(len.max(BUFFER))[..len].copy_from_slice(from.outgoing());
    to.received(len);
    from.sent(len);
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Resident memory of many idle connections, both ends, whose buffers were taken away.
fn idle(out: &mut impl Write) -> Result<(), Failure> {
    const PAIRS: usize = 2000;
    let mut held = Vec::with_capacity(PAIRS);
    let before = resident()?;
    for _ in 0..PAIRS {
        let mut pair = connect(Cipher::Aes256Gcm, Mac::HmacSha256Etm)?;
        for end in [&mut pair.0, &mut pair.1] {
            drop((end.take_receive_buffer(), end.take_send_buffer()));
        }
        held.push(pair);
    }
    let each = (resident()? - before) / (2 * held.len());
    writeln!(out, "an idle transport: {each} bytes resident, {} of them its struct", size_of::<Transport>())?;
    Ok(())
}

fn resident() -> Result<usize, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
}
