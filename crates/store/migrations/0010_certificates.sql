-- User certificates that the people CA signed, until they have expired. Whoever it is for may be gone meanwhile.
CREATE TABLE certificates (
    serial BIGINT PRIMARY KEY NOT NULL,
    ca TEXT NOT NULL,
    key_id TEXT NOT NULL,
    person TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    valid_after BIGINT NOT NULL,
    valid_before BIGINT NOT NULL,
    sources TEXT NOT NULL,
    permits TEXT NOT NULL,
    issued BIGINT NOT NULL
);
CREATE INDEX certificates_by_end ON certificates (valid_before);

-- User certificates that are refused for good.
CREATE TABLE revocations (
    -- What is revoked: a JSON object.
    what TEXT PRIMARY KEY NOT NULL,
    added BIGINT NOT NULL,
    -- When that ends by itself, where it is known.
    ends BIGINT
);
