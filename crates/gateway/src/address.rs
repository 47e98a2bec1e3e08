//! What a client's user name asks for.
//!
//! | user name | way |
//! |---|---|
//! | `alice` | alice's own connection: `ProxyJump` through it, or the console |
//! | `root@web-1` | the user-name way; the person is known by their key or certificate |
//! | `alice+root@web-1` | the same, the person named: `+` survives scp, rsync and ssh_config |
//! | `alice%root@web-1`, `alice#root@web-1`, `alice:root@web-1` | understood too, as other gateways write it |
//!
//! The target begins after the **last** `@`: logins may hold one (`alice@corp.local`), targets and people may not, and clients
//! cut there too.

use bartizan_model::{InvalidName, LoginName, PersonName, TargetName};

/// The separators between person and login, in order of recommendation.
const SEPARATORS: [char; 4] = ['+', '%', '#', ':'];

/// A parsed user name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A person's own connection.
    Own(PersonName),
    /// Straight to a login on a target.
    Target {
        /// Who they say they are; when named, it must be who they prove to be.
        person: Option<PersonName>,
        /// The account on the target.
        login: LoginName,
        /// The target.
        target: TargetName,
    },
}

impl Address {
    /// Reads the user name of a `USERAUTH_REQUEST`.
    ///
    /// # Errors
    /// Says which part is at fault.
    pub(crate) fn parse(user: &str) -> Result<Self, InvalidName> {
        let Some((who, target)) = user.rsplit_once('@') else {
            return Ok(Self::Own(PersonName::new(user)?));
        };
        let target = TargetName::new(target)?;
        let (person, login) = match who.split_once(SEPARATORS) {
            Some((person, login)) => (Some(PersonName::new(person)?), login),
            None => (None, who),
        };
        Ok(Self::Target { person, login: LoginName::new(login)?, target })
    }

    /// The person named, where one is.
    pub(crate) fn person(&self) -> Option<&PersonName> {
        match self {
            Self::Own(person) => Some(person),
            Self::Target { person, .. } => person.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(person: Option<&str>, login: &str, target: &str) -> Address {
        Address::Target {
            person: person.map(|p| PersonName::new(p).unwrap()),
            login: LoginName::new(login).unwrap(),
            target: TargetName::new(target).unwrap(),
        }
    }

    #[test]
    fn each_form_of_the_design_is_understood() {
        assert_eq!(Address::parse("alice").unwrap(), Address::Own(PersonName::new("alice").unwrap()));
        assert_eq!(Address::parse("root@web-1").unwrap(), target(None, "root", "web-1"));
        for form in ["alice+root@web-1", "alice%root@web-1", "alice#root@web-1", "alice:root@web-1"] {
            assert_eq!(Address::parse(form).unwrap(), target(Some("alice"), "root", "web-1"), "{form}");
        }
    }

    #[test]
    fn logins_of_directories_keep_their_domain() {
        let parsed = |user| Address::parse(user).unwrap();
        assert_eq!(parsed("bob@corp.local@web-1"), target(None, "bob@corp.local", "web-1"));
        assert_eq!(parsed("alice+bob@corp.local@web-1"), target(Some("alice"), "bob@corp.local", "web-1"));
        assert_eq!(parsed("CORP\\bob@web-1"), target(None, "CORP\\bob", "web-1"));
    }

    proptest! {
        #[test]
        fn what_is_put_together_comes_apart_the_same(
            person in prop::option::of("[a-zé][a-z.-]{0,9}"),
            separator in prop::sample::select(SEPARATORS.to_vec()),
            login in "[a-zé][a-z@.\\\\-]{0,19}",
            to in "[a-z][a-z0-9.:-]{0,9}",
        ) {
            let front = person.as_ref().map(|person| format!("{person}{separator}")).unwrap_or_default();
            let parsed = Address::parse(&format!("{front}{login}@{to}"));
            prop_assert_eq!(parsed.unwrap(), target(person.as_deref(), &login, &to));
        }

        /// However it is written, nothing of it is lost: what comes apart is all that there was.
        #[test]
        fn what_comes_apart_is_all_that_there_was(user in "[ab@+%#:.]{0,12}") {
            if let Ok(Address::Target { person, login, target }) = Address::parse(&user) {
                let bare = format!("{login}@{target}");
                let front = user.strip_suffix(bare.as_str()).unwrap();
                let named = person.is_some_and(|person| {
                    front.strip_prefix(person.as_str()).is_some_and(|rest| {
                        rest.chars().count() == 1 && rest.contains(SEPARATORS)
                    })
                });
                prop_assert!(front.is_empty() || named);
            }
        }
    }

    #[test]
    fn half_forms_and_foreign_bytes_are_refused() {
        let long = "a".repeat(1 << 20);
        for refused in [
            "",
            "@",
            "root@",
            "@web-1",
            "+root@web-1",
            "alice+@web-1",
            "@@web-1@",
            "alice@corp+bob@web-1",
            "a+b+c@web-1",
            "ro\x1bot@web-1",
            "-x",
            "root@-x",
            &long,
        ] {
            assert!(Address::parse(refused).is_err(), "{}", &refused[..refused.len().min(20)]);
        }
    }
}
