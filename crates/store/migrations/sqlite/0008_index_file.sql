-- Beside 0008_index_file.sql. The server fills the new file from the log.
DROP TABLE events;
DROP TABLE event_terms;
DROP TABLE event_times;
DROP TABLE sessions;
DROP TABLE index_state;
