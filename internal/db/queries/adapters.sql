-- name: PutAdapter :one
INSERT INTO adapter (tenant, name, about, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT (tenant, name) DO UPDATE SET about = CASE WHEN excluded.about = '' THEN adapter.about ELSE excluded.about END, removed_at = NULL
RETURNING *;

-- name: VersionByDigest :one
SELECT * FROM version WHERE adapter_id = ? AND digest = ?;

-- name: AddVersion :one
INSERT INTO version (adapter_id, number, digest, rank, alpha, targets, bytes, prompts, created_at)
VALUES (sqlc.arg(adapter_id), (SELECT coalesce(max(v.number), 0) + 1 FROM version v WHERE v.adapter_id = sqlc.arg(adapter_id)), sqlc.arg(digest), sqlc.arg(rank), sqlc.arg(alpha), sqlc.arg(targets), sqlc.arg(bytes), sqlc.arg(prompts), sqlc.arg(created_at))
RETURNING *;

-- name: Version :one
SELECT * FROM version WHERE id = ?;

-- name: Adapter :one
SELECT * FROM adapter WHERE id = ?;

-- name: SetVersionArchive :exec
UPDATE version SET archive_digest = ?, archive_bytes = ? WHERE id = ?;

-- name: AdapterOfVersion :one
SELECT a.name FROM version v JOIN adapter a ON a.id = v.adapter_id WHERE v.id = ?;

-- The adapters before one, newest first, and how many versions each has.
-- name: AdaptersBefore :many
SELECT sqlc.embed(a), (SELECT count(*) FROM version v WHERE v.adapter_id = a.id) AS versions
FROM adapter a WHERE a.id < sqlc.arg(before) AND a.removed_at IS NULL ORDER BY a.id DESC LIMIT sqlc.arg(most);

-- name: VersionsOf :many
SELECT * FROM version WHERE adapter_id = ? ORDER BY number DESC;

-- name: RemoveAdapter :exec
UPDATE adapter SET removed_at = ? WHERE id = ? AND removed_at IS NULL;

-- name: LiveDeploymentsOfAdapter :one
SELECT count(*) FROM deployment d JOIN version v ON v.id = d.version_id WHERE v.adapter_id = ? AND d.ended_at IS NULL;

-- How many versions of adapters that are kept, and open uploads, have this content.
-- name: KeptUsesOfDigest :one
SELECT CAST((SELECT count(*) FROM version v JOIN adapter a ON a.id = v.adapter_id WHERE v.digest = sqlc.arg(digest) AND a.removed_at IS NULL)
    + (SELECT count(*) FROM upload u WHERE u.digest = sqlc.arg(digest) AND u.ended_at IS NULL) AS INTEGER);
