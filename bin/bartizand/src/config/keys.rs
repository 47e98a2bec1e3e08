//! Every key of the configuration: the one place that says its kind, unit, default and consequence.

/// What a key's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A TOML string.
    Text,
    /// A whole number.
    Count,
    /// A string such as `"90s"`, `"10m"` or `"2h"`.
    Duration,
    /// An array of strings.
    List,
}

impl Kind {
    /// The kind as messages name it.
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::Count => "a whole number without quotes",
            Self::Duration => "a duration in quotes, such as \"90s\", \"10m\" or \"2h\"",
            Self::List => "a list of texts, such as [\"a\", \"b\"]",
        }
    }
}

/// One key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    /// Dotted name: `section.key`.
    pub(crate) name: &'static str,
    /// What its value looks like.
    pub(crate) kind: Kind,
    /// In what the value is measured, or what it holds.
    pub(crate) unit: &'static str,
    /// The value without the key, as TOML or in words.
    pub(crate) default: &'static str,
    /// What follows from it.
    pub(crate) consequence: &'static str,
}

/// The sections that keys stand in.
pub(crate) const SECTIONS: [&str; 8] =
    ["limits", "ssh", "session", "certificates", "recordings", "space", "vault", "metrics"];

/// Keys whose new values SIGHUP takes; the others need a restart.
pub(crate) const RELOADED: [&str; 12] = [
    "public_address",
    "log_level",
    "limits.login_grace",
    "limits.half_open",
    "limits.half_open_per_source",
    "limits.half_open_per_second",
    "limits.idle",
    "ssh.key_exchange",
    "ssh.macs",
    "session.accept_env",
    "session.drain",
    "certificates.longest",
];

/// All keys, in the order of the reference page.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "node",
        kind: Kind::Text,
        unit: "1 to 64 letters, digits, dots, hyphens and underscores",
        default: "the machine's host name",
        consequence: "The name of this node in every event. Changing it changes what later events carry, \
            never earlier ones.",
    },
    Key {
        name: "listen",
        kind: Kind::List,
        unit: "addresses with port (\"0.0.0.0:2222\", \"[::]:2222\")",
        default: "[\"0.0.0.0:2222\"]",
        consequence: "Where SSH clients reach Bartizan. Port 0 lets the system choose; the log line \
            `listening` then tells which.",
    },
    Key {
        name: "public_address",
        kind: Kind::Text,
        unit: "host or host:port as clients write it",
        default: "the first address of `listen`; where that is every address (`0.0.0.0`), the machine's host name with its port",
        consequence: "What `bartizan ssh-config` prints as the jump host. Nothing else depends on it.",
    },
    Key {
        name: "database",
        kind: Kind::Text,
        unit: "`sqlite`, or \"postgres://USER@HOST[:PORT]/DATABASE\" with `?sslmode=verify-full` and \
            `&sslrootcert=FILE` where wanted; no password",
        default: "\"sqlite\"",
        consequence: "Where people, targets, grants, stored credentials and the index are kept: in `bartizan.db` and `index.db` of \
            the data folder, or in a PostgreSQL database (13 or newer) that is Bartizan's alone. What one holds is not \
            copied to the other. The audit log and recordings stay in the data folder.",
    },
    Key {
        name: "database_password_file",
        kind: Kind::Text,
        unit: "path of a file with the password, absolute",
        default: "the environment variable `PGPASSWORD`, if set",
        consequence: "How Bartizan proves to PostgreSQL who it is. The file must be its owner's alone.",
    },
    Key {
        name: "log_level",
        kind: Kind::Text,
        unit: "`error`, `warn`, `info`, `debug`, `trace`, or directives such as \"info,bartizan_gateway=debug\"",
        default: "\"info\"",
        consequence: "How much the server tells on standard error about itself. The audit log does not \
            depend on it.",
    },
    Key {
        name: "workers",
        kind: Kind::Count,
        unit: "threads, 1 to 1024",
        default: "the number of CPUs",
        consequence: "How many threads relay sessions. A session stays on one of them.",
    },
    Key {
        name: "limits.login_grace",
        kind: Kind::Duration,
        unit: "from 1s to 1h",
        default: "\"60s\"",
        consequence: "A connection that has not authenticated by then is closed.",
    },
    Key {
        name: "limits.half_open",
        kind: Kind::Count,
        unit: "connections, 1 to 1000000",
        default: "2048",
        consequence: "How many connections may be unauthenticated at once, over all sources; further ones \
            are refused with an event.",
    },
    Key {
        name: "limits.half_open_per_source",
        kind: Kind::Count,
        unit: "connections, 1 to 1000000",
        default: "128",
        consequence: "The same for one source address (for IPv6: one /64).",
    },
    Key {
        name: "limits.half_open_per_second",
        kind: Kind::Count,
        unit: "connections, 1 to 1000000",
        default: "20",
        consequence: "How many connections one source may open in a second, and five times as many at once; those that log in \
            are not counted. Further ones wait for 5 s at most and are then closed before any cryptography.",
    },
    Key {
        name: "limits.idle",
        kind: Kind::Duration,
        unit: "from 1s to 720h",
        default: "no limit",
        consequence: "A session or console in which no byte of data passes either way for so long ends, and the person and \
            `session.end` are told why. Keepalives do not count, so a program that says nothing for that long is ended as \
            well, and so is a connection kept open for later (ControlPersist).",
    },
    Key {
        name: "ssh.key_exchange",
        kind: Kind::List,
        unit: "names of methods: `mlkem768x25519-sha256`, `curve25519-sha256`, `curve25519-sha256@libssh.org`, \
            `ecdh-sha2-nistp256`, `ecdh-sha2-nistp384`, `ecdh-sha2-nistp521`",
        default: "[\"mlkem768x25519-sha256\", \"curve25519-sha256\", \"curve25519-sha256@libssh.org\"]",
        consequence: "How keys are agreed on with clients; the client's order decides. \
            The first alone also withstands quantum computers to come, and needs OpenSSH 9.9 or later. \
            The last three are for clients that must use NIST curves. Targets are offered all of them.",
    },
    Key {
        name: "ssh.macs",
        kind: Kind::List,
        unit: "names of MACs: `hmac-sha2-256-etm@openssh.com`, `hmac-sha2-512-etm@openssh.com`, \
            `hmac-sha2-256`, `hmac-sha2-512`",
        default: "[\"hmac-sha2-256-etm@openssh.com\", \"hmac-sha2-512-etm@openssh.com\"]",
        consequence: "What protects AES-CTR with clients that have no AES-GCM and no ChaCha20-Poly1305. \
            The last two are for clients that know no better, such as libssh2 before 1.11 (`curl sftp://` of Debian 12); \
            ssh-audit warns of them. Targets are offered all of them.",
    },
    Key {
        name: "session.accept_env",
        kind: Kind::List,
        unit: "names of environment variables; `*` at the end stands for any rest",
        default: "[\"LANG\", \"LC_*\", \"COLORTERM\", \"NO_COLOR\", \"GIT_PROTOCOL\"]",
        consequence: "Which variables a client may set on a target (`SendEnv`). Others are refused and \
            noted in the log. Names that steer programs (`LD_*`, `PATH`, `BASH_ENV` and the like) are \
            dangerous where a target accepts them.",
    },
    Key {
        name: "session.drain",
        kind: Kind::Duration,
        unit: "from 0s to 24h",
        default: "\"30s\"",
        consequence: "When the server is told to stop (SIGTERM), nothing new begins, `/readyz` says so, people at \
            terminals are told, and live sessions get so long to end by themselves; then they are ended, each with \
            its end on record. A second signal, half a second later or more, cuts it short. systemd's `TimeoutStopSec` must be longer by 20 s.",
    },
    Key {
        name: "certificates.longest",
        kind: Kind::Duration,
        unit: "from 1m to 8760h",
        default: "\"24h\"",
        consequence: "For how long a certificate may be valid that `bartizan cert issue` gives a person. Those that \
            are out already, and those of other CAs, stay as they are.",
    },
    Key {
        name: "recordings.keep",
        kind: Kind::Text,
        unit: "days, such as \"400d\", at least \"1d\"",
        default: "for ever",
        consequence: "A recording is removed so long after its session's end. The audit log keeps all events, lengths \
            and digests, and says when and why the recording was removed.",
    },
    Key {
        name: "recordings.keep_size",
        kind: Kind::Text,
        unit: "a size, such as \"500GiB\" or \"2TiB\", at least \"1MiB\"",
        default: "without bound",
        consequence: "When recordings take more on the disk, the oldest of ended sessions are removed until they do \
            not, each with an event. Live sessions are never touched, so more can be taken for a while.",
    },
    Key {
        name: "space.low",
        kind: Kind::Text,
        unit: "a share of the data folder's file system, at most 90%, and a size: the smaller counts",
        default: "\"20%, 5GiB\"",
        consequence: "With less than that free, `space.low` is logged and `/metrics` says so: somebody should act.",
    },
    Key {
        name: "space.full",
        kind: Kind::Text,
        unit: "the same, and not more than `space.low`",
        default: "\"5%, 1GiB\"",
        consequence: "With less than that free, new sessions are refused and told why, `/readyz` fails and `space.full` is \
            logged. Break-glass grants pass, with events of their own. Live sessions go on until they cannot be recorded. \
            What their ends need is reserved ahead. With an eighth more free it is over by itself (`space.ok`).",
    },
    Key {
        name: "vault.master_key",
        kind: Kind::Text,
        unit: "path of a file with 64 hexadecimal digits, absolute",
        default: "the file named by `BARTIZAN_MASTER_KEY_FILE`, else systemd's credential `bartizan-master-key`, \
            else `keys/master`",
        consequence: "The key that wraps the key of all stored passwords and private keys. Without it they are \
            lost: back it up, and not beside the database. `bartizan vault rotate` writes a new one in its place.",
    },
    Key {
        name: "metrics.listen",
        kind: Kind::List,
        unit: "addresses with port (\"127.0.0.1:9222\")",
        default: "[]",
        consequence: "Where `/metrics`, `/healthz` and `/readyz` answer over HTTP to whoever asks, and nothing else \
            does. They are on `admin.sock` always. [What they tell](metrics.md) names nobody.",
    },
];
