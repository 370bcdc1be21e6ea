-- name: AddDeployment :one
INSERT INTO deployment (version_id, place_id, endpoint, base_name, component_name, created_at) VALUES (?, ?, ?, ?, ?, ?)
RETURNING *;

-- name: Deployment :one
SELECT * FROM deployment WHERE id = ?;

-- name: LiveDeploymentNamed :one
SELECT * FROM deployment WHERE place_id = ? AND component_name = ? AND ended_at IS NULL;

-- name: SetDeploymentComponent :exec
UPDATE deployment SET component_arn = ?, component_created_at = ? WHERE id = ?;

-- name: EndDeployment :exec
UPDATE deployment SET ended_at = ? WHERE id = ? AND ended_at IS NULL;

-- What the deck shows of each live deployment: what it is, its newest job, and its newest proof's verdict.
-- name: LiveDeployments :many
SELECT d.id, d.place_id, d.endpoint, d.base_name, d.component_name, d.component_arn, d.component_created_at, d.created_at, d.ended_at,
    a.name AS adapter, a.tenant, a.about, v.number AS version, v.digest, v.rank, v.alpha, v.bytes,
    j.id AS job_id, j.kind AS job_kind, j.state AS job_state, j.reason AS job_reason,
    CAST(coalesce(s.name, '') AS TEXT) AS step_name, CAST(coalesce(s.note, '') AS TEXT) AS step_note,
    CAST(coalesce(p.verdict, '') AS TEXT) AS verdict, CAST(coalesce(p.reason, '') AS TEXT) AS verdict_reason,
    CAST(coalesce(p.created_at, 0) AS INTEGER) AS proved_at, CAST(coalesce(p.job_id, 0) AS INTEGER) AS proof_job_id,
    CAST(coalesce(p.component_modified_at, 0) AS INTEGER) AS proof_component_modified_at,
    CAST(coalesce(p.base_modified_at, 0) AS INTEGER) AS proof_base_modified_at
FROM deployment d
JOIN version v ON v.id = d.version_id
JOIN adapter a ON a.id = v.adapter_id
JOIN job j ON j.id = (SELECT max(k.id) FROM job k WHERE k.deployment_id = d.id)
LEFT JOIN step s ON s.job_id = j.id AND s.n = j.step
LEFT JOIN proof p ON p.id = (SELECT max(o.id) FROM proof o WHERE o.deployment_id = d.id)
WHERE d.ended_at IS NULL
ORDER BY d.created_at, d.id;

-- The same of deployments from one number to another, newest first, with those that have ended unless only live ones are asked for.
-- name: DeploymentsBetween :many
SELECT d.id, d.place_id, d.endpoint, d.base_name, d.component_name, d.component_arn, d.component_created_at, d.created_at, d.ended_at,
    a.name AS adapter, a.tenant, a.about, v.number AS version, v.digest, v.rank, v.alpha, v.bytes,
    j.id AS job_id, j.kind AS job_kind, j.state AS job_state, j.reason AS job_reason,
    CAST(coalesce(s.name, '') AS TEXT) AS step_name, CAST(coalesce(s.note, '') AS TEXT) AS step_note,
    CAST(coalesce(p.verdict, '') AS TEXT) AS verdict, CAST(coalesce(p.reason, '') AS TEXT) AS verdict_reason,
    CAST(coalesce(p.created_at, 0) AS INTEGER) AS proved_at, CAST(coalesce(p.job_id, 0) AS INTEGER) AS proof_job_id,
    CAST(coalesce(p.component_modified_at, 0) AS INTEGER) AS proof_component_modified_at,
    CAST(coalesce(p.base_modified_at, 0) AS INTEGER) AS proof_base_modified_at
FROM deployment d
JOIN version v ON v.id = d.version_id
JOIN adapter a ON a.id = v.adapter_id
JOIN job j ON j.id = (SELECT max(k.id) FROM job k WHERE k.deployment_id = d.id)
LEFT JOIN step s ON s.job_id = j.id AND s.n = j.step
LEFT JOIN proof p ON p.id = (SELECT max(o.id) FROM proof o WHERE o.deployment_id = d.id)
WHERE d.id BETWEEN CAST(sqlc.arg(first) AS INTEGER) AND CAST(sqlc.arg(last) AS INTEGER)
    AND (d.ended_at IS NULL OR CAST(sqlc.arg(live) AS INTEGER) = 0)
ORDER BY d.id DESC LIMIT sqlc.arg(most);

-- name: PutProof :one
INSERT INTO proof (deployment_id, job_id, component_arn, component_created_at, component_modified_at, base_modified_at, digest, probe_set, verdict, reason, result, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (job_id) DO UPDATE SET component_arn = excluded.component_arn, component_created_at = excluded.component_created_at,
    component_modified_at = excluded.component_modified_at, base_modified_at = excluded.base_modified_at, probe_set = excluded.probe_set,
    verdict = excluded.verdict, reason = excluded.reason, result = excluded.result, created_at = excluded.created_at
RETURNING *;

-- name: ProofOfJob :one
SELECT * FROM proof WHERE job_id = ?;

-- name: NewestProof :one
SELECT * FROM proof WHERE deployment_id = ? ORDER BY id DESC LIMIT 1;

-- The newest proof of a component that was shipped from here, with the component and its base as last seen.
-- name: ProofStanding :one
SELECT sqlc.embed(p), sqlc.embed(c), sqlc.embed(b)
FROM deployment d
JOIN proof p ON p.deployment_id = d.id
JOIN component c ON c.place_id = d.place_id AND c.name = d.component_name AND c.gone_at IS NULL
JOIN component b ON b.place_id = d.place_id AND b.name = d.base_name AND b.gone_at IS NULL
WHERE d.place_id = ? AND d.component_name = ? AND d.ended_at IS NULL
ORDER BY p.id DESC LIMIT 1;
