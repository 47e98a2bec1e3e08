-- The projection of the audit log. Every row can be built again from the log.
CREATE TABLE index_state (
    next_position BIGINT NOT NULL
);
INSERT INTO index_state (next_position) VALUES (0);

CREATE TABLE events (
    position BIGINT PRIMARY KEY NOT NULL,
    time BIGINT NOT NULL,
    kind TEXT NOT NULL,
    -- 0 info, 1 notice, 2 warning, 3 high
    severity BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    person TEXT,
    login TEXT,
    target TEXT,
    session TEXT,
    source TEXT,
    -- All values in lower case, for searches.
    words TEXT NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX events_by_kind ON events (kind, position);
CREATE INDEX events_by_person ON events (person, position);
CREATE INDEX events_by_target ON events (target, position);
CREATE INDEX events_by_session ON events (session, position);
CREATE INDEX events_by_time ON events (time);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    -- Position of its session.start.
    position BIGINT NOT NULL,
    person TEXT NOT NULL,
    login TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    way TEXT NOT NULL,
    source TEXT NOT NULL,
    source_ip TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    exit_status BIGINT,
    reason TEXT
);
CREATE UNIQUE INDEX sessions_by_position ON sessions (position);
CREATE INDEX sessions_by_person ON sessions (person, position);
CREATE INDEX sessions_by_target ON sessions (target, position);
CREATE INDEX sessions_by_state ON sessions (state, position);
