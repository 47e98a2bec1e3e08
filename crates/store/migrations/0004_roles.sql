-- Roles, who has them, labels of targets, and grants to roles.
CREATE TABLE roles (
    name TEXT PRIMARY KEY NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE role_members (
    role TEXT NOT NULL REFERENCES roles (name),
    person TEXT NOT NULL REFERENCES people (name),
    PRIMARY KEY (role, person)
);
CREATE INDEX role_members_by_person ON role_members (person);

-- A JSON object of texts.
ALTER TABLE targets ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';

-- A grant is for a person or for a role. The column `person` could not be empty before.
CREATE TABLE grants_0004 (
    id TEXT PRIMARY KEY NOT NULL,
    person TEXT REFERENCES people (name),
    role TEXT REFERENCES roles (name),
    -- A name, a glob or labels; only a name refers to a row of targets.
    target TEXT NOT NULL,
    logins TEXT,
    permissions TEXT NOT NULL,
    sources TEXT NOT NULL,
    expires BIGINT,
    recording TEXT NOT NULL,
    created BIGINT NOT NULL,
    CHECK ((person IS NULL) <> (role IS NULL))
);
INSERT INTO grants_0004 (id, person, target, logins, permissions, sources, expires, recording, created)
    SELECT id, person, target, logins, permissions, sources, expires, recording, created FROM grants;
DROP TABLE grants;
ALTER TABLE grants_0004 RENAME TO grants;
CREATE INDEX grants_by_person ON grants (person);
CREATE INDEX grants_by_role ON grants (role);
CREATE INDEX grants_by_target ON grants (target);
