-- What became known of a base's engine. The service goes on saying InService when it has died and come back without its adapters, so
-- this is told by answers alone. A proof that is not newer no longer counts; a later lifetime of the component is a row of its own.

-- +goose Up
ALTER TABLE component ADD COLUMN died_at INTEGER NOT NULL DEFAULT 0;   -- of a base: when it last answered that its engine had died; 0 for never
ALTER TABLE component ADD COLUMN forgot_at INTEGER NOT NULL DEFAULT 0; -- when an adapter that had been known was last answered not to be: on a base for all of its adapters, on an adapter for it alone

-- +goose Down
SELECT 'forward only';
