//! The target that a session goes to, by the record that counts.

use bartizan_access::Directory;
use bartizan_model::{HostKeyTrust, Target, TargetName};

use crate::parts::Shared;
use crate::refuse::Refusal;

/// Where a visit wants to go.
pub(crate) enum Destination {
    /// A name to look up.
    Named(TargetName),
    /// A target that was looked up already.
    Found(Box<Target>),
}

impl Destination {
    pub(crate) fn name(&self) -> &TargetName {
        match self {
            Self::Named(name) => name,
            Self::Found(target) => &target.name,
        }
    }

    /// The target by the record that is judged, shown and dialled. Between the look-up of one that was found and its
    /// authentication the client may have taken its time.
    ///
    /// # Errors
    /// Why there is none: for the log, and for the person.
    pub(crate) fn resolve(&self, directory: &Directory) -> Result<Target, (&'static str, Refusal)> {
        let name = self.name();
        match (directory.target(name), self) {
            (None, _) => Err(("no such target", Refusal::UnknownTarget(name.clone()))),
            (Some(now), Self::Found(then)) if (&now.host, now.port) != (&then.host, then.port) => {
                Err(("the target was changed since it was asked for", Refusal::Moved(name.clone())))
            }
            (Some(now), _) => Ok(now.clone()),
        }
    }
}

/// Waits until a target's name stands for another host, or for another key of it: what is stored to log in with, and what is
/// pinned, goes by the name.
pub(crate) async fn moved(target: &Target, shared: &Shared) -> Refusal {
    let mut directory = shared.directory.clone();
    loop {
        let same = directory.borrow_and_update().target(&target.name).is_none_or(|now| {
            // At first use it is pinned by whoever is first.
            let key = now.host_key == target.host_key || target.host_key == HostKeyTrust::FirstUse;
            key && (&now.host, now.port) == (&target.host, target.port)
        });
        if !same {
            return Refusal::Moved(target.name.clone());
        }
        // Without a publisher the server is stopping, and without the target policy ends the session.
        if directory.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
