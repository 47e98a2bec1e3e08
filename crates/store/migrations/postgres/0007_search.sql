-- Beside 0007_search.sql. Which events hold a term; terms are made by this program (`store::terms`).
CREATE TABLE events (
    position BIGINT PRIMARY KEY NOT NULL,
    time BIGINT NOT NULL,
    json TEXT COLLATE "C" NOT NULL,
    terms TSVECTOR NOT NULL
);
CREATE INDEX events_by_terms ON events USING gin (terms);
