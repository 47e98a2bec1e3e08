//! OpenSSH's server, one process for each connection, without privileges beyond those of the test.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use bartizan_ssh::auth::client::Credential;
use bartizan_ssh::key::{KeyKind, PrivateKey};

use crate::Server;
use crate::hop::Hop;

pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    key: Arc<PrivateKey>,
    login: String,
    running: Mutex<Vec<Child>>,
}

impl Sshd {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        let host_key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        fs::write(at("authorized_keys"), key.public_key().to_openssh("") + "\n").unwrap();
        fs::write(at("host"), host_key.to_openssh("").unwrap().as_bytes()).unwrap();
        private(&at("host"));
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n\
             AcceptEnv LC_*\nX11Forwarding no\nSubsystem sftp internal-sftp\nMaxSessions 100\n\
             SetEnv HOME={}\n",
            at("host"),
            at("authorized_keys"),
            // An empty home: what somebody's shell prints at its start is not what is compared.
            at("home")
        );
        fs::create_dir(at("home")).unwrap();
        fs::write(at("sshd_config"), config).unwrap();
        // sshd as root wants this folder; as anybody else it does not look.
        let _ = fs::create_dir_all("/run/sshd");
        let login = Command::new("id").arg("-un").output().unwrap().stdout;
        let login = String::from_utf8(login).unwrap().trim().to_owned();
        Self { folder, key: Arc::new(key), login, running: Mutex::default() }
    }
}

#[cfg(unix)]
fn private(path: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

impl Server for Sshd {
    fn name(&self) -> &'static str {
        "openssh"
    }

    fn connect(&self) -> Hop {
        // Seen once in thousands: an sshd that ends before there are keys. What is compared comes after the login.
        let hop = self.start().or_else(|| {
            eprintln!("sshd ended before there were keys:\n{}", self.said());
            self.start()
        });
        hop.expect("a key exchange")
    }
}

impl Sshd {
    /// One sshd, and the login to it.
    fn start(&self) -> Option<Hop> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let far = listener.accept().unwrap().0;
        let (stdin, stdout) = (OwnedFd::from(far.try_clone().unwrap()), OwnedFd::from(far));
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut sshd = Command::new("/usr/sbin/sshd");
        sshd.args(["-i", "-e", "-f"]).arg(self.folder.path().join("sshd_config"));
        let sshd = sshd.stdin(stdin).stdout(stdout).stderr(Stdio::from(log)).spawn();
        self.running.lock().unwrap().push(sshd.expect("package openssh-server"));
        Hop::login(near, &self.login, vec![Credential::key(self.key.clone())])
    }

    /// The last that its processes said.
    fn said(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let last: Vec<_> = log.lines().rev().take(20).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The folder is about to go.
            eprintln!("sshd:\n{}", self.said());
        }
        for sshd in self.running.get_mut().unwrap() {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
    }
}
