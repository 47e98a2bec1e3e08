//! What a person may reach: candidates from their grants, each judged by the one policy function.

use std::net::IpAddr;
use std::sync::Arc;

use bartizan_access::{Action, Authenticated, Decision, Directory, Request};
use bartizan_model::{LoginName, PermissionSet, Target, TargetName, Timestamp};
use tokio::task::yield_now;

/// Targets that are judged before other connections of the worker get their turn.
const AT_A_TIME: usize = 16;

/// A login on a target that policy permits now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) target: TargetName,
    /// `None` is any login.
    pub(super) login: Option<LoginName>,
    pub(super) allow: PermissionSet,
    /// When it lapses.
    pub(super) until: Option<Timestamp>,
}

impl Place {
    /// `root@web-1`; `*@web-1` for any login.
    pub(super) fn address(&self) -> String {
        format!("{}@{}", self.login.as_ref().map_or("*", LoginName::as_str), self.target)
    }
}

impl Place {
    /// Whether all that is permitted here, for as long as it is, is permitted there too.
    fn is_within(&self, other: &Self) -> bool {
        let as_long = other.until.is_none() || self.until.is_some_and(|until| other.until >= Some(until));
        as_long && self.allow.iter().all(|permission| other.allow.contains(permission))
    }
}

/// Asks policy about one person who comes from one address.
pub(super) struct Judge<'a> {
    pub(super) directory: Arc<Directory>,
    pub(super) who: &'a Authenticated,
    pub(super) source: IpAddr,
}

impl Judge<'_> {
    /// Every place that is permitted, by target and login, that `wanted` does not leave out before it is judged.
    ///
    /// Lets others work in between: thousands of targets take tens of milliseconds.
    pub(super) async fn places(&self, wanted: impl Fn(&TargetName) -> bool) -> Vec<Place> {
        let mut targets: Vec<&Target> =
            self.directory.targets().filter(|target| wanted(&target.name)).collect();
        targets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut places = Vec::new();
        for some in targets.chunks(AT_A_TIME) {
            some.iter().for_each(|target| self.add(target, &mut places));
            yield_now().await;
        }
        places
    }

    /// One login on a target, if it is permitted.
    pub(super) fn login(&self, target: &TargetName, login: &LoginName) -> Option<Place> {
        self.place(target, Some(login), login)
    }

    /// The logins of a target that are known and permitted: those that grants name, and the person's own name where a
    /// grant is for any login.
    pub(super) fn logins(&self, target: &Target) -> Vec<Place> {
        let mut logins = self.directory.granted_logins(self.who.person(), target);
        if logins.any {
            logins.named.extend(LoginName::new(self.who.person().as_str()).ok());
        }
        logins.named.iter().filter_map(|login| self.login(&target.name, login)).collect()
    }

    fn add(&self, target: &Target, places: &mut Vec<Place>) {
        let logins = self.directory.granted_logins(self.who.person(), target);
        let target = &target.name;
        // A grant for any login is judged with a login that has no special meaning: the person's own name.
        let own = LoginName::new(self.who.person().as_str()).ok().filter(|_| logins.any);
        let any = own.and_then(|own| self.place(target, None, &own));
        let named = logins.named.iter().filter_map(|login| self.place(target, Some(login), login));
        // Logins that have nothing more than any other has are not told one by one.
        let special = |place: &Place| any.as_ref().is_none_or(|any| !place.is_within(any));
        let named: Vec<Place> = named.filter(special).collect();
        places.extend(any.into_iter().chain(named));
    }

    fn place(&self, target: &TargetName, login: Option<&LoginName>, probe: &LoginName) -> Option<Place> {
        let request =
            Request { target, login: probe, action: Action::Continue, source: self.source, forward: None };
        match self.directory.judge(self.who, &request, Timestamp::now()) {
            Decision::Permit(permit) => Some(Place {
                target: target.clone(),
                login: login.cloned(),
                allow: permit.allow().clone(),
                until: permit.until().map(|until| until.at),
            }),
            Decision::Deny(_) => None,
        }
    }
}

/// Whether `text` contains the filter, or matches it as a whole when it holds `*` or `?`; the case of ASCII letters does not count.
pub(super) fn matches(filter: &str, text: &str) -> bool {
    let (filter, text) = (filter.to_ascii_lowercase(), text.to_ascii_lowercase());
    if !filter.contains(['*', '?']) {
        return text.contains(&filter);
    }
    let (filter, text): (Vec<char>, Vec<char>) = (filter.chars().collect(), text.chars().collect());
    let (mut f, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match filter.get(f) {
            Some('*') => {
                star = Some((f, t));
                f += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                f += 1;
                t += 1;
            }
            _ => match star {
                None => return false,
                Some((at, eaten)) => {
                    star = Some((at, eaten + 1));
                    f = at + 1;
                    t = eaten + 1;
                }
            },
        }
    }
    filter[f..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn filters_find_parts_and_globs_match_the_whole() {
        for (filter, text, found) in [
            ("web", "root@web-1", true),
            ("WEB-1", "root@web-1", true),
            ("root@", "root@web-1", true),
            ("db", "root@web-1", false),
            ("*@web-?", "root@web-1", true),
            ("web-*", "root@web-1", false),
            ("*", "", true),
            ("", "x", true),
        ] {
            assert_eq!(matches(filter, text), found, "{filter} {text}");
        }
    }
}
