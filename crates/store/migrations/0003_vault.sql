-- Stored credentials of targets. Secrets are AES-256-GCM under a data key, which itself is wrapped by a master key
-- that is in no database.
CREATE TABLE vault_key (
    -- One row at most.
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    -- Which master key wraps it; tells nothing of the key itself.
    master TEXT NOT NULL,
    wrapped BLOB NOT NULL
);

CREATE TABLE credentials (
    target TEXT NOT NULL REFERENCES targets (name),
    login TEXT NOT NULL,
    kind TEXT NOT NULL,
    public_key TEXT,
    fingerprint TEXT,
    added BIGINT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (target, login)
);
