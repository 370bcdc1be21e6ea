-- The control plane of the local platform. Times are Unix milliseconds. Bodies are what the caller sent of the members that
-- are known, as JSON.

-- +goose Up
CREATE TABLE sm_endpoint_config (
    name       TEXT    NOT NULL PRIMARY KEY COLLATE NOCASE,
    body       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sm_model (
    name       TEXT    NOT NULL PRIMARY KEY COLLATE NOCASE,
    body       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sm_endpoint (
    name        TEXT    NOT NULL PRIMARY KEY COLLATE NOCASE,
    config      TEXT    NOT NULL,
    variants    TEXT    NOT NULL,             -- the config's, as they were at creation: it may be deleted
    status      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sm_component (
    name        TEXT    NOT NULL PRIMARY KEY COLLATE NOCASE,
    endpoint    TEXT    NOT NULL,
    variant     TEXT    NOT NULL,
    base        TEXT    NOT NULL DEFAULT '',  -- '' for a base
    body        TEXT    NOT NULL,             -- specification and runtime config
    status      TEXT    NOT NULL,
    reason      TEXT    NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sm_tag (
    arn   TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (arn, key)
) STRICT, WITHOUT ROWID;

-- +goose Down
SELECT 'forward only';
