-- Counts a call that is the same as the newest of its job, with the same answer; none are changed when it is another.
-- name: RepeatCall :execrows
UPDATE call SET times = times + 1, last_at = sqlc.arg(at), took_us = sqlc.arg(took_us), request_id = sqlc.arg(request_id)
WHERE id = (SELECT max(c.id) FROM call c WHERE c.job_id = sqlc.arg(job_id))
  AND call.step = sqlc.arg(step) AND call.service = sqlc.arg(service) AND call.operation = sqlc.arg(operation)
  AND call.request = sqlc.arg(request) AND call.answer = sqlc.arg(answer) AND call.status = sqlc.arg(status);

-- name: AddCall :exec
INSERT INTO call (job_id, step, service, operation, request, answer, status, failed, request_id, took_us, at, last_at)
VALUES (sqlc.arg(job_id), sqlc.arg(step), sqlc.arg(service), sqlc.arg(operation), sqlc.arg(request), sqlc.arg(answer), sqlc.arg(status),
    sqlc.arg(failed), sqlc.arg(request_id), sqlc.arg(took_us), sqlc.arg(at), sqlc.arg(at));

-- The newest calls of a job, oldest first.
-- name: CallsOfJob :many
SELECT * FROM (SELECT * FROM call c WHERE c.job_id = ? ORDER BY c.id DESC LIMIT ?) ORDER BY id;
