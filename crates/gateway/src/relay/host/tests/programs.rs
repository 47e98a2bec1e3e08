//! One program a channel, whatever is asked for before the target answers.

use super::*;

/// Whether a request of SFTP outside the tree gets to the target.
fn removes_outside(wire: &mut Wire, number: u32) -> bool {
    wire.heard(Side::Target);
    wire.client(&data(number, &init()));
    wire.client(&data(number, &remove(1, b"/etc/passwd")));
    wire.heard(Side::Target).iter().any(|payload| payload.windows(11).any(|bytes| bytes == b"/etc/passwd"))
}

async fn ruled_sftp_and_git() -> Wire {
    let everything = "sftp:read,sftp:write,git:read";
    Wire::new(Rig::new(vec![ruled("files", everything)]).await).await
}

fn upload_pack(path: &'static str) -> RequestType<'static> {
    RequestType::Exec { command: path.as_bytes() }
}

#[tokio::test(flavor = "current_thread")]
async fn failures_of_other_programs_take_no_gate_away() {
    let mut wire = ruled_sftp_and_git().await;
    wire.session(0);
    // The second is held for its event while the first one's failure comes, and fails after SFTP was asked for.
    wire.starts(0, upload_pack("git-upload-pack '/srv/a.git'")).await;
    let second = wire.asks(0, upload_pack("git-upload-pack '/srv/b.git'"));
    wire.target(&failure(0));
    if second {
        wire.release().await;
    }
    wire.starts(0, SFTP).await;
    if second {
        wire.target(&failure(0));
    }
    wire.target(&success(0));
    assert!(!removes_outside(&mut wire, 0));
    assert_eq!(wire.events("sftp.refuse").await.len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn a_program_waits_for_the_answer_to_the_one_before() {
    let mut wire = ruled_sftp_and_git().await;
    wire.session(0);
    wire.starts(0, upload_pack("git-upload-pack '/srv/a.git'")).await;
    wire.heard(Side::Target);
    assert!(!wire.asks(0, SFTP));
    assert!(wire.heard(Side::Target).is_empty());
    wire.target(&failure(0));
    // Both are answered, in order.
    assert_eq!(wire.heard(Side::Client).len(), 3, "a confirmation and two failures");
    wire.starts(0, SFTP).await;
    wire.target(&success(0));
    assert!(!wire.asks(0, SFTP));
    let denied = wire.events("access.deny").await;
    assert_eq!(denied.len(), 2, "{denied:?}");
    assert!(!removes_outside(&mut wire, 0));
}

#[tokio::test(flavor = "current_thread")]
async fn after_a_program_that_nobody_answers_for_there_is_no_other() {
    let mut wire = ruled_sftp_and_git().await;
    wire.session(0);
    assert!(wire.client(&request(0, upload_pack("git-upload-pack '/srv/a.git'"), false)));
    wire.release().await;
    assert!(!wire.asks(0, SFTP));
}

#[tokio::test(flavor = "current_thread")]
async fn the_gate_goes_with_the_program_that_made_it() {
    let mut wire = ruled_sftp_and_git().await;
    for number in 0..2 {
        wire.session(number);
        wire.starts(number, SFTP).await;
    }
    wire.target(&failure(0));
    wire.target(&success(1));
    wire.starts(0, upload_pack("git-upload-pack '/srv/a.git'")).await;
    wire.target(&success(0));
    wire.client(&data(0, b"0000"));
    assert!(wire.events("anomaly").await.is_empty(), "what is no SFTP passes in the one");
    assert!(!removes_outside(&mut wire, 1));
}

#[tokio::test(flavor = "current_thread")]
async fn two_terminals_are_not_asked_for_at_once() {
    let mut wire = Wire::new(Rig::new(vec![rule("all", "shell,exec")]).await).await;
    let pty = || {
        let size = Default::default();
        let modes = bartizan_ssh::wire::connection::PtyModes(b"");
        RequestType::PtyReq(bartizan_ssh::wire::connection::PtyRequest { term: b"xterm", size, modes })
    };
    wire.session(0);
    assert!(!wire.asks(0, pty()) && !wire.asks(0, pty()));
    assert_eq!(wire.heard(Side::Target).len(), 2, "the channel and one terminal");
    wire.target(&failure(0));
    assert!(!wire.asks(0, pty()));
    assert_eq!(wire.heard(Side::Target).len(), 1);
}

/// A file removed by SFTP, from the request to the answer.
async fn removes(wire: &mut Wire) -> usize {
    wire.client(&data(0, &init()));
    wire.target(&data(0, &[0, 0, 0, 5, 2, 0, 0, 0, 3]));
    wire.client(&data(0, &remove(1, b"/srv/a")));
    let done = [&[101][..], &[0, 0, 0, 1], &[0; 4], &[0; 4], &[0; 4]].concat();
    wire.target(&data(0, &[&(done.len() as u32).to_be_bytes()[..], &done].concat()));
    wire.events("sftp.remove").await.len()
}

#[tokio::test(flavor = "current_thread")]
async fn a_program_after_sftp_takes_no_decoder_away() {
    let mut wire = Wire::new(Rig::new(vec![rule("all", "exec,sftp:read,sftp:write")]).await).await;
    wire.session(0);
    wire.starts(0, SFTP).await;
    let second = wire.asks(0, RequestType::Exec { command: b"true" });
    wire.target(&success(0));
    if second {
        wire.release().await;
        wire.target(&failure(0));
    }
    assert_eq!(removes(&mut wire).await, 1);
}

#[tokio::test(flavor = "current_thread")]
async fn what_was_sent_to_a_program_that_failed_hides_nothing_of_the_next() {
    let mut wire = Wire::new(Rig::new(vec![rule("all", "exec,sftp:read,sftp:write")]).await).await;
    wire.session(0);
    wire.starts(0, RequestType::Exec { command: b"git-upload-pack '/srv/a.git'" }).await;
    wire.client(&data(0, b"0000"));
    wire.target(&failure(0));
    wire.starts(0, SFTP).await;
    wire.target(&success(0));
    assert_eq!(removes(&mut wire).await, 1);
}
