//! Talks to the server: HTTP/1.1 over `admin.sock`.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bartizan_model::api::ErrorReply;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::failure::{Failure, Kind};

/// Longest reply that is held in memory; a page of 1,000 events of the greatest length fits.
const MAX_REPLY_BYTES: usize = 80 << 20;
/// How long a reply may take. Streams may take forever.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to the server of one data folder. Each request is a connection of its own.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    /// The server of `data`.
    pub(crate) fn new(data: &Path) -> Self {
        Self { socket: data.join("admin.sock") }
    }

    /// Asks for something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, Vec::new()).await
    }

    /// Asks for something that a query describes.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<T, Failure> {
        self.get(&format!("{path}{}", query_string(query)?)).await
    }

    /// Sends something.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.call(Method::POST, path, serde_json::to_vec(body).map_err(|e| broken(&e))?).await
    }

    /// Puts something in the place of what was there.
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.call(Method::PUT, path, serde_json::to_vec(body).map_err(|e| broken(&e))?).await
    }

    /// Makes something so, which may be so already.
    pub(crate) async fn put_nothing<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::PUT, path, Vec::new()).await
    }

    /// Removes something.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::DELETE, path, Vec::new()).await
    }

    /// Asks for lines that come over time.
    pub(crate) async fn lines(&self, path: &str) -> Result<Lines, Failure> {
        let response = self.send(Method::GET, path, Vec::new()).await?;
        match response.status().is_success() {
            true => Ok(Lines { body: response.into_body(), buffer: Vec::new(), searched: 0 }),
            false => Err(refusal(response.status(), &read(response).await?)),
        }
    }

    /// Sends a text and reads the lines that come over time.
    pub(crate) async fn post_text(&self, path: &str, text: String) -> Result<Lines, Failure> {
        let response = self.send(Method::POST, path, text.into_bytes()).await?;
        match response.status().is_success() {
            true => Ok(Lines { body: response.into_body(), buffer: Vec::new(), searched: 0 }),
            false => Err(refusal(response.status(), &read(response).await?)),
        }
    }

    /// Asks for a text.
    pub(crate) async fn text(&self, path: &str) -> Result<Bytes, Failure> {
        let response = self.send(Method::GET, path, Vec::new()).await?;
        let status = response.status();
        let reply = read(response).await?;
        if status.is_success() { Ok(reply) } else { Err(refusal(status, &reply)) }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Failure> {
        let exchange = async {
            let response = self.send(method, path, body).await?;
            let status = response.status();
            Ok((status, read(response).await?))
        };
        let (status, reply) = tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| {
            Failure::failed(format!("the server did not answer within {} s", PATIENCE.as_secs()))
        })??;
        match status.is_success() {
            true => serde_json::from_slice(&reply).map_err(|e| broken(&e)),
            false => Err(refusal(status, &reply)),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Response<Incoming>, Failure> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| self.unreachable(&e))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| lost(&e))?;
        // Ends with the request: an error of the connection is an error of the request too.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "bartizan")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| broken(&e))?;
        sender.send_request(request).await.map_err(|e| lost(&e))
    }

    fn unreachable(&self, error: &std::io::Error) -> Failure {
        let socket = self.socket.display();
        let folder = self.socket.parent().unwrap_or(Path::new("."));
        match error.kind() {
            ErrorKind::NotFound if !folder.is_dir() => {
                Failure::failed(format!("there is no data folder {}", folder.display()))
                    .hint("name it with -D DIR or BARTIZAN_DATA")
            }
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Failure::new(
                Kind::Unreachable,
                format!("the server is not running: nobody answers on {socket}"),
            )
            .hint(format!("start it with `bartizand serve --data {}`", folder.display())),
            ErrorKind::PermissionDenied => Failure::new(Kind::Denied, format!("you may not use {socket}"))
                .hint("only the owner of the data folder is admin"),
            ErrorKind::InvalidInput => {
                Failure::failed(format!("the path {socket} is too long for a Unix socket"))
                    .hint("name the data folder by a shorter path, or one relative to where you are")
            }
            _ => Failure::failed(format!("cannot reach the server on {socket}: {error}")),
        }
    }
}

/// Lines of a reply as they come.
pub(crate) struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are known to hold no line break.
    searched: usize,
}

impl Lines {
    /// The next line, which is an event; a last one may say why there are no more.
    pub(crate) async fn next_event(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let line = self.next().await?;
        line.as_deref().and_then(breaks_off).map_or(Ok(line), Err)
    }

    /// The next line, without its end; `None` when the server has no more.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(end) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=self.searched + end).collect();
                line.pop();
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MAX_REPLY_BYTES {
                return Err(Failure::failed("the server sent a line without end"));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(lost(&error)),
                Some(Ok(frame)) => self.buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            }
        }
    }
}

/// Why lines break off, if this one says so: the server's last line then. No event begins so.
fn breaks_off(line: &[u8]) -> Option<Failure> {
    line.starts_with(br#"{"error":""#).then(|| refusal(StatusCode::SERVICE_UNAVAILABLE, line))
}

/// One part of a path, percent-encoded.
pub(crate) fn segment(text: impl ToString) -> String {
    encode(&text.to_string())
}

/// `?a=1&b=2` for a flat structure; empty when nothing is set.
fn query_string(query: &impl Serialize) -> Result<String, Failure> {
    let value = serde_json::to_value(query).map_err(|e| broken(&e))?;
    let mut text = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let value = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(value) => encode(value),
            other => encode(&other.to_string()),
        };
        let separator = if text.is_empty() { '?' } else { '&' };
        let _ = write!(text, "{separator}{}={value}", encode(name));
    }
    Ok(text)
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

async fn read(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = Limited::new(response.into_body(), MAX_REPLY_BYTES).collect().await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|e| Failure::failed(format!("the reply broke off: {e}")))
}

fn refusal(status: StatusCode, reply: &[u8]) -> Failure {
    let kind = match status {
        StatusCode::FORBIDDEN => Kind::Denied,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Kind::Usage,
        _ => Kind::Failed,
    };
    match serde_json::from_slice::<ErrorReply>(reply) {
        Ok(ErrorReply { error, hint: Some(hint) }) => Failure::new(kind, error).hint(hint),
        Ok(ErrorReply { error, hint: None }) => Failure::new(kind, error),
        Err(_) => Failure::new(kind, format!("the server answered {status}")),
    }
}

fn lost(error: &hyper::Error) -> Failure {
    Failure::failed(format!("the connection to the server broke: {error}"))
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("the server and this program do not understand each other: {error}"))
        .hint("use the `bartizan` and `bartizand` of one release")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_says_why_there_are_no_more_is_no_event() {
        let reply = ErrorReply { error: "damaged".into(), hint: Some("verify it".into()) };
        let failure = breaks_off(&serde_json::to_vec(&reply).unwrap()).unwrap();
        assert_eq!((failure.kind, failure.to_string().contains("damaged")), (Kind::Failed, true));
        assert!(breaks_off(br#"{"index":7,"error":{"bytes":1}}"#).is_none());
    }

    #[test]
    fn paths_and_queries_are_encoded() {
        assert_eq!(segment("SHA256:a/b+c"), "SHA256%3Aa%2Fb%2Bc");
        let query = serde_json::json!({"a": "x y&z", "b": 3, "c": null, "d": true});
        assert_eq!(query_string(&query).unwrap(), "?a=x%20y%26z&b=3&d=true");
        assert_eq!(query_string(&serde_json::json!({})).unwrap(), "");
    }
}
