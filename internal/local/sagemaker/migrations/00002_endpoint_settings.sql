-- What an endpoint's config says besides its production variants, as it was at creation: shadow variants, data capture and so on.

-- +goose Up
ALTER TABLE sm_endpoint ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

-- +goose Down
SELECT 'forward only';
