//! Files, when what is permitted changes under what is open.

use bartizan_model::Grant as Rule;

use super::*;

fn break_glass(rule: Rule) -> Rule {
    Rule { break_glass: true, ..rule }
}

/// SFTP in a session that these grants permit, with its version agreed upon.
async fn sftp(grants: Vec<Rule>) -> Wire {
    let mut wire = Wire::new(Rig::new(grants).await).await;
    wire.session(0);
    wire.starts(0, SFTP).await;
    wire.target(&success(0));
    wire.client(&data(0, &init()));
    wire.target(&data(0, &[0, 0, 0, 5, 2, 0, 0, 0, 3]));
    wire
}

/// Whether a request gets to the target.
fn passes(wire: &mut Wire, request: &[u8]) -> bool {
    wire.heard(Side::Target);
    wire.client(&data(0, request));
    let expected = data(0, request).to_payload();
    wire.heard(Side::Target).contains(&expected)
}

const EVERYTHING: &str = "sftp:read,sftp:write";

#[tokio::test(flavor = "current_thread")]
async fn in_an_emergency_everyday_grants_permit_no_file() {
    let mut wire = sftp(vec![ruled("everyday", EVERYTHING), break_glass(rule("glass", "exec"))]).await;
    assert!(passes(&mut wire, &remove(1, b"/srv/a")));
    wire.emergency().await;
    assert!(!passes(&mut wire, &remove(2, b"/srv/a")));
    assert_eq!(wire.events("sftp.refuse").await.len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn sftp_for_every_file_ends_in_an_emergency_that_does_not_permit_it() {
    let mut wire = sftp(vec![rule("everyday", EVERYTHING), break_glass(ruled("glass", EVERYTHING))]).await;
    assert!(passes(&mut wire, &remove(1, b"/etc/a")));
    wire.emergency().await;
    assert!(!passes(&mut wire, &remove(2, b"/srv/a")));
    let told = wire.heard(Side::Client);
    let close = Message::Close { recipient_channel: 0 }.to_payload();
    assert!(told.contains(&close), "{told:?}");
    assert_eq!(wire.events("anomaly").await.len(), 1);
    // Another one begins, and is held to what is permitted now.
    wire.target(&Message::Close { recipient_channel: 0 });
    wire.client(&Message::Close { recipient_channel: 0 });
    wire.session(0);
    wire.starts(0, SFTP).await;
    wire.target(&success(0));
    assert!(passes(&mut wire, &remove(1, b"/srv/a")) && !passes(&mut wire, &remove(2, b"/etc/a")));
}

#[tokio::test(flavor = "current_thread")]
async fn sftp_for_every_file_goes_on_in_an_emergency_that_permits_it() {
    let mut wire = sftp(vec![break_glass(rule("glass", EVERYTHING))]).await;
    wire.emergency().await;
    assert!(passes(&mut wire, &remove(1, b"/etc/a")));
}

/// What passes unjudged is told in events, too: so that it can be read, no newer version is agreed on.
#[tokio::test(flavor = "current_thread")]
async fn free_sftp_asks_for_no_newer_version() {
    let mut wire = Wire::new(Rig::new(vec![rule("everyday", EVERYTHING)]).await).await;
    wire.session(0);
    wire.starts(0, SFTP).await;
    wire.target(&success(0));
    wire.heard(Side::Target);
    wire.client(&data(0, &[0, 0, 0, 5, 1, 0, 0, 0, 6]));
    assert_eq!(wire.heard(Side::Target), [data(0, &[0, 0, 0, 5, 1, 0, 0, 0, 3]).to_payload()]);
    wire.target(&data(0, &[0, 0, 0, 5, 2, 0, 0, 0, 3]));
    assert!(passes(&mut wire, &remove(1, b"/etc/a")));
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_open_is_judged_anew_although_another_channel_asked_first() {
    let keeps = rule("keeps", "exec");
    let mut wire = sftp(vec![keeps, ruled("files", EVERYTHING)]).await;
    let string = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    let packet = |body: &[&[u8]]| string(&body.concat());
    let opens = packet(&[&[3], &[0, 0, 0, 1], &string(b"/srv/a"), &[0, 0, 0, 2], &[0; 4]]);
    assert!(passes(&mut wire, &opens));
    wire.target(&data(0, &packet(&[&[102], &[0, 0, 0, 1], &string(b"h")])));
    let write = |id: u8| packet(&[&[6, 0, 0, 0, id], &string(b"h"), &[0; 8], &string(b"bytes")]);
    assert!(passes(&mut wire, &write(2)));
    wire.rig.change(|data| data.grants.retain(|grant| grant.id.0 == "keeps"));
    // The same person's other grant comes back for reading, and another channel asks of it.
    wire.rig.change(|data| data.grants.push(ruled("reads", "sftp:read")));
    wire.session(1);
    wire.starts(1, SFTP).await;
    assert!(!passes(&mut wire, &write(3)));
}
