-- 0 or 1: databases differ in how they spell truth.
ALTER TABLE grants ADD COLUMN break_glass BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN break_glass BIGINT NOT NULL DEFAULT 0;
-- When retention removed the recording.
ALTER TABLE sessions ADD COLUMN removed BIGINT;
