//! The matrix of clients: what each of them does through Bartizan, by both ways in.
//!
//! One test a cell. A cell says `yes`, or why not; a cell without either, and a `yes` without its function,
//! do not compile. `docs/clients.md` is written from this list.

mod ansible;
mod asyncssh;
mod dropbear;
mod git;
mod go;
mod openssh;
mod openssh_newer;
mod page;
mod paramiko;
pub(crate) mod putty;
mod rclone;
mod rsync;
mod ssh2;
mod sshfs;
mod tools;
mod vscode;

use crate::scene::{Options, Scene, Way};

pub(crate) use go::program as go_program;
pub(crate) use sshfs::{Mount, can_mount};
pub(crate) use tools::{Tunnel, python, source, with_scene};

/// What a client is asked to do; the columns of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Shell,
    Exec,
    Upload,
    Download,
    Forward,
}

/// A client, how it takes both ways, and its cells in the order of [`Action`], by ProxyJump and by user name.
struct Row {
    client: &'static str,
    ways: [&'static str; 2],
    cells: [[Cell; 2]; 5],
}

/// A cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// There is a test.
    Tested,
    /// The client cannot do this, and why.
    Cannot(&'static str),
}

macro_rules! matrix {
    ($($client:ident: $title:literal by $jump:literal, $name:literal {
        shell: $shell:tt, exec: $exec:tt, upload: $upload:tt, download: $download:tt, forward: $forward:tt $(,)?
    })*) => {
        /// Tests by the name of client, action and way.
        mod cell {$(
            mod $client {
                const CLIENT: &str = stringify!($client);
                use crate::clients::{$client as client, Action, run_cell};
                matrix!(@test shell Shell $shell);
                matrix!(@test exec Exec $exec);
                matrix!(@test upload Upload $upload);
                matrix!(@test download Download $download);
                matrix!(@test forward Forward $forward);
            }
        )*}

        const MATRIX: &[Row] = &[$(Row {
            client: $title,
            ways: [$jump, $name],
            cells: [
                matrix!(@cell $shell),
                matrix!(@cell $exec),
                matrix!(@cell $upload),
                matrix!(@cell $download),
                matrix!(@cell $forward),
            ],
        }),*];
    };
    (@test $action:ident $variant:ident yes) => {
        mod $action {
            #[test]
            fn proxy_jump() {
                super::run_cell(crate::scene::Way::ProxyJump, super::Action::$variant, super::CLIENT, super::client::$action);
            }
            #[test]
            fn user_name() {
                super::run_cell(crate::scene::Way::UserName, super::Action::$variant, super::CLIENT, super::client::$action);
            }
        }
    };
    (@test $action:ident $variant:ident $reason:literal) => {};
    (@cell yes) => { [Cell::Tested, Cell::Tested] };
    (@cell $reason:literal) => { [Cell::Cannot($reason), Cell::Cannot($reason)] };
}

matrix! {
    openssh: "OpenSSH of Debian 12 (9.2): `ssh`, `scp` in both protocols, `sftp`"
        by "`ssh -J`, `ProxyJump`", "`ssh root@web-1@bastion`" {
        shell: yes, exec: yes, upload: yes, download: yes, forward: yes,
    }
    openssh_newer: "OpenSSH of Debian's backports (10.0): the same"
        by "`ssh -J`, `ProxyJump`", "`ssh root@web-1@bastion`" {
        shell: yes, exec: yes, upload: yes, download: yes, forward: yes,
    }
    putty: "PuTTY 0.78: `plink`, `pscp`, `psftp`"
        by "`-proxycmd \"plink -nc web-1:22 alice@bastion\"`", "`-l root@web-1 bastion`" {
        shell: yes, exec: yes, upload: yes, download: yes, forward: yes,
    }
    dropbear: "dropbear 2022.83: `dbclient`; files by `rsync -e dbclient`"
        by "`-J \"dbclient -B web-1:22 alice@bastion\"`", "`-l root@web-1 bastion`" {
        shell: yes, exec: yes, upload: yes, download: yes, forward: yes,
    }
    paramiko: "Paramiko 5.1"
        by "a `direct-tcpip` channel as `sock`", "`username=\"root@web-1\"`" {
        shell: yes, exec: yes, upload: yes, download: yes, forward: yes,
    }
    asyncssh: "asyncssh 2.24"
        by "`tunnel=`", "`username=\"root@web-1\"`" {
        shell: yes, exec: yes, upload: yes, download: yes, forward: yes,
    }
    ssh2: "npm `ssh2` 1.17"
        by "`forwardOut` as `sock`", "`username: \"root@web-1\"`" {
        shell: yes, exec: yes, upload: yes, download: yes, forward: yes,
    }
    go: "Go `x/crypto/ssh`; files by `pkg/sftp`"
        by "`client.Dial(\"tcp\", \"web-1:22\")`", "`User: \"root@web-1\"`" {
        shell: yes, exec: yes, upload: yes, download: yes, forward: yes,
    }
    rsync: "rsync 3.2 over `ssh`"
        by "`-e 'ssh -J alice@bastion'`", "`root@web-1@bastion:/path`" {
        shell: "it copies files, nothing else",
        exec: "it copies files, nothing else",
        upload: yes,
        download: yes,
        forward: "it copies files, nothing else",
    }
    rclone: "rclone 1.60, its own SSH"
        by "it knows no jump hosts: `ssh -N -L 2200:web-1:22 alice@bastion`, then port 2200", "`user=root@web-1`" {
        shell: "it copies files, nothing else",
        exec: "it copies files, nothing else",
        upload: yes,
        download: yes,
        forward: "it copies files, nothing else",
    }
    sshfs: "sshfs 3.7 over `ssh`, where the system lets people mount"
        by "`-o ssh_command='ssh -J alice@bastion'`", "`root@web-1@bastion:/path`" {
        shell: "it mounts folders, nothing else",
        exec: "it mounts folders, nothing else",
        upload: yes,
        download: yes,
        forward: "it mounts folders, nothing else",
    }
    ansible: "Ansible (core 2.14) over `ssh`, with pipelining and kept connections; 20 hosts by ProxyJump"
        by "`ProxyJump` for the hosts", "`ansible_user=root@web-1`" {
        shell: "it opens no terminals",
        exec: yes,
        upload: yes,
        download: yes,
        forward: "it forwards nothing",
    }
    git: "git over `ssh`"
        by "`core.sshCommand`, `ProxyJump`", "`root@web-1@bastion:repo.git`" {
        shell: "it speaks to its other half, nothing else",
        exec: "it speaks to its other half, nothing else",
        upload: yes,
        download: yes,
        forward: "it forwards nothing",
    }
    vscode: "VS Code Remote's pattern: a script to `bash` that starts a server, and `ssh -D` to reach it"
        by "`ProxyJump`", "`HostName bastion`, `User root@web-1`" {
        shell: "terminals are the server's, behind the forwarded port",
        exec: yes,
        upload: "files go to the server, behind the forwarded port",
        download: "files come from the server, behind the forwarded port",
        forward: yes,
    }
}

/// What the grant of the matrix allows.
const ALLOW: &str = "shell,exec,sftp:read,sftp:write,scp,rsync,git:read,git:write,subsystem,forward:local";

/// One cell: the client does it, and Bartizan saw it.
fn run_cell(way: Way, action: Action, client: &str, act: fn(&Scene)) {
    let scene = Scene::with(way, &Options { allow: Some(ALLOW), ..Options::default() });
    act(&scene);
    tools::was_seen(&scene, action, client);
}
