use bartizan_model::event::Event;
use bartizan_model::{HostKeyTrust, PersonState, Target};
use bartizan_ssh::transport::Transport;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use super::*;
use crate::hop::now;
use crate::rig::{Rig, login, rule, source, web_1};

fn target(rig: &Rig) -> Target {
    rig.shared.directory().target(&web_1()).unwrap().clone()
}

fn visit(rig: &Rig, destination: Destination) -> Visit {
    Visit {
        who: rig.who(),
        source: source(),
        way: Way::ProxyJump,
        login: login(),
        destination,
        agent: None,
        trail: rig.trail(),
        host_keys: Vec::new(),
    }
}

/// A client that has gone: whatever it is told is told to nobody.
fn client(rig: &Rig) -> Hop<DuplexStream> {
    Hop::new(Transport::server(rig.shared.outer_config(), now()).unwrap(), tokio::io::duplex(64).0)
}

fn reasons(events: &[Event]) -> Vec<&str> {
    let reasons = events.iter().filter_map(|event| match &event.body {
        Body::SessionEnd { reason, .. } | Body::AccessDeny { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    reasons.collect()
}

#[tokio::test(flavor = "current_thread")]
async fn a_target_that_was_found_is_judged_and_dialled_by_its_record_of_today() {
    let mut rig = Rig::new(vec![rule("g1", "shell")]).await;
    let found = || Destination::Found(Box::new(target(&rig)));
    let (waits, waits_too, last) = (visit(&rig, found()), visit(&rig, found()), visit(&rig, found()));
    rig.change(|data| data.targets[0].host_key = HostKeyTrust::Pinned(vec!["ssh-ed25519 AAAA".into()]));
    let Ok(authorized) = authorize(&waits, SessionId::new(), &rig.shared).1 else { panic!("it is refused") };
    assert_eq!(authorized.grant.target, target(&rig), "the key that was pinned meanwhile counts");
    rig.change(|data| data.targets[0].host = "10.0.0.9".into());
    let refused = authorize(&waits_too, SessionId::new(), &rig.shared).1;
    assert!(matches!(refused, Err(Refusal::Moved(_))));
    rig.change(|data| data.targets.clear());
    let refused = authorize(&last, SessionId::new(), &rig.shared).1;
    assert!(matches!(refused, Err(Refusal::UnknownTarget(_))));
    let events = rig.events().await;
    assert_eq!(reasons(&events), ["the target was changed since it was asked for", "no such target"]);
}

/// Why a session ended during whose connecting something happened. The target accepts, and says nothing.
async fn ended_while_connecting(happens: impl FnOnce(&mut Rig)) -> Vec<String> {
    let mut rig = Rig::new(vec![rule("g1", "shell")]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    rig.change(|data| data.targets[0].port = port);
    let visit = visit(&rig, Destination::Named(web_1()));
    let session = Box::pin(run(client(&rig), visit, rig.shared.clone()));
    let happens = async {
        let stream = listener.accept().await.unwrap();
        happens(&mut rig);
        stream
    };
    LocalSet::new().run_until(async { tokio::join!(session, happens) }).await;
    let events = rig.events().await;
    assert_eq!(events.iter().filter(|event| event.kind() == "session.end").count(), 1);
    let stages: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.body {
            Body::UpstreamFail { stage, .. } => Some(stage.as_str()),
            _ => None,
        })
        .collect();
    // Whether we know already that it took the connection is as it comes.
    assert!(matches!(stages[..], ["connect" | "handshake"]), "{stages:?}");
    reasons(&events).into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn what_ends_a_session_ends_one_that_connects() {
    let stopped = ended_while_connecting(|rig| rig.stop.send_modify(|stop| *stop = true)).await;
    assert_eq!(stopped, ["server stopped"]);
    let terminated = ended_while_connecting(|rig| {
        let session = rig.shared.live.all().first().unwrap().id;
        assert!(rig.shared.live.terminate(&session, "not now"));
    });
    assert_eq!(terminated.await, ["terminated: not now"]);
    let locked = ended_while_connecting(|rig| rig.change(|data| data.people[0].state = PersonState::Locked));
    assert_eq!(locked.await, ["this person is locked", "access withdrawn: this person is locked"]);
    let moved = ended_while_connecting(|rig| rig.change(|data| data.targets[0].host = "127.0.0.2".into()));
    assert_eq!(moved.await, ["the target web-1 was changed while you connected; please try again"]);
}
