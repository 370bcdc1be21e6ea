-- Uploads that were completed. A client whose answer was lost asks to complete once more, after a restart too, and hears the
-- same again. Rows go a week after.

-- +goose Up
CREATE TABLE finished (
    id            TEXT    NOT NULL PRIMARY KEY,
    bucket        TEXT    NOT NULL,
    key           BLOB    NOT NULL,
    parts         TEXT    NOT NULL,              -- SHA-256 of the numbers and ETags that were asked for, hex
    etag          TEXT    NOT NULL,              -- of the object that was made, like the rest
    algorithm     TEXT    NOT NULL,
    checksum      TEXT    NOT NULL,
    checksum_type TEXT    NOT NULL,
    finished_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX finished_at ON finished (finished_at);
