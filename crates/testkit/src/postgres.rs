//! A real PostgreSQL server in a temporary folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, whoami};
use crate::run;
use crate::sshd::free_port;

/// The account that the server runs as where root runs the tests: PostgreSQL refuses root. `nobody` on Debian.
const NOBODY: u32 = 65_534;

/// A running PostgreSQL on a free loopback port, with one account that has a password. Dropping it ends it.
///
/// It syncs nothing to the disk, so it is fast, and no place for tests of power failures.
#[derive(Debug)]
pub struct PostgresServer {
    // Declared before the folder: ended before its files go.
    server: Server,
    port: u16,
    folder: TempDir,
}

impl PostgresServer {
    /// The account of the tests, which may do everything.
    pub const USER: &'static str = "bartizan";
    /// Its password.
    pub const PASSWORD: &'static str = "correct horse";

    /// Makes a cluster, starts the server and waits until it takes connections.
    ///
    /// The cluster sorts text as English does and not byte by byte, as many in the world do.
    ///
    /// # Panics
    /// When PostgreSQL is not installed (`scripts/setup-test.sh test` does that), or does not come up.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("testkit-pg-").tempdir().unwrap();
        let (dir, programs) = (folder.path(), programs());
        fs::write(dir.join("password"), Self::PASSWORD).unwrap();
        own(dir);
        own(&dir.join("password"));
        let data = dir.join("data");
        let mut initdb = unprivileged(programs.join("initdb"), dir);
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256"]);
        initdb.args(["--locale-provider=icu", "--icu-locale=en-US", "--username", Self::USER]);
        run(initdb.arg("--pwfile").arg(dir.join("password")).arg("--pgdata").arg(&data)).ok();
        // The port is free when it is chosen; when somebody else takes it first, choose again.
        for _ in 0..20 {
            let port = free_port("127.0.0.1");
            let server = serve(dir, port);
            if server.wait_for("ready to accept connections") {
                return Self { server, port, folder };
            }
            let log = server.log();
            assert!(log.contains("Address already in use"), "PostgreSQL does not start:\n{log}");
        }
        panic!("no free port in twenty tries");
    }

    /// Ends the server at once, as a crash does: connections break off, and what was not committed is gone.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&mut self) {
        let mut stop = unprivileged(programs().join("pg_ctl"), self.folder.path());
        stop.args(["-s", "-w", "-m", "immediate", "-D"]).arg(self.folder.path().join("data")).arg("stop");
        run(&mut stop).ok();
        self.server.kill();
    }

    /// Starts the server again, on the same port and data.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_again(&mut self) {
        self.server = serve(self.folder.path(), self.port);
        let up = self.server.wait_for("ready to accept connections");
        assert!(up, "PostgreSQL does not start again:\n{}", self.server.log());
    }

    /// Makes an empty database and gives its address, without the password.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        format!("postgres://{}@127.0.0.1:{}/{name}", Self::USER, self.port)
    }

    /// Runs statements in a database and gives what they print, unaligned and without headers.
    ///
    /// # Panics
    /// When one fails.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = Command::new("psql");
        psql.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        psql.env("PGPASSWORD", Self::PASSWORD).args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", Self::USER, "-d", database]);
        run(psql.args(["-c", statements])).ok().text()
    }

    /// A file that holds the password.
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // In order, so that it leaves no shared memory behind.
        let mut stop = unprivileged(programs().join("pg_ctl"), self.folder.path());
        stop.args(["-s", "-w", "-m", "immediate", "-D"]).arg(self.folder.path().join("data")).arg("stop");
        let _ = stop.output();
        self.server.kill();
    }
}

/// Runs `postgres` on the cluster in a folder.
fn serve(dir: &Path, port: u16) -> Server {
    let mut postgres = unprivileged(programs().join("postgres"), dir);
    postgres.arg("-D").arg(dir.join("data")).arg("-k").arg(dir).args(["-p", &port.to_string()]);
    for setting in ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=32MB", "max_connections=50"] {
        postgres.args(["-c", setting]);
    }
    Server::spawn(&mut postgres)
}

/// The newest PostgreSQL where Debian keeps them, else the one in the path.
fn programs() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, programs)| programs.join("initdb").exists())
        .collect();
    versions.sort();
    if let Some((_, programs)) = versions.pop() {
        return programs;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").exists())
        .expect("PostgreSQL is not installed: scripts/setup-test.sh test")
}

/// A program that runs as an account PostgreSQL accepts, in an environment of its own.
fn unprivileged(program: PathBuf, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin").current_dir(folder);
    if whoami() == "root" {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Gives a file to the account that the server runs as, and to nobody else.
fn own(path: &Path) {
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if whoami() == "root" {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_empty_databases_and_ends_with_its_fixture() {
        let server = PostgresServer::start();
        let url = server.database("one");
        assert!(url.ends_with("/one") && !url.contains(PostgresServer::PASSWORD));
        assert_eq!(server.sql("one", "SELECT 1 + 1").trim(), "2");
        assert_eq!(server.sql("one", "SELECT 'a-b' < 'ab' COLLATE \"C\", 'B' < 'a'").trim(), "t|f");
        let pid = server.server.pid();
        drop(server);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
