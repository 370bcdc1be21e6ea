-- name: AddComparison :one
INSERT INTO comparison (place_id, endpoint, base_name, request, state, created_at) VALUES (?, ?, ?, ?, 'running', ?)
RETURNING *;

-- name: AddPane :exec
INSERT INTO pane (comparison_id, n, component, label, state) VALUES (?, ?, ?, ?, 'running');

-- name: EndPane :exec
UPDATE pane SET state = ?, text = ?, finish = ?, trouble = ?, tokens_in = ?, tokens_out = ?, ttft_us = ?, took_us = ?
WHERE comparison_id = ? AND n = ?;

-- name: EndComparison :exec
UPDATE comparison SET state = ?, ended_at = ? WHERE id = ? AND state = 'running';

-- name: InterruptPanes :exec
UPDATE pane SET state = 'interrupted' WHERE state = 'running';

-- name: InterruptComparisons :exec
UPDATE comparison SET state = 'interrupted', ended_at = ? WHERE state = 'running';

-- name: Comparison :one
SELECT * FROM comparison WHERE id = ?;

-- name: Panes :many
SELECT * FROM pane WHERE comparison_id = ? ORDER BY n;

-- name: NewestComparisons :many
SELECT * FROM comparison ORDER BY id DESC LIMIT ?;
