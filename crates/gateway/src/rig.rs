//! What tests of this room stand on: everything that connections share, over a folder that goes with it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bartizan_access::{Attempt, Authenticated, Decision, Directory, Evidence, Policies};
use bartizan_audit::{Log, LogOptions, Origin};
use bartizan_model::event::{Body, Event};
use bartizan_model::{
    AuthorizedKey, DirectoryData, Fingerprint, Grant as Rule, GrantId, Grantee, HostKeyTrust, LoginName,
    NodeId, Person, PersonName, PersonState, Recording, SessionId, Target, TargetName, Timestamp, Way,
};
use bartizan_record::space::{Mark, Space, Watermarks};
use bartizan_record::{Options, Recordings, SessionMeta, SessionRecorder};
use bartizan_ssh::key::{HostKey, KeyKind, PrivateKey};
use bartizan_store::{IndexFilling, MasterKey, Store, Vault};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::grant::Grant;
use crate::keys::{CaKey, Keys};
use crate::parts::{Current, Parts, Settings, Shared, Signals};
use crate::trail::Trail;

/// alice may reach `root@web-1` by the grants of a test.
pub(crate) struct Rig {
    pub(crate) shared: Arc<Shared>,
    pub(crate) data: DirectoryData,
    pub(crate) policies: Policies,
    publish: watch::Sender<Arc<Directory>>,
    pub(crate) stop: watch::Sender<bool>,
    _drain: watch::Sender<Option<Duration>>,
    current: watch::Sender<Current>,
    _folder: TempDir,
}

/// A grant for alice on web-1, as root.
pub(crate) fn rule(id: &str, allow: &str) -> Rule {
    Rule {
        id: GrantId(id.into()),
        who: Grantee::Person(alice()),
        target: "web-1".parse().unwrap(),
        logins: Some(vec![login()]),
        allow: allow.parse().unwrap(),
        sources: Vec::new(),
        expires: None,
        record: Recording::default(),
        break_glass: false,
        files: Default::default(),
        forwards: Default::default(),
        created: Timestamp::now(),
    }
}

/// As [`rule`], for files below `/srv` alone.
pub(crate) fn ruled(id: &str, allow: &str) -> Rule {
    let files = bartizan_model::FileRules {
        paths: vec![bartizan_model::PathGlob::new("/srv/**").unwrap()],
        ..Default::default()
    };
    Rule { files, ..rule(id, allow) }
}

fn alice() -> PersonName {
    PersonName::new("alice").unwrap()
}

pub(crate) fn login() -> LoginName {
    LoginName::new("root").unwrap()
}

pub(crate) fn web_1() -> TargetName {
    TargetName::new("web-1").unwrap()
}

pub(crate) fn source() -> SocketAddr {
    ([127, 0, 0, 1], 5000).into()
}

fn key() -> Fingerprint {
    Fingerprint::from_sha256([1; 32])
}

fn data(grants: Vec<Rule>) -> DirectoryData {
    let created = Timestamp::now();
    let person = Person { name: alice(), state: PersonState::Active, roles: Default::default(), created };
    let key = AuthorizedKey {
        person: alice(),
        key: "ssh-ed25519 alice".into(),
        fingerprint: key(),
        comment: String::new(),
        added: created,
    };
    let target = Target {
        name: web_1(),
        host: "127.0.0.1".into(),
        port: 22,
        host_key: HostKeyTrust::FirstUse,
        labels: Default::default(),
        created,
    };
    DirectoryData {
        generation: 1,
        roles: Vec::new(),
        people: vec![person],
        keys: vec![key],
        cas: Vec::new(),
        revocations: Vec::new(),
        targets: vec![target],
        grants,
        credentials: Vec::new(),
    }
}

fn keys() -> Keys {
    let ca = || CaKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap());
    let target_seed = Arc::new(zeroize::Zeroizing::new([7; 32]));
    let host_key = HostKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap());
    Keys { host_keys: vec![host_key], host_ca: ca(), user_ca: ca(), target_seed }
}

async fn parts(folder: &TempDir, options: LogOptions) -> Parts {
    let log_folder = folder.path().join("log");
    Log::create(&log_folder, &"test.example/node".parse::<Origin>().unwrap()).unwrap();
    let log = Log::open(&log_folder, options).unwrap().log;
    let store = Store::open(folder.path()).await.unwrap();
    let vault = Vault::open(store.clone(), &MasterKey::generate().unwrap()).await.unwrap();
    let recordings = Recordings::open(folder.path().join("recordings"), Options::default()).unwrap();
    let never = Mark { percent: 0, bytes: 0 };
    let space = Space::watch(folder.path(), Watermarks { low: never, full: never }).unwrap();
    let index = IndexFilling { next: watch::Sender::new(u64::MAX), ..IndexFilling::default() }.progress();
    let policies = watch::channel(Policies::default()).1;
    let people_ca = watch::channel(Vec::new()).1;
    let node = NodeId("node".into());
    Parts { node, log, store, index, vault, recordings, space, keys: keys(), policies, people_ca }
}

impl Rig {
    pub(crate) async fn new(grants: Vec<Rule>) -> Self {
        Self::logging(grants, LogOptions::default()).await
    }

    /// With a log of the test's choice.
    pub(crate) async fn logging(grants: Vec<Rule>, options: LogOptions) -> Self {
        let (folder, data) = (TempDir::new().unwrap(), data(grants));
        let parts = parts(&folder, options).await;
        let (current, follow) = watch::channel(Current::new(Settings::default(), &parts.keys));
        let built = Directory::build(&data, Policies::default()).unwrap();
        let (publish, directory) = watch::channel(Arc::new(built));
        let ((drain, draining), (stop, stopping)) = (watch::channel(None), watch::channel(false));
        let signals = Signals { current: follow, directory, draining, stopping };
        let shared = Arc::new(Shared::new(parts, signals));
        let policies = Policies::default();
        Self { shared, data, policies, publish, stop, _drain: drain, current, _folder: folder }
    }

    /// Changes the directory.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut DirectoryData)) {
        change(&mut self.data);
        self.data.generation += 1;
        self.publish.send_replace(Arc::new(Directory::build(&self.data, self.policies.clone()).unwrap()));
    }

    /// Sets what an operator can.
    pub(crate) fn set(&self, settings: Settings) {
        self.current.send_replace(Current::new(settings, &self.shared.keys));
    }

    pub(crate) fn who(&self) -> Authenticated {
        let attempt = Attempt { named: None, source: source().ip() };
        let evidence = Evidence::PublicKey { key: key() };
        self.shared.directory().authenticate(evidence, &attempt, Timestamp::now()).unwrap()
    }

    pub(crate) fn trail(&self) -> Trail {
        Trail::new(&self.shared, Some(source()))
    }

    /// A permitted session.
    pub(crate) fn grant(&self) -> Grant {
        let (directory, who, session) = (self.shared.directory(), self.who(), SessionId::new());
        let target = directory.target(&web_1()).unwrap().clone();
        let (login, way, source) = (login(), Way::UserName, source());
        let request = bartizan_access::Request {
            target: &target.name,
            login: &login,
            action: bartizan_access::Action::Connect,
            source: source.ip(),
            forward: None,
        };
        let Decision::Permit(permit) = directory.judge(&who, &request, Timestamp::now()) else {
            panic!("the test's grants permit no session")
        };
        Grant { session, who, login, target, permit, way, source }
    }

    pub(crate) async fn recorder(&self, grant: &Grant) -> Rc<SessionRecorder> {
        let meta = SessionMeta {
            session: grant.session,
            started: Timestamp::now(),
            person: grant.who.person().clone(),
            login: grant.login.clone(),
            target: grant.target.name.clone(),
            way: grant.way,
            source: grant.source,
            node: self.shared.node.clone(),
            client: "test".into(),
        };
        Rc::new(self.shared.recordings.begin(meta, Recording::default()).await.unwrap())
    }

    /// The events so far.
    pub(crate) async fn events(&self) -> Vec<Event> {
        // What was queued before is durable when this is.
        let look = Body::ConnectionRefuse { reason: "the test looks".into(), count: None };
        self.trail().note(look).unwrap().await.unwrap();
        let (reader, mut events) = (self.shared.log.reader(), Vec::new());
        loop {
            // A bundle at most at a time.
            let entries = reader.read(events.len() as u64, 10_000).unwrap();
            if entries.is_empty() {
                return events;
            }
            events.extend(entries.iter().map(|entry| serde_json::from_slice(&entry.bytes).unwrap()));
        }
    }
}
