//! Files of keys: `authorized_keys` without options, `.pub` files, `known_hosts`, `ssh-keyscan` output.

use crate::error::{ApiError, Result};
use crate::keys::{KeyParser, ParsedKey};

/// Most keys in one request.
const MAX_KEYS: usize = 256;

/// What the lines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Keys of people or CAs: key first, comment after.
    Plain,
    /// Keys of hosts: names before the key are allowed and ignored.
    Hosts,
    /// Keys of host CAs: likewise, and `@cert-authority` too.
    HostAuthorities,
}

/// Reads every key of a text; at least one, none twice.
pub(crate) fn read(parse: &KeyParser, text: &str, lines: Lines) -> Result<Vec<ParsedKey>> {
    let mut keys: Vec<ParsedKey> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if keys.len() == MAX_KEYS {
            return Err(ApiError::invalid(format!("more than {MAX_KEYS} keys in one request")));
        }
        let refused = |why: String| {
            ApiError::invalid(format!("line {}: {why}", number + 1))
                .hint("expected a public key such as `ssh-ed25519 AAAA… comment`")
        };
        let key = match lines {
            Lines::Plain => parse(line).map_err(refused)?,
            Lines::Hosts | Lines::HostAuthorities => host_line(parse, line, lines).map_err(refused)?,
        };
        if !keys.iter().any(|known| known.fingerprint == key.fingerprint) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return Err(ApiError::invalid("there is no key in the file").hint("give a file with a public key"));
    }
    Ok(keys)
}

/// `[@marker] [hosts] type base64 [comment]`
pub(crate) fn host_line(
    parse: &KeyParser,
    line: &str,
    lines: Lines,
) -> std::result::Result<ParsedKey, String> {
    let rest = match line.split_once(char::is_whitespace) {
        Some(("@cert-authority", rest)) if lines == Lines::HostAuthorities => rest.trim_start(),
        Some(("@cert-authority", _)) => return Err("is a host CA: give it with --host-ca".into()),
        Some(("@revoked", _)) => return Err("is a revoked key".into()),
        _ => line,
    };
    parse(rest).or_else(|first| match rest.split_once(char::is_whitespace) {
        // The first word names hosts.
        Some((_, key)) => parse(key.trim_start()).map_err(|second| if is_key(rest) { first } else { second }),
        None => Err(first),
    })
}

/// True when the line starts with a type of key, so that a message about it is the better one.
fn is_key(line: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|start| line.starts_with(start))
}
