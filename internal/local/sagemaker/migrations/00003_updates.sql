-- What updates need: what one under way brings, and which copies run and hold a place on a variant's instances.

-- +goose Up
ALTER TABLE sm_component ADD COLUMN wish   TEXT    NOT NULL DEFAULT ''; -- the body that an update brings, '' when none is under way
ALTER TABLE sm_component ADD COLUMN copies INTEGER NOT NULL DEFAULT 0;  -- of a base, that run
ALTER TABLE sm_component ADD COLUMN placed INTEGER NOT NULL DEFAULT 0;  -- of a base, that hold a place by its body
ALTER TABLE sm_component ADD COLUMN surge  INTEGER NOT NULL DEFAULT 0;  -- and by its wish
UPDATE sm_component SET copies = ifnull(json_extract(body, '$.RuntimeConfig.CopyCount'), 1) WHERE base = '' AND status = 'InService';
UPDATE sm_component SET placed = copies;

ALTER TABLE sm_endpoint ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE sm_endpoint ADD COLUMN wish   TEXT NOT NULL DEFAULT ''; -- config, variants and settings that an update brings, '' when none is under way

-- +goose Down
SELECT 'forward only';
