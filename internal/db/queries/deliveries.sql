-- What an event tells of the job that has just ended. The component's name is in the arguments of every kind of job.
-- name: JobToTell :one
SELECT j.*, p.name AS place, CAST(coalesce(s.name, '') AS TEXT) AS step_name,
    CAST(coalesce(json_extract(j.args, '$.component'), '') AS TEXT) AS component,
    CAST(coalesce(o.verdict, '') AS TEXT) AS verdict, CAST(coalesce(o.reason, '') AS TEXT) AS verdict_reason
FROM job j
JOIN place p ON p.id = j.place_id
LEFT JOIN step s ON s.job_id = j.id AND s.n = j.step
LEFT JOIN proof o ON o.job_id = j.id AND o.created_at >= coalesce(j.retried_at, 0)
WHERE j.id = ?;

-- name: AddDelivery :exec
INSERT INTO delivery (id, job_id, event, body, state, next_at, created_at) VALUES (?, ?, ?, ?, 'waiting', ?, ?);

-- name: DueDeliveries :many
SELECT * FROM delivery WHERE state = 'waiting' AND next_at <= ? ORDER BY next_at, id LIMIT ?;

-- name: NextDeliveryAt :one
SELECT CAST(coalesce(min(next_at), 0) AS INTEGER) FROM delivery WHERE state = 'waiting';

-- name: DeliveryTried :exec
UPDATE delivery SET state = ?, attempts = attempts + 1, answer = ?, next_at = ?, ended_at = ? WHERE id = ?;

-- name: DeliveriesOfJob :many
SELECT * FROM delivery WHERE job_id = ? ORDER BY created_at, event;

-- name: DropDeliveries :exec
DELETE FROM delivery WHERE created_at < ?;
