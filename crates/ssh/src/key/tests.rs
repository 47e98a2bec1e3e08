//! Keys and certificates against the real `ssh-keygen`.

mod certificates;
mod host;
mod keygen;
mod keys;
mod known_hosts;
mod security_keys;
mod sshsig;
