//! The two messages of `keyboard-interactive` (RFC 4256).

use super::{
    Malformed, Payload, SSH_MSG_USERAUTH_INFO_REQUEST, SSH_MSG_USERAUTH_INFO_RESPONSE, SecretBytes, body,
    start,
};
use crate::wire::Writer as _;

/// More prompts or responses in one message than anybody needs; OpenSSH's server allows 100.
pub const MAX_PROMPTS: usize = 100;

/// One question and whether the answer may be seen while it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prompt<'a> {
    /// The question; the peer's text.
    pub text: &'a [u8],
    /// False for secrets.
    pub echo: bool,
}

/// `SSH_MSG_USERAUTH_INFO_REQUEST` (RFC 4256 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoRequest<'a> {
    /// A title; the peer's text.
    pub name: &'a [u8],
    /// A longer explanation; the peer's text.
    pub instruction: &'a [u8],
    /// Language tag, mostly empty.
    pub language: &'a [u8],
    /// None to [`MAX_PROMPTS`] questions.
    pub prompts: Vec<Prompt<'a>>,
}

impl<'a> InfoRequest<'a> {
    /// Parses a payload.
    ///
    /// # Errors
    /// When it is not this message, or has more than [`MAX_PROMPTS`] prompts.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "SSH_MSG_USERAUTH_INFO_REQUEST";
        let mut reader = body(payload, SSH_MSG_USERAUTH_INFO_REQUEST, WHAT)?;
        let name = reader.string("name")?;
        let instruction = reader.string("instruction")?;
        let language = reader.string("language tag")?;
        let count = checked_count(reader.u32("num-prompts")?, "num-prompts")?;
        let mut prompts = Vec::new();
        for _ in 0..count {
            prompts.push(Prompt { text: reader.string("prompt")?, echo: reader.bool("echo")? });
        }
        reader.end(WHAT)?;
        Ok(Self { name, instruction, language, prompts })
    }

    /// The message as a payload.
    pub fn to_payload(&self) -> Payload {
        let texts: usize = self.prompts.iter().map(|prompt| prompt.text.len() + 5).sum();
        let room = self.name.len() + self.instruction.len() + self.language.len() + texts + 16;
        let mut out = start(SSH_MSG_USERAUTH_INFO_REQUEST, room);
        out.put_string(self.name);
        out.put_string(self.instruction);
        out.put_string(self.language);
        out.put_u32(self.prompts.len() as u32);
        for prompt in &self.prompts {
            out.put_string(prompt.text);
            out.put_bool(prompt.echo);
        }
        out
    }
}

/// `SSH_MSG_USERAUTH_INFO_RESPONSE` (RFC 4256 §3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoResponse<'a> {
    /// One for each prompt, in their order.
    pub responses: Vec<SecretBytes<'a>>,
}

impl<'a> InfoResponse<'a> {
    /// Parses a payload.
    ///
    /// # Errors
    /// When it is not this message, or has more than [`MAX_PROMPTS`] responses.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "SSH_MSG_USERAUTH_INFO_RESPONSE";
        let mut reader = body(payload, SSH_MSG_USERAUTH_INFO_RESPONSE, WHAT)?;
        let count = checked_count(reader.u32("num-responses")?, "num-responses")?;
        let mut responses = Vec::new();
        for _ in 0..count {
            responses.push(SecretBytes(reader.string("response")?));
        }
        reader.end(WHAT)?;
        Ok(Self { responses })
    }

    /// The message as a payload.
    pub fn to_payload(&self) -> Payload {
        let room: usize = self.responses.iter().map(|response| response.0.len() + 4).sum();
        let mut out = start(SSH_MSG_USERAUTH_INFO_RESPONSE, room + 4);
        out.put_u32(self.responses.len() as u32);
        for response in &self.responses {
            out.put_string(response.0);
        }
        out
    }
}

fn checked_count(count: u32, what: &'static str) -> Result<u32, Malformed> {
    if count as usize <= MAX_PROMPTS { Ok(count) } else { Err(Malformed::new(what)) }
}
