-- name: PutComponent :exec
INSERT INTO component (place_id, name, arn, endpoint, base_name, model_name, artifact_url, status, failure_reason, copies, image, data_url, environment, model_config, tags, created_at, modified_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (place_id, arn, created_at) DO UPDATE SET endpoint = excluded.endpoint, base_name = excluded.base_name, model_name = excluded.model_name,
    artifact_url = excluded.artifact_url, status = excluded.status, failure_reason = excluded.failure_reason, copies = excluded.copies,
    image = excluded.image, data_url = excluded.data_url, environment = excluded.environment, model_config = excluded.model_config,
    tags = excluded.tags, modified_at = excluded.modified_at, gone_at = NULL;

-- name: Components :many
SELECT * FROM component WHERE gone_at IS NULL ORDER BY place_id, endpoint, created_at, name;

-- name: ComponentsIn :many
SELECT * FROM component WHERE place_id = ? AND gone_at IS NULL ORDER BY created_at, name;

-- name: ComponentNamed :one
SELECT * FROM component WHERE place_id = ? AND name = ? AND gone_at IS NULL;

-- name: MarkComponentGone :exec
UPDATE component SET gone_at = ? WHERE id = ? AND gone_at IS NULL;

-- name: SetEngineDied :exec
UPDATE component SET died_at = max(died_at, CAST(sqlc.arg(at) AS INTEGER)) WHERE place_id = sqlc.arg(place_id) AND name = sqlc.arg(name) AND gone_at IS NULL;

-- name: SetAdaptersForgotten :exec
UPDATE component SET forgot_at = max(forgot_at, CAST(sqlc.arg(at) AS INTEGER)) WHERE place_id = sqlc.arg(place_id) AND name = sqlc.arg(name) AND gone_at IS NULL;
