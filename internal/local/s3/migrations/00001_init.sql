-- What the store knows about its buckets, objects and unfinished uploads. Times are Unix milliseconds. Keys are BLOBs: S3 orders
-- them by their UTF-8 bytes, and a key may hold a NUL.

-- +goose Up
CREATE TABLE bucket (
    name       TEXT    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE object (
    id            INTEGER NOT NULL PRIMARY KEY,
    bucket        TEXT    NOT NULL REFERENCES bucket (name),
    key           BLOB    NOT NULL,
    size          INTEGER NOT NULL,
    etag          TEXT    NOT NULL,              -- without quotes
    algorithm     TEXT    NOT NULL,              -- of checksum
    checksum      TEXT    NOT NULL,              -- base64, "-N" behind a composite one
    checksum_type TEXT    NOT NULL CHECK (checksum_type IN ('FULL_OBJECT', 'COMPOSITE')),
    headers       TEXT    NOT NULL,              -- JSON: what the writer sent and every reader gets back
    modified_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX object_key ON object (bucket, key);

CREATE TABLE upload (
    id            TEXT    NOT NULL PRIMARY KEY,
    bucket        TEXT    NOT NULL REFERENCES bucket (name),
    key           BLOB    NOT NULL,
    algorithm     TEXT    NOT NULL,              -- in which the parts are summed
    declared      INTEGER NOT NULL,              -- 1 when the writer chose the algorithm, 0 when it is the store's
    checksum_type TEXT    NOT NULL CHECK (checksum_type IN ('FULL_OBJECT', 'COMPOSITE')),
    headers       TEXT    NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_key ON upload (bucket, key, id);

-- The bytes of an object are its parts in order, one file each; completing an upload hands its parts to the object. A file
-- without a row is left over from a crash.
CREATE TABLE part (
    file        TEXT    NOT NULL PRIMARY KEY,
    object_id   INTEGER REFERENCES object (id) ON DELETE CASCADE,
    upload_id   TEXT    REFERENCES upload (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    etag        TEXT    NOT NULL,
    checksum    TEXT    NOT NULL,                -- base64, in the algorithm of its object or upload
    modified_at INTEGER NOT NULL,
    CHECK ((object_id IS NULL) <> (upload_id IS NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX part_object ON part (object_id, number) WHERE object_id IS NOT NULL;
CREATE UNIQUE INDEX part_upload ON part (upload_id, number) WHERE upload_id IS NOT NULL;
