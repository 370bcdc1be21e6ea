-- name: AddJob :one
INSERT INTO job (kind, title, claim, place_id, deployment_id, adapter, base, args, state, run_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?)
RETURNING *;

-- name: AddStep :exec
INSERT INTO step (job_id, n, name, state) VALUES (?, ?, ?, 'waiting');

-- The next job that is due and whose claim no older job holds.
-- name: ClaimJob :one
UPDATE job SET state = 'running', started_at = coalesce(started_at, CAST(sqlc.arg(now) AS INTEGER))
WHERE id = (
    SELECT q.id FROM job q
    WHERE q.state = 'queued' AND q.run_at <= CAST(sqlc.arg(now) AS INTEGER)
      AND NOT EXISTS (SELECT 1 FROM job o WHERE o.claim = q.claim AND o.id < q.id AND o.state IN ('queued', 'running'))
    ORDER BY q.run_at, q.id LIMIT 1)
RETURNING *;

-- name: NextRunAt :one
SELECT CAST(coalesce(min(q.run_at), 0) AS INTEGER) FROM job q
WHERE q.state = 'queued' AND NOT EXISTS (SELECT 1 FROM job o WHERE o.claim = q.claim AND o.id < q.id AND o.state IN ('queued', 'running'));

-- name: RunningJobs :many
SELECT * FROM job WHERE state = 'running' ORDER BY id;

-- name: RequeueJob :exec
UPDATE job SET state = 'queued', run_at = ? WHERE id = ? AND state = 'running';

-- name: AdvanceJob :exec
UPDATE job SET step = ? WHERE id = ?;

-- name: EndJob :exec
UPDATE job SET state = ?, reason = ?, ended_at = ? WHERE id = ?;

-- name: StartStep :exec
UPDATE step SET state = 'running', started_at = coalesce(started_at, ?) WHERE job_id = ? AND n = ?;

-- name: EndStep :exec
UPDATE step SET state = ?, note = ?, output = ?, ended_at = ? WHERE job_id = ? AND n = ?;

-- name: NoteStep :exec
UPDATE step SET note = ? WHERE job_id = ? AND n = ?;

-- name: SaveStepOutput :exec
UPDATE step SET output = ?, note = ? WHERE job_id = ? AND n = ?;

-- name: StartAttempt :one
INSERT INTO attempt (job_id, step, number, started_at, outcome)
VALUES (sqlc.arg(job_id), sqlc.arg(step), (SELECT coalesce(max(a.number), 0) + 1 FROM attempt a WHERE a.job_id = sqlc.arg(job_id) AND a.step = sqlc.arg(step)), sqlc.arg(started_at), 'running')
RETURNING number;

-- name: EndAttempt :exec
UPDATE attempt SET outcome = ?, reason = ?, ended_at = ? WHERE job_id = ? AND step = ? AND number = ?;

-- What an attempt is while it only waits for others, and again when its turn has come: a crash meanwhile finds it stopped.
-- name: SetAttempt :exec
UPDATE attempt SET outcome = ?, reason = ?, ended_at = ? WHERE job_id = ? AND step = ? AND number = ?;

-- name: CrashOpenAttempts :exec
UPDATE attempt SET outcome = 'crashed', reason = ?, ended_at = ? WHERE job_id = ? AND outcome = 'running';

-- An orderly stop costs no attempt, and neither does one that succeeded or came before a person asked to try again.
-- name: CountAttempts :one
SELECT count(*) FROM attempt a WHERE a.job_id = ? AND a.step = ? AND a.outcome NOT IN ('stopped', 'done', 'cancelled')
    AND a.started_at >= coalesce((SELECT j.retried_at FROM job j WHERE j.id = a.job_id), 0);

-- name: AskCancel :exec
UPDATE job SET cancel_asked_at = sqlc.arg(now), run_at = min(run_at, CAST(sqlc.arg(now) AS INTEGER)) WHERE id = sqlc.arg(id);

-- name: CancelOpenSteps :exec
UPDATE step SET state = 'cancelled', ended_at = ? WHERE job_id = ? AND state = 'running';

-- name: RetryJob :exec
UPDATE job SET state = 'queued', step = ?, run_at = ?, retried_at = ?, reason = '', ended_at = NULL WHERE id = ?;

-- name: ResetSteps :exec
UPDATE step SET state = 'waiting', note = '', output = '', started_at = NULL, ended_at = NULL WHERE job_id = ? AND n >= ?;

-- name: Job :one
SELECT * FROM job WHERE id = ?;

-- name: Steps :many
SELECT * FROM step WHERE job_id = ? ORDER BY n;

-- name: Attempts :many
SELECT * FROM attempt WHERE job_id = ? ORDER BY step, number;

-- name: JobsNumbered :many
SELECT j.*, CAST(coalesce(s.name, '') AS TEXT) AS step_name,
    (SELECT count(*) FROM step t WHERE t.job_id = j.id) AS steps,
    CAST(coalesce(p.verdict, '') AS TEXT) AS verdict
FROM job j
LEFT JOIN step s ON s.job_id = j.id AND s.n = j.step
LEFT JOIN proof p ON p.job_id = j.id
WHERE j.id IN (sqlc.slice('ids')) ORDER BY j.id DESC;

-- The adapters and the bases that were ever deployed, to choose from. They come from tables that do not grow with every job.
-- name: AdapterNames :many
SELECT DISTINCT name FROM adapter ORDER BY name LIMIT 500;

-- name: BaseNames :many
SELECT DISTINCT name FROM component WHERE base_name = '' ORDER BY name LIMIT 500;

-- name: ActiveJobs :many
SELECT j.*, CAST(coalesce(s.name, '') AS TEXT) AS step_name,
    (SELECT count(*) FROM step t WHERE t.job_id = j.id) AS steps, CAST(coalesce(s.started_at, 0) AS INTEGER) AS step_started_at,
    (SELECT count(*) FROM job o WHERE o.claim = j.claim AND o.id < j.id AND o.state IN ('queued', 'running')) AS ahead
FROM job j
LEFT JOIN step s ON s.job_id = j.id AND s.n = j.step
WHERE j.state IN ('queued', 'running') ORDER BY j.id;

-- name: NewestJobOfClaim :one
SELECT * FROM job WHERE claim = ? AND state IN ('queued', 'running') ORDER BY id DESC LIMIT 1;

-- How long each step took in the newest jobs of a kind in a place that ended well, newest first.
-- name: StepTimes :many
SELECT s.name, CAST(s.ended_at - s.started_at AS INTEGER) AS took
FROM (SELECT j.id FROM job j WHERE j.place_id = ? AND j.kind = ? AND j.state = 'done' ORDER BY j.id DESC LIMIT ?) d
JOIN step s ON s.job_id = d.id
WHERE s.state = 'done' AND s.started_at IS NOT NULL AND s.ended_at IS NOT NULL;

-- The job that a queued one waits for, because it has the same claim.
-- name: JobAhead :one
SELECT o.id, o.title FROM job o WHERE o.claim = ? AND o.id < ? AND o.state IN ('queued', 'running') ORDER BY o.id DESC LIMIT 1;

-- What the API tells of jobs: the same as an event of one (JobToTell).
-- name: JobsToTell :many
SELECT j.*, p.name AS place, CAST(coalesce(s.name, '') AS TEXT) AS step_name,
    CAST(coalesce(json_extract(j.args, '$.component'), '') AS TEXT) AS component,
    CAST(coalesce(o.verdict, '') AS TEXT) AS verdict, CAST(coalesce(o.reason, '') AS TEXT) AS verdict_reason
FROM job j
JOIN place p ON p.id = j.place_id
LEFT JOIN step s ON s.job_id = j.id AND s.n = j.step
LEFT JOIN proof o ON o.job_id = j.id AND o.created_at >= coalesce(j.retried_at, 0)
WHERE j.id IN (sqlc.slice('ids')) ORDER BY j.id DESC;
