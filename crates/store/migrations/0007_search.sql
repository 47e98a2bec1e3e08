-- The index in another form: its tables of events stand beside, in sqlite/ and postgres/. Nothing is carried over; the
-- server fills it again from the log at its next start.
DROP TABLE events;
DELETE FROM sessions;
UPDATE index_state SET next_position = 0;

-- When the events of each 1,024 positions were: clocks go back now and then, so positions alone do not tell.
CREATE TABLE event_times (
    first_position BIGINT PRIMARY KEY NOT NULL,
    earliest BIGINT NOT NULL,
    latest BIGINT NOT NULL
);

-- The address as digits that sort like addresses, so that a network is a range.
ALTER TABLE sessions ADD COLUMN source_key TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_by_login ON sessions (login, position);
CREATE INDEX sessions_by_source ON sessions (source_key, position);
