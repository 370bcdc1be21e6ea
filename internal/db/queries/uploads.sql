-- name: AddUpload :one
INSERT INTO upload (person, kind, name, fingerprint, state, created_at, touched_at) VALUES (?, ?, ?, ?, 'receiving', ?, ?)
RETURNING *;

-- name: AddUploadFile :exec
INSERT INTO upload_file (upload_id, n, path, size, keep, why) VALUES (?, ?, ?, ?, ?, ?);

-- name: Upload :one
SELECT * FROM upload WHERE id = ?;

-- name: UploadFiles :many
SELECT * FROM upload_file WHERE upload_id = ? ORDER BY n;

-- name: UploadFile :one
SELECT * FROM upload_file WHERE upload_id = ? AND n = ?;

-- name: SameUpload :one
SELECT * FROM upload WHERE person = ? AND fingerprint = ? AND state IN ('receiving', 'reading', 'ready');

-- name: OpenUploads :many
SELECT * FROM upload WHERE state IN ('receiving', 'reading', 'ready') ORDER BY id DESC;

-- name: UploadsToEnd :many
SELECT * FROM upload WHERE state IN ('receiving', 'reading', 'ready', 'refused') AND ended_at IS NULL AND touched_at < ? ORDER BY id;

-- name: TouchUpload :exec
UPDATE upload SET touched_at = ? WHERE id = ?;

-- name: NoteUpload :exec
UPDATE upload SET state = ?, note = ? WHERE id = ? AND state IN ('receiving', 'reading');

-- name: UploadReady :execrows
UPDATE upload SET state = 'ready', note = '', digest = ?, left_out = ?, touched_at = ? WHERE id = ? AND state IN ('receiving', 'reading');

-- name: RefuseUpload :execrows
UPDATE upload SET state = 'refused', reason = ?, left_out = ?, touched_at = ? WHERE id = ? AND state IN ('receiving', 'reading');

-- name: ShipUpload :execrows
UPDATE upload SET state = 'shipped', job_id = ?, ended_at = ? WHERE id = ? AND state = 'ready';

-- name: EndUpload :exec
UPDATE upload SET state = CASE WHEN state = 'refused' THEN state ELSE 'discarded' END, ended_at = ? WHERE id = ? AND ended_at IS NULL;

-- How many versions and open uploads have this content.
-- name: UsesOfDigest :one
SELECT CAST((SELECT count(*) FROM version v WHERE v.digest = sqlc.arg(digest))
    + (SELECT count(*) FROM upload u WHERE u.digest = sqlc.arg(digest) AND u.ended_at IS NULL) AS INTEGER);

-- name: VersionsNamed :many
SELECT v.number, v.digest FROM version v JOIN adapter a ON a.id = v.adapter_id WHERE a.tenant = ? AND a.name = ? ORDER BY v.number;
