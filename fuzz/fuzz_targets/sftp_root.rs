//! An SFTP root between a hostile client and hostile targets. Each piece is somebody's: its first byte says whose.
#![no_main]
use bartizan_ssh::sftp::{Entry, Order, PlaceId, Root, RootLimits, Status};
use libfuzzer_sys::fuzz_target;

mod common;

const LIMITS: RootLimits =
    RootLimits { to_client: 4096, to_places: 8192, in_flight: 16, handles: 8, listings: 2, places: 2 };

/// A packet with its length.
fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// Counts the packets that go to the client.
#[derive(Default)]
struct Answers {
    stream: Vec<u8>,
    count: usize,
}

impl Answers {
    fn take(&mut self, bytes: &mut Vec<u8>) {
        self.stream.append(bytes);
        while let Some((length, rest)) = self.stream.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            if rest.len() < length {
                break;
            }
            self.count += 1;
            self.stream.drain(..4 + length);
        }
    }
}

fn obey(root: &mut Root, places: &mut Vec<PlaceId>) {
    while let Some(order) = root.order() {
        match order {
            Order::Enter { place, .. } => places.push(place),
            Order::Leave(place) => assert!(root.to_place(place).is_none()),
            Order::Say(_) | Order::Refused { .. } => {}
        }
    }
    places.retain(|place| root.to_place(*place).is_some());
    assert!(places.len() <= LIMITS.places);
}

fuzz_target!(|input: &[u8]| {
    let (mut root, mut places, mut answers, mut asked) =
        (Root::new(LIMITS, 0), Vec::new(), Answers::default(), 1);
    root.from_client(&framed(&[1, 0, 0, 0, 3])).expect("a greeting");
    for piece in common::pieces(input) {
        let Some((who, bytes)) = piece.split_first() else { continue };
        match who % 8 {
            // Fed whether or not it is wanted: what is not answered now waits.
            0..=2 => {
                if bytes.len() >= 5 {
                    asked += 1;
                }
                if root.from_client(&framed(bytes)).is_err() {
                    return;
                }
                assert!(root.to_client().len() < LIMITS.to_client + (64 << 10));
            }
            3 => root.answer(None),
            4 => {
                let name = bytes.to_vec();
                root.answer(Some(vec![Entry { name, writable: true }]));
            }
            5 | 6 => {
                if let Some(&place) = places.get(usize::from(*who >> 3) % LIMITS.places) {
                    root.from_place(place, &if who % 8 == 5 { framed(bytes) } else { bytes.to_vec() });
                }
            }
            _ => answers.take(root.to_client()),
        }
        obey(&mut root, &mut places);
    }
    // In the end nobody is there any more, and everybody has their answer.
    loop {
        while root.question().is_some() {
            root.answer(None);
        }
        obey(&mut root, &mut places);
        places.drain(..).for_each(|place| root.lose(place, Status::ConnectionLost, "over"));
        answers.take(root.to_client());
        if root.from_client(b"").is_err() {
            return;
        }
        obey(&mut root, &mut places);
        if root.is_quiet() && places.is_empty() && root.wants_client() {
            break;
        }
    }
    assert_eq!(answers.count, asked);
});
