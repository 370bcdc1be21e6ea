-- What the platform has done once and is not to do again.

-- +goose Up
CREATE TABLE IF NOT EXISTS local_marker (
	name TEXT NOT NULL PRIMARY KEY
) STRICT;
