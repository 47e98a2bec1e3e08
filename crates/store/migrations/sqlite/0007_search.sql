-- Beside 0007_search.sql. INTEGER makes the position SQLite's own row number.
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
