//! Foreign text in observations: escaped, and cut to what an event can hold.

use bartizan_model::escape;

/// Most bytes of a path or name in an observation, before escaping: no longer one can be opened on Linux.
pub(crate) const PATH_BYTES: usize = 4096;
/// Most bytes of a peer's message.
const MESSAGE_BYTES: usize = 512;
/// What a file that was transferred whole, or a change that was made, is said to be.
pub(crate) const OK: &str = "ok";

/// A path or a name.
pub(crate) fn path(bytes: &[u8]) -> String {
    cut(bytes, PATH_BYTES)
}

/// A message.
pub(crate) fn message(bytes: &[u8]) -> String {
    cut(bytes, MESSAGE_BYTES)
}

fn cut(bytes: &[u8], most: usize) -> String {
    match bytes.get(..most) {
        Some(head) if bytes.len() > most => format!("{}…", escape(head)),
        _ => escape(bytes),
    }
}

/// How many bytes of an event an escaped text takes: JSON doubles what escaping has put in.
pub(crate) fn bytes_in_event(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'\\' | b'"')).count()
}

/// Permission bits, as `chmod` takes them.
pub(crate) fn mode(bits: u32) -> String {
    format!("{:04o}", bits & 0o7777)
}

/// Keeps of a name no more than is shown of it, and the mark that it was cut.
pub(crate) fn kept(name: &[u8]) -> Box<[u8]> {
    name[..name.len().min(PATH_BYTES + 1)].into()
}
