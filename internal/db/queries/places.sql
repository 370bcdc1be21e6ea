-- name: PutPlace :exec
INSERT INTO place (id, name, account, region, local, bucket) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, local = excluded.local, bucket = excluded.bucket;

-- name: Places :many
SELECT * FROM place ORDER BY local, name;

-- name: Place :one
SELECT * FROM place WHERE id = ?;

-- name: SetPlaceSynced :exec
UPDATE place SET synced_at = ?, trouble = '' WHERE id = ?;

-- name: SetPlaceTrouble :exec
UPDATE place SET trouble = ? WHERE id = ?;

-- name: PutEndpoint :exec
INSERT INTO endpoint (place_id, name, arn, config_name, status, failure_reason, variant, instance_type, instance_count, created_at, modified_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (place_id, name) DO UPDATE SET arn = excluded.arn, config_name = excluded.config_name, status = excluded.status,
    failure_reason = excluded.failure_reason, variant = excluded.variant, instance_type = excluded.instance_type,
    instance_count = excluded.instance_count, created_at = excluded.created_at, modified_at = excluded.modified_at;

-- name: DropEndpoint :exec
DELETE FROM endpoint WHERE place_id = ? AND name = ?;

-- name: Endpoints :many
SELECT * FROM endpoint ORDER BY place_id, name;

-- name: EndpointsIn :many
SELECT * FROM endpoint WHERE place_id = ? ORDER BY name;
