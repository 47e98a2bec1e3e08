//! What the target opens to the client: a port that it listens on for it, and its agent.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::checks::{Bytes, Missed, Passed, mark, random};
use super::stock::{PATIENCE, Stock, Way};

/// Bytes that the client's end answers with.
const ANSWER: usize = 100_000;
/// How often it looks whether somebody has come.
const LOOK: Duration = Duration::from_millis(20);
/// The agent protocol's `SSH_AGENTC_REQUEST_IDENTITIES`, `SSH_AGENT_IDENTITIES_ANSWER` with no key, and `SSH_AGENT_FAILURE`,
/// framed.
const ASKED: &[u8] = &[0, 0, 0, 1, 11];
const NO_KEYS: &[u8] = &[0, 0, 0, 5, 12, 0, 0, 0, 0];
const FAILURE: &[u8] = &[0, 0, 0, 1, 5];
/// Longest message to the agent that is read.
const MESSAGE: usize = 256 * 1024;

/// What the client's end gives whoever comes to it: it reads `question`, answers, and closes.
fn serve(mut stream: impl Read + Write, question: &[u8], answer: &[u8]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("the forwarded connection broke: {error}");
    let mut asked = vec![0; question.len()];
    stream.read_exact(&mut asked).map_err(failed)?;
    if asked != question {
        return Err("what came to the client is not what was sent on the target".to_owned());
    }
    stream.write_all(answer).map_err(failed)
}

/// Serves the first who comes, in a thread; the receiver hears how it went.
fn serve_one(
    listener: TcpListener,
    question: Vec<u8>,
    answer: Vec<u8>,
) -> mpsc::Receiver<Result<(), String>> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let since = Instant::now();
        // The listener does not block, so that a visit that never comes keeps no thread.
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error)
                    if error.kind() == std::io::ErrorKind::WouldBlock && since.elapsed() < PATIENCE =>
                {
                    thread::sleep(LOOK);
                }
                Err(_) => return,
            }
        };
        let ready = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        let served =
            ready.map_err(|error| error.to_string()).and_then(|()| serve(stream, &question, &answer));
        // Nobody listens where the check is over.
        let _ = tell.send(served);
    });
    told
}

/// `-R`: the target listens, somebody on the target comes, and the client answers.
pub(super) fn remote_forward(stock: &Stock, way: Way) -> Result<Passed, Missed> {
    let local = |error: std::io::Error| format!("cannot listen on the loopback address here: {error}");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(local)?;
    listener.set_nonblocking(true).map_err(local)?;
    let here = listener.local_addr().map_err(local)?.port();
    let (question, answer) = (mark()?.into_bytes(), random(ANSWER)?);
    let told = serve_one(listener, question.clone(), answer.clone());
    let forward = format!("127.0.0.1:0:127.0.0.1:{here}");
    // The client says which port the target chose, at this level.
    let client =
        stock.start(way, &["-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=INFO", "-R", &forward])?;
    let said = client.says("Allocated port ")?;
    let port = said.split_whitespace().next().unwrap_or_default();
    let visited = visit(stock, way, port, &question, &answer);
    match told.try_recv() {
        // Who came was not served: that nobody could come is not what is wrong.
        Ok(served) => served?,
        Err(_) => visited?,
    }
    let passed = Passed::channel("forwarded-tcpip", Bytes::Exactly(answer), Bytes::Exactly(question));
    Ok(Passed { listens: Some(format!("127.0.0.1:{port}")), ..passed })
}

/// Connects on the target to a port of its own, by what is granted: a forward from here, or a command there.
fn visit(stock: &Stock, way: Way, port: &str, question: &[u8], answer: &[u8]) -> Result<(), Missed> {
    let direct = stock.ssh(way, &["-W", &format!("127.0.0.1:{port}")], &[], question)?;
    if direct.output == answer {
        return Ok(());
    }
    let question = String::from_utf8_lossy(question);
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && printf %s {question} >&3 && cat <&3");
    let said = stock.ssh(way, &["-T"], &[&format!("bash -c '{script}'")], &[])?;
    match said.output == answer {
        true => Ok(()),
        false => Err(Missed::Untried(
            "the target listens, and nothing that is granted can connect there: neither forward:local nor exec with bash"
                .to_owned(),
        )),
    }
}

/// An agent without any key, as long as this is kept.
struct Agent {
    over: Arc<AtomicBool>,
}

impl Agent {
    fn listen(socket: &Path) -> std::io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        listener.set_nonblocking(true)?;
        let over = Arc::<AtomicBool>::default();
        let ends = over.clone();
        thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => drop(thread::spawn(move || answer_all(stream))),
                    Err(_) => thread::sleep(LOOK),
                }
            }
        });
        Ok(Self { over })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Answers until the other end leaves: the client itself asks something else before it passes on what a target asks.
fn answer_all(mut stream: UnixStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; (u32::from_be_bytes(length) as usize).min(MESSAGE)];
        stream.read_exact(&mut message)?;
        let asked = message == ASKED[4..];
        stream.write_all(if asked { NO_KEYS } else { FAILURE })?;
    }
}

/// `-A`: a program on the target asks an agent, which is one of the self-test's own without any key.
pub(super) fn agent(stock: &Stock, way: Way) -> Result<Passed, Missed> {
    let socket = stock.path("agent");
    // That of the other way.
    let _ = std::fs::remove_file(&socket);
    let listening = Agent::listen(&socket)
        .map_err(|error| Missed::Untried(format!("cannot listen on {} here: {error}", socket.display())))?;
    let (forward, ask) =
        (format!("ForwardAgent={}", socket.display()), format!("IdentityAgent={}", socket.display()));
    // A client that has no agent for itself forwards none either.
    let options: &[&str] = match stock.has_agent {
        true => &["-T", "-o", &forward],
        false => &["-T", "-o", &forward, "-o", &ask],
    };
    let command = format!("ssh-add -l; code=$?; : {}; exit $code", mark()?);
    let said = stock.ssh(way, options, &[&command], &[])?;
    drop(listening);
    match said.code {
        // It says with 1 that an agent answered and has no key, and with 2 that there is none.
        Some(1) => {}
        Some(2) => {
            let why = "a command on the target has no agent; its sshd's AllowAgentForwarding may be `no`";
            return Err(Missed::Unable(why.to_owned()));
        }
        Some(127) => {
            return Err(Missed::Untried("the target has no ssh-add to ask an agent with".to_owned()));
        }
        _ => return Err(said.complaint().into()),
    }
    let (input, output) = (Bytes::Exactly(NO_KEYS.to_vec()), Bytes::Exactly(ASKED.to_vec()));
    Ok(Passed::channel("auth-agent@openssh.com", input, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(asked: &[u8]) -> (Result<(), String>, Vec<u8>) {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(asked).unwrap();
        far.shutdown(std::net::Shutdown::Write).unwrap();
        let served = serve(near, b"question", b"answer");
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).unwrap();
        (served, answer)
    }

    #[test]
    fn only_what_was_sent_is_answered() {
        assert_eq!(answered(b"question"), (Ok(()), b"answer".to_vec()));
        let (served, answer) = answered(b"questiom");
        assert!(served.unwrap_err().contains("not what was sent") && answer.is_empty());
        assert!(answered(b"").0.unwrap_err().contains("broke"));
    }

    #[test]
    fn the_agent_has_no_key_and_does_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        let _agent = Agent::listen(&path).unwrap();
        let mut stream = UnixStream::connect(&path).unwrap();
        // What a client says of its own accord, then what a target asks, twice.
        stream.write_all(&[&[0, 0, 0, 3, 27, 0, 0][..], ASKED, ASKED].concat()).unwrap();
        let mut answers = vec![0; FAILURE.len() + 2 * NO_KEYS.len()];
        stream.read_exact(&mut answers).unwrap();
        assert_eq!(answers, [FAILURE, NO_KEYS, NO_KEYS].concat());
    }
}
