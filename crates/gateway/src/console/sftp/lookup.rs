//! What a person may see of targets and logins: what policy permits by SFTP now.

use std::pin::Pin;
use std::rc::Rc;

use bartizan_access::{Asked, Needs, classify};
use bartizan_model::{LoginName, Permission, TargetName};
use bartizan_ssh::sftp::{Ask, Entry};

use super::name;
use crate::console::Console;
use crate::console::places::{Judge, Place};

/// The answer to a question, on its way.
pub(super) type Lookup = Pin<Box<dyn Future<Output = Option<Vec<Entry>>>>>;

/// Looks up what is asked for; none if there is nothing to be seen.
pub(super) fn lookup(console: Rc<Console>, ask: Ask) -> Lookup {
    Box::pin(async move {
        let (judge, needs) = (judge(&console), needs());
        let entries = match ask {
            Ask::Targets => return Some(targets(&judge.places(|_| true).await, &needs)),
            Ask::Logins { target } => {
                let target = name(&target, TargetName::new)?;
                let logins = judge.logins(judge.directory.target(&target)?);
                logins.iter().filter(|place| needs.met_by(&place.allow)).filter_map(login).collect()
            }
            Ask::Login { target, login } => {
                let (target, login) = (name(&target, TargetName::new)?, name(&login, LoginName::new)?);
                let place = judge.login(&target, &login).filter(|place| needs.met_by(&place.allow));
                place.iter().filter_map(self::login).collect::<Vec<_>>()
            }
        };
        Some(entries).filter(|entries| !entries.is_empty())
    })
}

/// Whether a login may be entered now.
pub(super) fn may(console: &Console, target: &TargetName, login: &LoginName) -> bool {
    let needs = needs();
    judge(console).login(target, login).is_some_and(|place| needs.met_by(&place.allow))
}

fn judge(console: &Console) -> Judge<'_> {
    Judge { directory: console.shared.directory(), who: &console.who, source: console.source.ip() }
}

/// What SFTP needs, as sessions ask for it.
fn needs() -> Needs {
    classify(Asked::Subsystem(b"sftp"), false)
}

fn targets(places: &[Place], needs: &Needs) -> Vec<Entry> {
    let reached = places.iter().filter(|place| needs.met_by(&place.allow));
    // A target is in one piece among places.
    let mut entries: Vec<Entry> = reached.map(|place| entry(place.target.as_str(), false)).collect();
    entries.dedup();
    entries
}

fn login(place: &Place) -> Option<Entry> {
    Some(entry(place.login.as_ref()?.as_str(), place.allow.contains(Permission::SftpWrite)))
}

fn entry(name: &str, writable: bool) -> Entry {
    Entry { name: name.into(), writable }
}
