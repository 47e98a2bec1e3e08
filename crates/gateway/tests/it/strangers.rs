//! Those who connect and never log in.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bartizan_gateway::{HalfOpenLimits, Settings};
use bartizan_model::event::{Body, Event};

use crate::fixture::Fixture;

/// Longer than anybody may take to log in.
const CLOSED: Duration = Duration::from_secs(120);

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(CLOSED)).unwrap();
    stream
}

/// All that comes until the server closes.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

/// Events of single connections, and how many connections the others tell of.
fn refused(events: &[Event]) -> (usize, u64) {
    let counts = events.iter().filter_map(|event| match &event.body {
        Body::ConnectionRefuse { count, .. } => Some(*count),
        _ => None,
    });
    let (told, single): (Vec<_>, Vec<_>) = counts.partition(Option::is_some);
    (single.len(), told.into_iter().flatten().sum())
}

#[test]
fn however_many_come_the_log_stays_small_and_counts_them() {
    let fixture = Fixture::start();
    let mut streams: Vec<_> = (0..300).map(|_| connect(fixture.address())).collect();
    let places = streams.split_off(300 - HalfOpenLimits::default().per_source);
    let evicted = streams.len() as u64;
    streams.into_iter().for_each(|stream| drop(rest(stream)));
    let events = fixture.stop();
    drop(places);
    let (single, told) = refused(&events);
    assert!((1..50).contains(&single), "{single} events of single connections");
    assert!(single as u64 + told >= evicted, "{single} and {told} of {evicted}");
    let told =
        events.iter().find(|event| matches!(event.body, Body::ConnectionRefuse { count: Some(_), .. }));
    assert_eq!(told.and_then(|event| event.source), Some(([127, 0, 0, 1], 0).into()));
}

#[test]
fn who_comes_too_fast_is_closed_before_any_key_exchange() {
    let half_open = HalfOpenLimits { per_second: 1, ..HalfOpenLimits::default() };
    let settings = Settings { half_open, login_grace: Duration::from_secs(6), ..Settings::default() };
    let fixture = Fixture::set(settings);
    let streams: Vec<_> = (0..60).map(|_| connect(fixture.address())).collect();
    let (none, greeted): (Vec<_>, Vec<_>) = streams.into_iter().map(rest).partition(Vec::is_empty);
    assert!(greeted.len() >= 5 && greeted.iter().all(|said| said.starts_with(b"SSH-2.0-")));
    assert!(!none.is_empty(), "all were greeted");
    let (single, told) = refused(&fixture.stop());
    assert_eq!(single as u64 + told, 60);
}
