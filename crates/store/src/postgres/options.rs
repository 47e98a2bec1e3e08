//! Where a PostgreSQL database is.

use std::fmt;
use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use zeroize::Zeroizing;

/// An address of a database that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDatabase(String);

/// Where a PostgreSQL database is and how it is reached. Shows without its password.
#[derive(Clone)]
pub struct PostgresOptions {
    url: String,
    password: Option<Zeroizing<String>>,
    parsed: PgConnectOptions,
}

impl PostgresOptions {
    /// Reads `postgres://USER@HOST[:PORT]/DATABASE[?sslmode=…&sslrootcert=…]`. A socket's folder stands for the host
    /// when it is percent-encoded.
    ///
    /// # Errors
    /// When it is none, or holds a password: that belongs in a file.
    pub fn parse(url: &str) -> Result<Self, InvalidDatabase> {
        let refuse = |why: &str| Err(InvalidDatabase(why.into()));
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let Some(rest) = rest else { return refuse("it must begin with postgres://") };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let Some((user, _)) = authority.rsplit_once('@').filter(|(user, _)| !user.is_empty()) else {
            return refuse("it must name a user: postgres://USER@HOST/DATABASE");
        };
        if user.contains(':') || rest.contains("password=") {
            return refuse("it holds a password; write that into a file of its own");
        }
        let path = rest[authority.len()..].split('?').next().unwrap_or_default();
        if path.trim_matches('/').is_empty() {
            return refuse("it must name a database: postgres://USER@HOST/DATABASE");
        }
        // The library's own message can repeat the whole address.
        let Ok(parsed) = PgConnectOptions::from_str(url) else {
            return refuse("it is no address of a database");
        };
        let parsed = parsed.application_name("bartizan");
        Ok(Self { url: url.to_owned(), password: None, parsed })
    }

    /// The same with a password.
    #[must_use]
    pub fn with_password(mut self, password: Zeroizing<String>) -> Self {
        self.password = Some(password);
        self
    }

    pub(super) fn inner(&self) -> PgConnectOptions {
        match &self.password {
            Some(password) => self.parsed.clone().password(password),
            None => self.parsed.clone(),
        }
    }
}

impl fmt::Display for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresOptions({})", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly_and_hold_no_password() {
        for good in [
            "postgres://bartizan@db.example.com/bartizan",
            "postgresql://b@[::1]:5433/b?sslmode=verify-full&sslrootcert=/etc/ssl/ca.pem",
            "postgres://b@%2Frun%2Fpostgresql/b",
        ] {
            let options = PostgresOptions::parse(good).unwrap();
            assert_eq!(options.to_string(), good);
            let shown = format!("{:?}", options.with_password(Zeroizing::new("hunter2".into())));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        for (bad, why) in [
            ("", "begin with"),
            ("mysql://b@h/b", "begin with"),
            ("postgres://host/b", "name a user"),
            ("postgres://@host/b", "name a user"),
            ("postgres://b:hunter2@host/b", "holds a password"),
            ("postgres://b@host/b?password=hunter2", "holds a password"),
            ("postgres://b@host", "name a database"),
            ("postgres://b@host/", "name a database"),
            ("postgres://b@host:notaport/b", "no address"),
            ("postgres://b@host/b?sslmode=hunter2", "no address"),
        ] {
            let told = PostgresOptions::parse(bad).unwrap_err().to_string();
            assert!(told.contains(why) && !told.contains("hunter2"), "{bad}: {told}");
        }
    }
}
