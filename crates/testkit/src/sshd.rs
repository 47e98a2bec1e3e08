//! A real OpenSSH server in a temporary folder.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, children, kill_tree, whoami};
use crate::{Certify, KeyPair, KeyType};

/// Where Debian and most others keep the server.
const SSHD: &str = "/usr/sbin/sshd";

/// What a test wants of its server; the default suits most.
#[derive(Clone, Debug)]
pub struct SshdOptions {
    /// The host keys.
    pub host_keys: Vec<KeyType>,
    /// Where it listens.
    pub address: &'static str,
    /// Further lines of `sshd_config`; they come first, so they win.
    pub config: Vec<String>,
}

impl Default for SshdOptions {
    fn default() -> Self {
        Self { host_keys: vec![KeyType::Ed25519], address: "127.0.0.1", config: Vec::new() }
    }
}

/// A running `sshd -D -e` on a free loopback port, as the user who runs the tests.
///
/// It accepts the login [`OpenSshServer::login`], by keys given to [`OpenSshServer::authorize`] and by
/// certificates of CAs given to [`OpenSshServer::trust_user_ca`]. `HOME` of its sessions is an empty folder
/// of its own, so that nobody's shell start-up files take part. Dropping it ends it and its sessions.
#[derive(Debug)]
pub struct OpenSshServer {
    // Declared before the folder: ended before its files go.
    server: Server,
    port: u16,
    address: &'static str,
    login: String,
    host_keys: Vec<KeyPair>,
    folder: TempDir,
}

impl OpenSshServer {
    /// Starts a server with the default options.
    ///
    /// # Panics
    /// With the server's log, when it does not come up.
    pub fn start() -> Self {
        Self::with(&SshdOptions::default())
    }

    /// Starts a server and waits until it listens.
    ///
    /// # Panics
    /// With the server's log, when it does not come up.
    pub fn with(options: &SshdOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("testkit-sshd-").tempdir().unwrap();
        let dir = folder.path();
        let login = whoami();
        if login == "root" {
            // The server's privilege separation folder; packages make it when the service starts.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        for file in ["authorized_keys", "user_ca.pub"] {
            fs::write(dir.join(file), "").unwrap();
        }
        fs::create_dir(dir.join("home")).unwrap();
        let host_keys: Vec<_> = options
            .host_keys
            .iter()
            .map(|&kind| KeyPair::generate(dir, &format!("host_{kind:?}").to_lowercase(), kind))
            .collect();
        // The port is free when it is chosen; when somebody else takes it first, choose again.
        for _ in 0..20 {
            let port = free_port(options.address);
            fs::write(dir.join("sshd_config"), config(dir, options, &host_keys, port)).unwrap();
            let server =
                Server::spawn(Command::new(SSHD).args(["-D", "-e", "-f"]).arg(dir.join("sshd_config")));
            if server.wait_for("Server listening on") {
                return Self { server, port, address: options.address, login, host_keys, folder };
            }
            let log = server.log();
            assert!(log.contains("Address already in use"), "sshd does not start:\n{log}");
        }
        panic!("no free port in twenty tries");
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, as `target add` takes it: `127.0.0.1:PORT`, `[::1]:PORT`.
    pub fn endpoint(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }

    /// The account it accepts: the user who runs the tests.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The first host key.
    pub fn host_key(&self) -> &KeyPair {
        &self.host_keys[0]
    }

    /// Its line for `known_hosts`.
    pub fn known_hosts_line(&self) -> String {
        format!("[{}]:{} {}", self.address, self.port, self.host_key().line())
    }

    /// Lets a public key log in.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn authorize(&self, public_key: &str) {
        append(&self.folder.path().join("authorized_keys"), public_key);
    }

    /// Trusts a CA for user certificates (`TrustedUserCAKeys`).
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn trust_user_ca(&self, public_key: &str) {
        append(&self.folder.path().join("user_ca.pub"), public_key);
    }

    /// The home folder of its sessions.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The server's log so far (`LogLevel VERBOSE`).
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Waits until the log holds `text`.
    ///
    /// # Panics
    /// When it does not within a minute, or the server ends.
    pub fn wait_for_log(&self, text: &str) {
        assert!(self.server.wait_for(text), "the server ended:\n{}", self.log());
    }

    /// Kills every session at once, as when the machine dies, but goes on listening.
    pub fn kill_sessions(&self) {
        children(self.server.pid()).into_iter().for_each(kill_tree);
    }

    /// Kills the server and its sessions.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts again on the same port with a new host key of the same type.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart_with_new_host_key(&mut self) {
        self.server.kill();
        let path = self.host_key().private().to_owned();
        fs::remove_file(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        self.host_keys[0] = KeyPair::generate(self.folder.path(), name, KeyType::Ed25519);
        self.restart();
    }

    /// Gives the first host key a certificate of `ca` for `principals` and starts again.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart_with_host_certificate(&mut self, ca: &KeyPair, principals: &str) {
        let how = Certify { host: true, principals, ..Certify::default() };
        let certificate = ca.certify(self.host_key(), &how);
        self.server.kill();
        append(
            &self.folder.path().join("sshd_config"),
            &format!("HostCertificate {}", certificate.display()),
        );
        self.restart();
    }

    fn restart(&mut self) {
        let config = self.folder.path().join("sshd_config");
        self.server = Server::spawn(Command::new(SSHD).args(["-D", "-e", "-f"]).arg(config));
        self.wait_for_log("Server listening on");
    }
}

fn append(path: &Path, line: &str) {
    let mut text = fs::read_to_string(path).unwrap();
    writeln!(text, "{}", line.trim()).unwrap();
    fs::write(path, text).unwrap();
}

/// A port that nobody listens on at the moment.
pub(crate) fn free_port(address: &str) -> u16 {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port()
}

fn config(dir: &Path, options: &SshdOptions, host_keys: &[KeyPair], port: u16) -> String {
    let mut text = options.config.iter().fold(String::new(), |text, line| text + line + "\n");
    for key in host_keys {
        writeln!(text, "HostKey {}", key.private().display()).unwrap();
    }
    let dir = dir.display();
    write!(
        text,
        "ListenAddress {}\n\
         Port {port}\n\
         PidFile none\n\
         AuthorizedKeysFile {dir}/authorized_keys\n\
         TrustedUserCAKeys {dir}/user_ca.pub\n\
         SetEnv HOME={dir}/home\n\
         StrictModes no\n\
         UsePAM no\n\
         PermitRootLogin prohibit-password\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         PrintMotd no\n\
         PrintLastLog no\n\
         UseDNS no\n\
         MaxStartups 1000\n\
         MaxSessions 1000\n\
         AcceptEnv LANG LC_*\n\
         LogLevel VERBOSE\n\
         Subsystem sftp internal-sftp\n",
        options.address
    )
    .unwrap();
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SshClient, run};

    #[test]
    fn a_stock_client_logs_in_by_key_and_by_certificate() {
        let server = OpenSshServer::start();
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate(folder.path(), "key", KeyType::Ed25519);
        let mut client = SshClient::new(folder.path(), &key);
        client.host("server", &server.endpoint(), server.login(), &[]);
        client.trust(&server.known_hosts_line());

        run(client.ssh().args(["server", "true"])).fails().says(&["permission denied"]);
        server.authorize(&key.line());
        let done = run(client.ssh().args(["server", "echo $HOME; exit 7"])).exits(7);
        assert_eq!(done.text().trim(), server.home().to_str().unwrap());

        let other = KeyPair::generate(folder.path(), "other", KeyType::EcdsaP384);
        let ca = KeyPair::generate(folder.path(), "ca", KeyType::Ed25519);
        ca.certify(&other, &Certify { principals: server.login(), ..Certify::default() });
        server.trust_user_ca(&ca.line());
        let mut client = client.with_key(&other);
        client.host("server", &server.endpoint(), server.login(), &[]);
        run(client.ssh().args(["server", "true"])).ok();
        server.wait_for_log("Accepted publickey");
    }

    #[test]
    fn a_new_host_key_is_noticed_by_the_client() {
        let mut server = OpenSshServer::start();
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate(folder.path(), "key", KeyType::Ed25519);
        server.authorize(&key.line());
        let mut client = SshClient::new(folder.path(), &key);
        client.host("server", &server.endpoint(), server.login(), &[]);
        client.trust(&server.known_hosts_line());
        run(client.ssh().args(["server", "true"])).ok();
        server.restart_with_new_host_key();
        run(client.ssh().args(["server", "true"])).exits(255).says(&["host key verification failed"]);
    }
}
