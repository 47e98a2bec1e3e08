//! Measures what decoding costs: GiB a second of SFTP and scp, with and without digests, and of SHA-256 alone; and
//! what many small requests cost.
//!
//! `cargo run --release -p bartizan-decode --example decode_throughput`

use std::time::Instant;

use bartizan_decode::{Decoder, Observed, Options, Stream};

const GIB: usize = 1 << 30;
/// What a channel's DATA message carries at most, with OpenSSH.
const CHUNK: usize = 32 << 10;
/// What OpenSSH writes by one request.
const WRITE: usize = 32 << 10;

fn main() {
    for digest in [false, true] {
        let options = Options { digest, ..Options::default() };
        let name = if digest { "with SHA-256" } else { "without digest" };
        let upload = conversation();
        let mut decoder = sftp(&options);
        report(&format!("sftp upload, {name}"), 4 * GIB, || {
            run(&mut decoder, &upload, 4 * GIB / (64 * WRITE))
        });
        if let Some(mut scp) = Decoder::for_exec(0, b"scp -t /tmp/x", &options) {
            let mut seen: Vec<Observed> = Vec::new();
            scp.feed(Stream::Output, b"\0", &mut seen);
            scp.feed(Stream::Input, format!("C0644 {} x\n", 4 * GIB).as_bytes(), &mut seen);
            scp.feed(Stream::Output, b"\0", &mut seen);
            let chunk = vec![7; CHUNK];
            report(&format!("scp upload, {name}"), 4 * GIB, || {
                (0..4 * GIB / CHUNK).for_each(|_| scp.feed(Stream::Input, &chunk, &mut seen));
            });
        }
    }
    let chunk = vec![7; CHUNK];
    report("SHA-256 alone", 4 * GIB, || {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        (0..4 * GIB / CHUNK).for_each(|_| context.update(&chunk));
    });
    small();
}

fn sftp(options: &Options) -> Decoder {
    let mut seen: Vec<Observed> = Vec::new();
    let decoder = Decoder::for_subsystem(0, b"sftp", options);
    let Some(mut decoder) = decoder else { std::process::exit(1) };
    decoder.feed(
        Stream::Input,
        &packet(3, &[&[0, 0, 0, 0], &string(b"/x"), &[0, 0, 0, 2], &[0; 4]]),
        &mut seen,
    );
    decoder.feed(Stream::Output, &packet(102, &[&[0, 0, 0, 0], &string(b"h")]), &mut seen);
    decoder
}

/// Sixty-four writes and their answers; ids and offsets are set in place as they are repeated.
fn conversation() -> Vec<u8> {
    let content = string(&vec![7; WRITE]);
    (0..64).flat_map(|_| packet(6, &[&[0; 4], &string(b"h"), &[0; 8], &content])).collect()
}

fn run(decoder: &mut Decoder, upload: &[u8], rounds: usize) {
    let (mut upload, mut seen) = (upload.to_vec(), Vec::<Observed>::new());
    let each = upload.len() / 64;
    let mut id = 0_u32;
    for _ in 0..rounds {
        let mut answers = Vec::with_capacity(64 * 21);
        for place in upload.chunks_mut(each) {
            id += 1;
            place[5..9].copy_from_slice(&id.to_be_bytes());
            place[14..22].copy_from_slice(&(u64::from(id - 1) * WRITE as u64).to_be_bytes());
            answers.extend(packet(101, &[&id.to_be_bytes(), &[0; 12]]));
        }
        upload.chunks(CHUNK).for_each(|chunk| decoder.feed(Stream::Input, chunk, &mut seen));
        decoder.feed(Stream::Output, &answers, &mut seen);
    }
}

/// Questions, one to a chunk, as a client asks that waits for each answer.
fn small() {
    const REQUESTS: u32 = 2_000_000;
    let (mut decoder, mut seen) = (sftp(&Options::default()), Vec::<Observed>::new());
    let start = Instant::now();
    for id in 0..REQUESTS {
        decoder.feed(
            Stream::Input,
            &packet(17, &[&id.to_be_bytes(), &string(b"/srv/www/index.html")]),
            &mut seen,
        );
        decoder.feed(Stream::Output, &packet(105, &[&id.to_be_bytes(), &[0; 28]]), &mut seen);
    }
    say(&format!(
        "{:<28} {:8.0} ns each",
        "stat and its answer",
        start.elapsed().as_nanos() as f64 / f64::from(REQUESTS)
    ));
}

fn report(name: &str, bytes: usize, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    let seconds = start.elapsed().as_secs_f64();
    say(&format!("{name:<28} {:8.2} GiB/s", bytes as f64 / GIB as f64 / seconds));
}

fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let length: usize = 1 + fields.iter().map(|field| field.len()).sum::<usize>();
    let mut packet = (length as u32).to_be_bytes().to_vec();
    packet.push(kind);
    fields.iter().for_each(|field| packet.extend_from_slice(field));
    packet
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

#[expect(clippy::print_stdout, reason = "a program's output")]
fn say(text: &str) {
    println!("{text}");
}
