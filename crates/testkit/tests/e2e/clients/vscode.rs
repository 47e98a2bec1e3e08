//! What VS Code Remote and editors like it do with `ssh`: a script goes to `bash` on standard input and starts
//! a server there; the client reaches it by a dynamic forward of the same connection, over many channels.

use std::process::Command;
use std::thread;

use bartizan_testkit::run;

use crate::forwards::free_port;
use crate::scene::{Client, Scene};

/// Serves the home folder over HTTP on a port of its own choice, until its input ends.
const SERVER: &str = "cd; printf hello >greeting\n\
    python3 -u -m http.server --bind 127.0.0.1 0 2>/dev/null &\n\
    read -r; kill $!; wait\n";

/// The connection with its server, and the server's port.
fn start(scene: &Scene, options: &[&str]) -> (Client, u16) {
    let mut ssh = scene.client.ssh();
    ssh.args(["-T", "-o", "ExitOnForwardFailure=yes"]).args(options).args([scene.host(), "bash -s"]);
    let mut client = Client::start(&mut ssh);
    client.type_in(SERVER);
    client.read_to("port ");
    let port = client.read_to(" ").trim().parse().unwrap();
    (client, port)
}

pub(super) fn exec(scene: &Scene) {
    let (mut client, _) = start(scene, &[]);
    client.type_in("end\n");
    client.finish();
}

pub(super) fn forward(scene: &Scene) {
    let socks = format!("127.0.0.1:{}", free_port());
    let (mut client, port) = start(scene, &["-D", &socks]);
    let get = || {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--noproxy", "", "--socks5-hostname", &socks]);
        run(curl.arg(format!("http://localhost:{port}/greeting"))).ok().text()
    };
    thread::scope(|scope| {
        let channels: Vec<_> = (0..5).map(|_| scope.spawn(get)).collect();
        for channel in channels {
            assert_eq!(channel.join().unwrap(), "hello");
        }
    });
    client.type_in("end\n");
    client.finish();
}
