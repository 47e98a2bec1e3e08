-- Times are microseconds since 1970. Lists and enums with data are JSON as bartizan-model writes it.
CREATE TABLE directory_state (
    generation BIGINT NOT NULL
);
INSERT INTO directory_state (generation) VALUES (0);

CREATE TABLE people (
    name TEXT PRIMARY KEY NOT NULL,
    state TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE authorized_keys (
    fingerprint TEXT PRIMARY KEY NOT NULL,
    person TEXT NOT NULL REFERENCES people (name),
    public_key TEXT NOT NULL,
    comment TEXT NOT NULL,
    added BIGINT NOT NULL
);
CREATE INDEX authorized_keys_by_person ON authorized_keys (person);

CREATE TABLE trusted_cas (
    fingerprint TEXT PRIMARY KEY NOT NULL,
    public_key TEXT NOT NULL,
    comment TEXT NOT NULL,
    added BIGINT NOT NULL
);

CREATE TABLE targets (
    name TEXT PRIMARY KEY NOT NULL,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    host_key TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE grants (
    id TEXT PRIMARY KEY NOT NULL,
    person TEXT NOT NULL REFERENCES people (name),
    -- A name or a glob; only a name refers to a row of targets.
    target TEXT NOT NULL,
    logins TEXT,
    permissions TEXT NOT NULL,
    sources TEXT NOT NULL,
    expires BIGINT,
    recording TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX grants_by_person ON grants (person);
CREATE INDEX grants_by_target ON grants (target);
