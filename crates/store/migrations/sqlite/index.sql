-- The index in SQLite, in a file of its own: a projection of the audit log, every row of which can be built again. Its
-- version is counted in `sqlite/index_file.rs`. PostgreSQL's is made by 0002, 0005 and 0007.
CREATE TABLE index_state (
    next_position BIGINT NOT NULL
);
INSERT INTO index_state (next_position) VALUES (0);

-- INTEGER makes the position SQLite's own row number.
CREATE TABLE events (
    position INTEGER PRIMARY KEY NOT NULL,
    time BIGINT NOT NULL,
    json TEXT NOT NULL
);

-- Which events hold a term, and nothing else: no text, no places within a text. Terms are made by this program
-- (`store::terms`); the tokenizer only takes them apart at spaces.
CREATE VIRTUAL TABLE event_terms USING fts5(
    terms,
    content = '',
    columnsize = 0,
    detail = 'none',
    tokenize = "ascii tokenchars '.-_:=%'"
);

-- When the events of each 1,024 positions were: clocks go back now and then, so positions alone do not tell.
CREATE TABLE event_times (
    first_position BIGINT PRIMARY KEY NOT NULL,
    earliest BIGINT NOT NULL,
    latest BIGINT NOT NULL
);

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
    -- The address as digits that sort like addresses, so that a network is a range.
    source_key TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    exit_status BIGINT,
    reason TEXT,
    break_glass BIGINT NOT NULL DEFAULT 0,
    -- When retention removed the recording.
    removed BIGINT
);
CREATE UNIQUE INDEX sessions_by_position ON sessions (position);
CREATE INDEX sessions_by_person ON sessions (person, position);
CREATE INDEX sessions_by_target ON sessions (target, position);
CREATE INDEX sessions_by_state ON sessions (state, position);
CREATE INDEX sessions_by_login ON sessions (login, position);
CREATE INDEX sessions_by_source ON sessions (source_key, position);
