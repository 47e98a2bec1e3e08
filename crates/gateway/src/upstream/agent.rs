//! The person's forwarded agent as a credential: which keys it holds, and its signatures.
//!
//! Only where an operator set it so for a login on a target, and only when the person's client forwards an agent to
//! the console. The agent is told which host it signs for (`session-bind@openssh.com`), so that keys which are
//! constrained to destinations work, or fail clearly. Whatever the agent says is bounded; it sees no secret of ours.
//!
//! Source: draft-ietf-sshm-ssh-agent, OpenSSH PROTOCOL.agent.

use std::io;

use bartizan_ssh::auth::{UserIdentity, agent};
use bartizan_ssh::key::SignatureAlgorithm;
use bartizan_ssh::transport::Transport;
use bartizan_ssh::wire::{Malformed, Writer as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;
const EXTENSION: u8 = 27;
const SESSION_BIND: &str = "session-bind@openssh.com";
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// Longest message of an agent, in bytes, as OpenSSH has it.
const MAX_MESSAGE: usize = 256 * 1024;
/// Keys that are offered to a target: more are more than its `MaxAuthTries`.
pub(super) const MOST_KEYS: usize = 6;

/// Why an agent was of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentError {
    #[error("the agent cannot be reached: {0}")]
    Io(#[from] io::Error),
    #[error("the agent's answer makes no sense: {0}")]
    Malformed(#[from] Malformed),
    #[error("the agent's answer is too long")]
    TooLong,
    #[error("the agent refused")]
    Refused,
}

/// A connection to an agent.
pub(super) struct Agent<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Agent<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(stream)
    }

    async fn ask(&mut self, message: &[u8]) -> Result<Vec<u8>, AgentError> {
        let mut framed = Vec::with_capacity(message.len() + 4);
        framed.put_string(message);
        self.0.write_all(&framed).await?;
        let length = usize::try_from(self.0.read_u32().await?).map_err(|_| AgentError::TooLong)?;
        if length > MAX_MESSAGE {
            return Err(AgentError::TooLong);
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).await?;
        Ok(answer)
    }

    /// Tells the agent which host we log in to; agents that do not know the message say so, and are used all the same.
    pub(super) async fn bind(&mut self, transport: &Transport) -> Result<(), AgentError> {
        let parts = (transport.host_blob(), transport.session_id(), transport.host_signature());
        let (Some(host_key), Some(session_id), Some(signature)) = parts else { return Ok(()) };
        let mut message = vec![EXTENSION];
        message.put_string(SESSION_BIND.as_bytes());
        message.put_string(host_key);
        message.put_string(session_id);
        message.put_string(signature);
        // We authenticate to that host; we do not forward the agent to it by this.
        message.put_bool(false);
        self.ask(&message).await.map(drop)
    }

    /// The first keys and certificates that the agent holds and that we can read.
    pub(super) async fn identities(&mut self) -> Result<Vec<UserIdentity>, AgentError> {
        let answer = self.ask(&[REQUEST_IDENTITIES]).await?;
        agent::identities(&answer, MOST_KEYS)?.ok_or(AgentError::Refused)
    }

    /// Asks for a signature. Whether it is good, whoever uses it finds out.
    pub(super) async fn sign(
        &mut self,
        identity: &UserIdentity,
        algorithm: SignatureAlgorithm,
        data: &[u8],
    ) -> Result<Vec<u8>, AgentError> {
        let mut message = vec![SIGN_REQUEST];
        message.put_string(identity.blob());
        message.put_string(data);
        message.put_u32(match algorithm {
            SignatureAlgorithm::RsaSha256 => RSA_SHA2_256,
            SignatureAlgorithm::RsaSha512 => RSA_SHA2_512,
            _ => 0,
        });
        let answer = self.ask(&message).await?;
        let signature = agent::signature(&answer)?.ok_or(AgentError::Refused)?;
        Ok(signature.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use bartizan_ssh::key::{KeyKind, PrivateKey};
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    const IDENTITIES_ANSWER: u8 = 12;

    /// An agent that gives these answers, whatever it is asked.
    fn agent_of(answers: Vec<Vec<u8>>) -> Agent<DuplexStream> {
        let (near, mut far) = duplex(MAX_MESSAGE * 2);
        tokio::spawn(async move {
            for answer in answers {
                let length = far.read_u32().await.unwrap();
                let mut asked = vec![0; length as usize];
                far.read_exact(&mut asked).await.unwrap();
                far.write_all(&answer).await.unwrap();
            }
        });
        Agent::new(near)
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut framed = Vec::new();
        framed.put_string(message);
        framed
    }

    fn keys(blobs: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![IDENTITIES_ANSWER];
        message.put_u32(blobs.len() as u32);
        for blob in blobs {
            message.put_string(blob);
            message.put_string(b"a comment");
        }
        framed(&message)
    }

    #[tokio::test]
    async fn keys_that_can_be_read_are_taken_and_not_too_many() {
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        let blob = key.public_key().blob();
        let found = agent_of(vec![keys(&[b"rubbish", blob])]).identities().await.unwrap();
        assert_eq!(found, [UserIdentity::from(key.public_key().clone())]);
        let found = agent_of(vec![keys(&[blob; 50])]).identities().await.unwrap();
        assert_eq!(found.len(), MOST_KEYS);
    }

    #[tokio::test]
    async fn an_agent_that_lies_is_refused_and_costs_nothing() {
        for answer in [
            framed(&[5]),
            framed(&[]),
            framed(&[IDENTITIES_ANSWER, 255, 255, 255, 255]),
            vec![255, 255, 255, 255],
            vec![0, 4, 0, 1],
        ] {
            assert!(agent_of(vec![answer.clone()]).identities().await.is_err(), "{answer:?}");
        }
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        let identity = UserIdentity::from(key.public_key().clone());
        let refused =
            agent_of(vec![framed(&[5])]).sign(&identity, SignatureAlgorithm::Ed25519, b"data").await;
        assert!(matches!(refused, Err(AgentError::Refused)));
        // It hangs up.
        assert!(matches!(agent_of(Vec::new()).identities().await, Err(AgentError::Io(_))));
    }
}
