//! The API over a real Unix socket, with a real store, log and index.

mod certificates;
mod directory;
mod log;
mod monitoring;
mod own_cas;
mod refusals;
mod vault;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bartizan_access::Policies;
use bartizan_audit::{Log, LogOptions, Origin};
use bartizan_model::api::TargetTestStep;
use bartizan_model::event::{Body, Event};
use bartizan_model::metric::{Meter, Sample};
use bartizan_model::{Fingerprint, LoginName, NodeId, SessionId, SessionSummary, Target, Timestamp};
use bartizan_record::space::{Mark, Space, Watermarks};
use bartizan_record::{Options, Recordings};
use bartizan_sinks::IndexFollower;
use bartizan_store::{MasterKey, Store, Vault};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::{ApiState, KeyParser, OwnCas, ParsedKey, Parts, serve, serve_metrics};

/// Sessions that nobody carries.
#[derive(Clone, Default)]
struct Pretended(Arc<Mutex<Vec<SessionSummary>>>);

impl crate::LiveSessions for Pretended {
    fn find(&self, id: &SessionId) -> Option<SessionSummary> {
        self.all().into_iter().find(|session| session.id == *id)
    }

    fn all(&self) -> Vec<SessionSummary> {
        self.0.lock().unwrap().clone()
    }

    fn terminate(&self, id: &SessionId, _: &str) -> bool {
        let mut all = self.0.lock().unwrap();
        let before = all.len();
        all.retain(|session| session.id != *id);
        all.len() < before
    }
}

/// Nor targets tested: there is room for no test.
struct NothingTested;

impl crate::TargetTester for NothingTested {
    fn begin(&self, _: Target, _: Option<LoginName>, _: String, _: mpsc::Sender<TargetTestStep>) -> bool {
        false
    }
}

/// Nor counted.
struct NothingCounted;

impl Meter for NothingCounted {
    fn read(&self, _: &mut Vec<Sample>) {}
}

/// A mark that nothing reaches.
const NEVER: Mark = Mark { percent: 0, bytes: 0 };

/// A running API.
struct Api {
    socket: PathBuf,
    /// Where `/metrics` answers over TCP.
    open: SocketAddr,
    draining: watch::Sender<bool>,
    /// What sessions are judged by; unless a test says otherwise, everything that is stored.
    in_force: watch::Sender<u64>,
    /// For how long a certificate may be valid.
    longest: watch::Sender<std::time::Duration>,
    _stop_metrics: oneshot::Sender<()>,
    store: Store,
    log: Log,
    /// For what is tested below HTTP.
    spare: Arc<ApiState>,
    shutdown: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<std::io::Result<()>>>,
    /// The sessions that are live.
    live: Pretended,
    stop_index: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

/// Stands for the SSH room: `ssh-ed25519 WORD [comment]`, where the word is the key.
fn key_parser() -> KeyParser {
    Arc::new(|line| {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next().filter(|word| !word.is_empty())) {
            (Some("ssh-ed25519"), Some(key)) => Ok(ParsedKey {
                key: format!("ssh-ed25519 {key}"),
                fingerprint: fingerprint(key),
                comment: words.next().unwrap_or_default().to_owned(),
            }),
            _ => Err("is no public key".into()),
        }
    })
}

fn fingerprint(key: &str) -> Fingerprint {
    let mut digest = [0xff; 32];
    for (place, byte) in digest.iter_mut().zip(key.bytes()) {
        *place = byte;
    }
    Fingerprint::from_sha256(digest)
}

impl Api {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let origin: Origin = "test/api".parse().unwrap();
        Log::create(&folder.path().join("log"), &origin).unwrap();
        let log = Log::open(&folder.path().join("log"), LogOptions::default()).unwrap().log;
        let follower = IndexFollower::start(store.clone(), &log).await.unwrap();
        let stop_index = watch::Sender::new(false);
        let index = follower.progress();
        tokio::spawn(follower.run(stop_index.subscribe()));

        let ca = |name: &str| Arc::new(own_cas::InMemory::new(name));
        let (user_ca, host_ca, people_ca) = (ca("user"), ca("host"), ca("people"));
        let longest = watch::Sender::new(std::time::Duration::from_secs(24 * 3600));
        let master = MasterKey::generate().unwrap();
        let vault = Vault::open(store.clone(), &master).await.unwrap();
        let recordings = Recordings::open(folder.path().join("recordings"), Options::default()).unwrap();
        let (draining, live) = (watch::Sender::new(false), Pretended::default());
        let in_force = watch::Sender::new(u64::MAX);
        let parts = || Parts {
            store: store.clone(),
            vault: vault.clone(),
            master_key: Arc::new(vault::OnlyInMemory::default()),
            log: log.clone(),
            index: index.clone(),
            policies: watch::channel(Policies::default()).1,
            in_force: in_force.subscribe(),
            live: Arc::new(live.clone()),
            parse_key: key_parser(),
            parse_private_key: vault::private_key_parser(),
            own_cas: OwnCas { user: user_ca.clone(), host: host_ca.clone(), people: people_ca.clone() },
            issuer: Arc::new(certificates::Counting::default()),
            longest_certificate: longest.subscribe(),
            host_keys: vec!["ssh-ed25519 HHHH".into()],
            node: NodeId("node-1".into()),
            listen: vec!["127.0.0.1:2222".parse().unwrap()],
            public_address: watch::channel("bastion:2222".into()).1,
            tester: Arc::new(NothingTested),
            gateway: Arc::new(NothingCounted),
            recordings: recordings.gauge(),
            space: Space::watch(folder.path(), Watermarks { low: NEVER, full: NEVER }).unwrap(),
            orphans: 0,
            draining: draining.subscribe(),
        };
        let (state, spare) = (Arc::new(ApiState::new(parts())), ApiState::new(parts()));
        let (metrics, stop_metrics) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), oneshot::channel());
        let open = metrics.local_addr().unwrap();
        tokio::spawn(serve_metrics(vec![metrics], state.clone(), async move { drop(stop_metrics.1.await) }));
        let socket = folder.path().join("admin.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (shutdown, wanted) = oneshot::channel();
        let served = tokio::spawn(serve(listener, state, async move { drop(wanted.await) }));
        Self {
            socket,
            open,
            draining,
            in_force,
            longest,
            _stop_metrics: stop_metrics.0,
            store,
            log,
            shutdown: Some(shutdown),
            served: Some(served),
            spare: Arc::new(spare),
            live,
            stop_index,
            _folder: folder,
        }
    }

    async fn send(&self, method: &str, path: &str, body: String) -> Response<Incoming> {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "test")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        sender.send_request(request).await.unwrap()
    }

    /// Status and JSON of the answer.
    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call_raw(method, path, body).await
    }

    async fn call_raw(&self, method: &str, path: &str, body: String) -> (u16, Value) {
        let response = self.send(method, path, body).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
        (status, json)
    }

    /// The answer to a request that must succeed.
    async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        self.ok("GET", path, Value::Null).await
    }

    /// The status and the message of a request that must be refused.
    async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.call(method, path, body).await;
        assert!(status >= 400, "{method} {path}: {status} {answer}");
        let text = answer["error"].as_str().unwrap_or_else(|| panic!("no error: {answer}"));
        let whole =
            format!("{text}{}", answer["hint"].as_str().map(|hint| format!(" | {hint}")).unwrap_or_default());
        assert!(!whole.chars().any(char::is_control), "{whole:?}");
        (status, whole)
    }

    /// Every event in the log so far.
    fn events(&self) -> Vec<Event> {
        let (reader, mut events) = (self.log.reader(), Vec::new());
        loop {
            let entries = reader.read(events.len() as u64, 1000).unwrap();
            if entries.is_empty() {
                return events;
            }
            events.extend(entries.iter().map(|entry| entry.event().unwrap()));
        }
    }

    /// The changes in the log: `outcome action record name`.
    fn changes(&self) -> Vec<String> {
        let change = |event: &Event| match &event.body {
            Body::DirectoryChange { action, record, name, .. } => {
                Some(format!("{:?} {action} {record} {name}", event.outcome))
            }
            _ => None,
        };
        self.events().iter().filter_map(change).collect()
    }

    /// Ends the API and waits for it.
    async fn stop(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
        self.served.take().unwrap().await.unwrap().unwrap();
    }
}

/// An event of a session.
fn of_session(id: SessionId, body: Body) -> Event {
    let mut event = Event::new(&NodeId("node-1".into()), Timestamp::now(), body);
    event.session = Some(id);
    event.person = Some("alice".parse().unwrap());
    event.target = Some("web-1".parse().unwrap());
    event.login = Some("root".parse().unwrap());
    event.source = Some("10.0.0.9:50000".parse().unwrap());
    event
}
