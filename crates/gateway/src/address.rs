//! What a client's user name asks for.
//!
//! | user name | way |
//! |---|---|
//! | `alice` | alice's own connection: `ProxyJump` through it, or the console |
//! | `root@web-1` | the user-name way; the person is known by their key or certificate |
//! | `alice+root@web-1` | the same, the person named: `+` survives scp, rsync and ssh_config |
//! | `alice%root@web-1`, `alice#root@web-1`, `alice:root@web-1` | understood too, as other gateways write it |
//!
//! A name ends at the **last** `@`, because logins may not hold one and clients cut there too.

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
    fn half_forms_and_foreign_bytes_are_refused() {
        let long = "a".repeat(1 << 20);
        for refused in [
            "",
            "@",
            "root@",
            "@web-1",
            "+root@web-1",
            "alice+@web-1",
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
