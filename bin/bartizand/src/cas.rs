//! Bartizan's own CAs on disk, and their rotation with overlap.
//!
//! ```text
//!   NAME, NAME.pub            signs
//!   NAME.next, NAME.next.at   trusted ahead; signs from its activation on, at the time in `.at` where there is one
//!   NAME.old.pub              signs no more; trusted until it is retired. Its private half is gone
//! ```
//!
//! A folder without a rotation holds the first pair alone, as folders always did. Each step is one rename, so that a
//! crash leaves the state before or after it.

mod schedule;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bartizan_api::{CaKeeper, CaStep};
use bartizan_gateway::CaKey;
use bartizan_model::api::{CaState, OwnCa};
use bartizan_model::{Fingerprint, Timestamp};
use bartizan_ssh::key::{KeyKind, PrivateKey, PublicKey};
use tokio::sync::watch;

use crate::adapters::fingerprint;
use crate::keys::{read_key, write_whole};

pub(crate) use schedule::{activate_in_time, for_api, own_cas, people_ca_created};

/// One of Bartizan's own CAs.
#[derive(Clone)]
pub(crate) struct CaFiles(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    name: &'static str,
    comment: String,
    signing: CaKey,
    /// Held by each step's effect, so that two steps do not mix.
    busy: Mutex<()>,
    /// Its keys, for those who must know of each step.
    keys: watch::Sender<Vec<Fingerprint>>,
}

type Told<T> = Result<T, String>;

impl CaFiles {
    /// The CA whose files in `dir` begin with `name`; `signing` is replaced when another key is activated.
    pub(crate) fn new(dir: &Path, name: &'static str, comment: &str, signing: CaKey) -> Self {
        let (dir, comment) = (dir.to_owned(), comment.to_owned());
        let (busy, keys) = (Mutex::new(()), watch::Sender::new(Vec::new()));
        Self(Arc::new(Inner { dir, name, comment, signing, busy, keys }))
    }

    /// The fingerprints of [all its keys](CaKeeper::list), now and after each step.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub(crate) fn follow(&self) -> Told<watch::Receiver<Vec<Fingerprint>>> {
        self.tell()?;
        Ok(self.0.keys.subscribe())
    }

    fn tell(&self) -> Told<()> {
        let keys = self.list()?.into_iter().map(|ca| ca.fingerprint).collect();
        self.0.keys.send_replace(keys);
        Ok(())
    }

    /// When the next key is to be activated by itself.
    pub(crate) fn due(&self) -> Told<Option<Timestamp>> {
        if !self.path(".next").exists() {
            return Ok(None);
        }
        let file = self.path(".next.at");
        match fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().map(Some).map_err(|e| format!("{}: {e}", file.display())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(format!("{}: {e}", file.display())),
        }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.0.dir.join(format!("{}{ending}", self.0.name))
    }

    fn next(&self) -> Told<Option<PrivateKey>> {
        if !self.path(".next").exists() {
            return Ok(None);
        }
        read_key(&self.0.dir, &format!("{}.next", self.0.name)).map(Some).map_err(|e| e.to_string())
    }

    /// The key that signs no more. The same as the active one after a step that was cut short: then it is none.
    fn old(&self) -> Told<Option<PublicKey>> {
        let file = self.path(".old.pub");
        let text = match fs::read_to_string(&file) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|e| format!("{}: {e}", file.display()))?,
        };
        let (key, _) = PublicKey::from_openssh(&text).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(Some(key).filter(|key| key != self.0.signing.current().public_key()))
    }

    fn line(&self, key: &PublicKey) -> String {
        key.to_openssh(&self.0.comment).trim_end().to_owned()
    }

    fn shown(&self, key: &PublicKey, state: CaState, activates: Option<Timestamp>) -> OwnCa {
        OwnCa { key: self.line(key), fingerprint: fingerprint(key), state, activates }
    }

    /// Puts a public key in the place of what `ending` names, whole or not at all.
    fn put(&self, ending: &str, text: &str) -> Told<()> {
        write_whole(&self.path(ending), 0o644, format!("{text}\n").as_bytes()).map_err(|e| e.to_string())
    }

    fn sync(&self) -> Told<()> {
        File::open(&self.0.dir).and_then(|dir| dir.sync_all()).map_err(|e| self.wrong(&e))
    }

    fn wrong(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.path("").display())
    }

    fn write_next(&self, key: &PrivateKey, at: Option<Timestamp>) -> Told<()> {
        match at {
            Some(at) => self.put(".next.at", &at.to_string())?,
            None => gone(&self.path(".next.at"))?,
        }
        let text = key.to_openssh(&self.0.comment).map_err(|e| e.to_string())?;
        write_whole(&self.path(".next"), 0o600, text.as_bytes()).map_err(|e| e.to_string())?;
        self.sync()
    }

    fn make_active(&self, next: PrivateKey) -> Told<()> {
        let former = self.0.signing.current();
        self.put(".old.pub", &self.line(former.public_key()))?;
        self.sync()?;
        // From here on the former key is gone.
        fs::rename(self.path(".next"), self.path("")).map_err(|e| self.wrong(&e))?;
        self.put(".pub", &self.line(next.public_key()))?;
        self.0.signing.replace(next);
        gone(&self.path(".next.at"))?;
        self.sync()
    }

    /// The effect of a step: it must not run beside another.
    fn step(
        &self,
        key: &PublicKey,
        at: Option<Timestamp>,
        effect: impl FnOnce(&Self) -> Told<()> + Send + 'static,
    ) -> CaStep {
        let this = self.clone();
        let effect = move || {
            let _alone = this.0.busy.lock().map_err(|_| "a step before broke off".to_owned())?;
            effect(&this)?;
            this.tell()
        };
        CaStep { key: fingerprint(key), at, effect: Box::new(effect) }
    }
}

impl CaKeeper for CaFiles {
    fn list(&self) -> Told<Vec<OwnCa>> {
        let mut all = vec![self.shown(self.0.signing.current().public_key(), CaState::Active, None)];
        if let Some(next) = self.next()? {
            all.push(self.shown(next.public_key(), CaState::Next, self.due()?));
        }
        if let Some(old) = self.old()? {
            all.push(self.shown(&old, CaState::Old, None));
        }
        Ok(all)
    }

    fn rotate(&self, at: Option<Timestamp>) -> Told<CaStep> {
        if self.next()?.is_some() {
            return Err(
                "a next key is there already; activate it first, or take it back with `bartizan ca cancel`"
                    .into(),
            );
        }
        if self.old()?.is_some() {
            return Err("the rotation before is not over; retire its old key first".into());
        }
        let key = PrivateKey::generate(KeyKind::Ed25519).map_err(|e| e.to_string())?;
        let public = key.public_key().clone();
        Ok(self.step(&public, at, move |this| match this.next()? {
            None => this.write_next(&key, at),
            Some(_) => Err("a next key was made meanwhile".into()),
        }))
    }

    fn activate(&self) -> Told<CaStep> {
        let Some(next) = self.next()? else { return Err("there is no next key; make one first".into()) };
        let public = next.public_key().clone();
        Ok(self.step(&public, None, move |this| match this.next()? {
            Some(now) if now.public_key() == next.public_key() => this.make_active(next),
            _ => Err("the next key is another one by now".into()),
        }))
    }

    fn cancel(&self) -> Told<CaStep> {
        let Some(next) = self.next()? else { return Err("there is no next key to take back".into()) };
        let public = next.public_key().clone();
        Ok(self.step(&public, None, move |this| match this.next()? {
            Some(now) if now.public_key() == next.public_key() => {
                // The time first: what is cut short here leaves a key that waits for an operator.
                gone(&this.path(".next.at"))?;
                gone(&this.path(".next"))?;
                this.sync()
            }
            _ => Err("the next key is another one by now".into()),
        }))
    }

    fn retire(&self) -> Told<CaStep> {
        let Some(old) = self.old()? else { return Err("there is no old key to retire".into()) };
        Ok(self.step(&old, None, |this| {
            gone(&this.path(".old.pub"))?;
            this.sync()
        }))
    }
}

fn gone(path: &Path) -> Told<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(format!("{}: {e}", path.display())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::write_new;

    fn fresh() -> (tempfile::TempDir, CaFiles) {
        let temp = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        write_new(&temp.path().join("user_ca"), 0o600, key.to_openssh("ca").unwrap().as_bytes()).unwrap();
        let ca = CaFiles::new(temp.path(), "user_ca", "ca", CaKey::new(key));
        (temp, ca)
    }

    /// As the next start reads the folder.
    fn reopened(temp: &tempfile::TempDir) -> CaFiles {
        let key = read_key(temp.path(), "user_ca").unwrap();
        CaFiles::new(temp.path(), "user_ca", "ca", CaKey::new(key))
    }

    fn states(ca: &CaFiles) -> Vec<CaState> {
        ca.list().unwrap().into_iter().map(|ca| ca.state).collect()
    }

    fn done(step: Told<CaStep>) {
        (step.unwrap().effect)().unwrap();
    }

    #[test]
    fn a_rotation_overlaps_and_survives_restarts_at_each_step() {
        use CaState::{Active, Next, Old};
        let (temp, ca) = fresh();
        let first = ca.list().unwrap()[0].fingerprint;
        assert!(ca.activate().is_err() && ca.retire().is_err());
        done(ca.rotate(None));
        assert_eq!((states(&ca), states(&reopened(&temp))), (vec![Active, Next], vec![Active, Next]));
        assert_eq!(ca.list().unwrap()[0].fingerprint, first, "the former key still signs");
        assert!(ca.rotate(None).is_err());
        let next = ca.list().unwrap()[1].fingerprint;
        done(ca.activate());
        assert_eq!((states(&ca), states(&reopened(&temp))), (vec![Active, Old], vec![Active, Old]));
        let keys: Vec<_> = reopened(&temp).list().unwrap().into_iter().map(|ca| ca.fingerprint).collect();
        assert_eq!(keys, [next, first]);
        assert!(ca.rotate(None).is_err(), "one rotation at a time");
        done(ca.retire());
        assert_eq!((states(&ca), states(&reopened(&temp))), (vec![Active], vec![Active]));
    }

    #[test]
    fn each_step_is_told_to_those_who_follow() {
        let (_temp, ca) = fresh();
        let keys = ca.follow().unwrap();
        let first = keys.borrow().clone();
        done(ca.rotate(None));
        done(ca.activate());
        let both = keys.borrow().clone();
        assert_eq!((first.len(), both.len(), both[1]), (1, 2, first[0]));
        done(ca.retire());
        assert_eq!(*keys.borrow(), both[..1], "the former key counts no more at once");
    }

    #[test]
    fn an_activation_that_is_cut_short_can_be_made_again() {
        let (temp, ca) = fresh();
        done(ca.rotate(None));
        // The first half of it: what will be old is beside, and nothing is renamed.
        ca.put(".old.pub", &ca.line(ca.0.signing.current().public_key())).unwrap();
        let ca = reopened(&temp);
        assert_eq!(states(&ca), [CaState::Active, CaState::Next]);
        done(ca.activate());
        assert_eq!(states(&reopened(&temp)), [CaState::Active, CaState::Old]);
    }

    #[test]
    fn a_next_key_is_taken_back_and_another_made() {
        let (temp, ca) = fresh();
        assert!(ca.cancel().is_err());
        let at = Timestamp::from_unix_micros(1_800_000_000_000_000);
        done(ca.rotate(Some(at)));
        let first = ca.list().unwrap()[1].fingerprint;
        let (activate, cancel) = (ca.activate().unwrap(), ca.cancel().unwrap());
        (cancel.effect)().unwrap();
        assert!((activate.effect)().is_err(), "a key that is gone does not sign");
        assert_eq!((states(&reopened(&temp)), ca.due().unwrap()), (vec![CaState::Active], None));
        done(ca.rotate(None));
        assert_ne!(ca.list().unwrap()[1].fingerprint, first);
        assert_eq!(reopened(&temp).due().unwrap(), None, "the time went with the key");
    }

    #[test]
    fn the_time_of_activation_is_kept_and_steps_do_not_mix() {
        let (temp, ca) = fresh();
        let at = Timestamp::from_unix_micros(1_800_000_000_000_000);
        let (one, other) = (ca.rotate(Some(at)).unwrap(), ca.rotate(None).unwrap());
        (one.effect)().unwrap();
        assert!((other.effect)().is_err());
        assert_eq!(reopened(&temp).due().unwrap(), Some(at));
        done(ca.activate());
        assert_eq!(reopened(&temp).due().unwrap(), None);
    }
}
