-- Beside 0002_index.sql: free text is searched by trigrams where the extension can be had (contrib, PostgreSQL 13 or
-- newer, as the database's owner), and row by row where not. The answers are the same.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX events_by_words ON events USING gin (words gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'no trigrams: %', SQLERRM;
END
$$;
