//! A gateway on a free port with one person, one target and one grant.

use std::path::Path;
use std::sync::Arc;

use bartizan_audit::{Log, LogOptions, Origin};
use bartizan_gateway::{CaKey, GatewayHandle, Keys, Parts, Settings, start};
use bartizan_model::event::{Body, Event};
use bartizan_model::{
    AuthorizedKey, Fingerprint, Grant, GrantId, Grantee, HostKeyTrust, LoginName, NodeId, Person, PersonName,
    PersonState, Recording, Target, TargetName, TargetSelector, Timestamp,
};
use bartizan_record::space::{Mark, Space, Watermarks};
use bartizan_record::{Options, Recordings};
use bartizan_ssh::key::{HostKey, KeyKind, PrivateKey, PublicKey};
use bartizan_store::{DirectoryStore as _, IndexFilling, MasterKey, Store, Vault};
use bartizan_testkit::{KeyPair, KeyType, OpenSshServer, SshClient};
use tempfile::TempDir;

pub(crate) struct Fixture {
    _folder: TempDir,
    pub(crate) server: OpenSshServer,
    pub(crate) client: SshClient,
    pub(crate) store: Store,
    pub(crate) log: Log,
    pub(crate) runtime: tokio::runtime::Runtime,
    gateway: Option<GatewayHandle>,
}

/// Everything the grant of the fixture allows.
const ALLOW: &str = "shell,exec,sftp:read,sftp:write,scp,agent";

impl Fixture {
    pub(crate) fn start() -> Self {
        Self::with(|root| Recordings::open(root, Options::default()).unwrap())
    }

    /// With recordings on a disk of the test's choice.
    pub(crate) fn with(recordings: impl FnOnce(&Path) -> Recordings) -> Self {
        Self::built(recordings, Settings::default())
    }

    /// With settings of the test's choice.
    pub(crate) fn set(settings: Settings) -> Self {
        Self::built(|root| Recordings::open(root, Options::default()).unwrap(), settings)
    }

    fn built(recordings: impl FnOnce(&Path) -> Recordings, settings: Settings) -> Self {
        let folder = TempDir::new().unwrap();
        let key = KeyPair::generate(folder.path(), "alice", KeyType::Ed25519);
        let server = OpenSshServer::start();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();

        let user_ca = CaKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap());
        let host_ca = CaKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap());
        let host_key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        server.trust_user_ca(user_ca.current().public_key().to_openssh("ca").trim());

        let log_folder = folder.path().join("log");
        Log::create(&log_folder, &"test.example/node".parse::<Origin>().unwrap()).unwrap();
        let log = Log::open(&log_folder, LogOptions::default()).unwrap().log;
        let store = runtime.block_on(Store::open(folder.path())).unwrap();
        runtime.block_on(fill(&store, &key, &server));

        let known = host_key.public_key().to_openssh("");
        let ca_line = host_ca.current().public_key().to_openssh("");
        let keys = Keys {
            host_keys: vec![HostKey::new(host_key)],
            host_ca,
            user_ca,
            target_seed: Arc::new(zeroize::Zeroizing::new([7; 32])),
        };
        let node = NodeId("node".into());
        let recordings = recordings(&folder.path().join("recordings"));
        let master = MasterKey::generate().unwrap();
        let vault = runtime.block_on(Vault::open(store.clone(), &master)).unwrap();
        let policies = tokio::sync::watch::channel(bartizan_access::Policies::default()).1;
        let people_ca = tokio::sync::watch::channel(Vec::new()).1;
        // However little the machine has: these tests are not about space.
        let never = Mark { percent: 0, bytes: 0 };
        let space = Space::watch(folder.path(), Watermarks { low: never, full: never }).unwrap();
        // Nobody indexes here, and nobody waits for it.
        let next = tokio::sync::watch::Sender::new(u64::MAX);
        let index = IndexFilling { next, ..IndexFilling::default() }.progress();
        let (log, store) = (log.clone(), store.clone());
        let parts = Parts {
            node,
            log: log.clone(),
            store: store.clone(),
            index,
            vault,
            recordings,
            space,
            keys,
            policies,
            people_ca,
        };
        let listen = ["127.0.0.1:0".parse().unwrap()];
        let gateway = runtime.block_on(start(&listen, settings, parts)).unwrap();

        let port = gateway.addresses()[0].port();
        let mut client = SshClient::new(folder.path(), &key);
        client.trust(&format!("[127.0.0.1]:{port} {}", known.trim()));
        client.trust(&format!("@cert-authority * {}", ca_line.trim()));
        let bastion = format!("127.0.0.1:{port}");
        client.host("bastion", &bastion, "alice", &[]);
        let login = server.login().to_owned();
        client.host("jump", "web-1:22", &login, &["ProxyJump bastion"]);
        client.host("name", &bastion, &format!("alice+{login}@web-1"), &[]);
        Self { _folder: folder, server, client, store, log, runtime, gateway: Some(gateway) }
    }

    /// Where the gateway listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.gateway.as_ref().unwrap().addresses()[0]
    }

    /// Stops the gateway and gives every event that was logged.
    pub(crate) fn stop(mut self) -> Vec<Event> {
        self.gateway.take().unwrap().stop();
        // As the server does: what was submitted last is there then.
        self.log.clone().close().unwrap();
        let entries = self.log.reader().read(0, 10_000).unwrap();
        entries.iter().map(|entry| serde_json::from_slice(&entry.bytes).unwrap()).collect()
    }
}

async fn fill(store: &Store, key: &KeyPair, server: &OpenSshServer) {
    let created = Timestamp::now();
    let alice = PersonName::new("alice").unwrap();
    let (public, comment) = PublicKey::from_openssh(&key.line()).unwrap();
    let authorized = AuthorizedKey {
        person: alice.clone(),
        key: public.to_openssh("").trim().to_owned(),
        fingerprint: Fingerprint::from_sha256(*public.fingerprint().as_bytes()),
        comment,
        added: created,
    };
    let person =
        Person { name: alice.clone(), state: PersonState::Active, roles: Default::default(), created };
    store.add_person(&person, &[authorized]).await.unwrap();
    let name = TargetName::new("web-1").unwrap();
    let target = Target {
        name,
        host: "127.0.0.1".into(),
        port: server.port(),
        host_key: HostKeyTrust::FirstUse,
        labels: Default::default(),
        created,
    };
    store.add_target(&target).await.unwrap();
    let grant = Grant {
        id: GrantId("g1".into()),
        who: Grantee::Person(alice),
        target: TargetSelector::new("web-*").unwrap(),
        logins: Some(vec![LoginName::new(server.login()).unwrap()]),
        allow: ALLOW.parse().unwrap(),
        sources: Vec::new(),
        expires: None,
        record: Recording::default(),
        break_glass: false,
        files: bartizan_model::FileRules::default(),
        forwards: bartizan_model::ForwardRules::default(),
        created,
    };
    store.add_grant(&grant).await.unwrap();
}

/// The events of one type.
pub(crate) fn of_kind<'a>(events: &'a [Event], kind: &str) -> Vec<&'a Body> {
    events.iter().map(|event| &event.body).filter(|body| body.kind() == kind).collect()
}
