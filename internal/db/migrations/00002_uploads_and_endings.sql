-- Uploads, the log of what was said to AWS, webhooks, and jobs that can be cancelled and tried again.

-- +goose Up
-- Three tables get a new word for how something ended. SQLite has no statement for changing a CHECK; editing its text in the
-- schema is the way its documentation gives for changes that leave the stored rows alone (https://sqlite.org/lang_altertable.html,
-- "Making Other Kinds Of Table Schema Changes"), and unlike making the tables anew it works inside the migration's transaction.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''done'', ''failed''))', '''done'', ''failed'', ''cancelled''))') WHERE type = 'table' AND name IN ('job', 'step');
UPDATE sqlite_schema SET sql = replace(sql, '''crashed'', ''stopped''))', '''crashed'', ''stopped'', ''cancelled''))') WHERE type = 'table' AND name = 'attempt';
PRAGMA writable_schema = RESET;

-- Whom a job concerns, as named when it was added: the list filters by them.
ALTER TABLE job ADD COLUMN adapter TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN base TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN cancel_asked_at INTEGER; -- since when it is to stop: "cancelling" while it is queued or running
ALTER TABLE job ADD COLUMN retried_at INTEGER;      -- when a person asked to try again: older attempts no longer count
UPDATE job SET
    base = coalesce((SELECT d.base_name FROM deployment d WHERE d.id = job.deployment_id), ''),
    adapter = coalesce((SELECT a.name FROM deployment d JOIN version v ON v.id = d.version_id JOIN adapter a ON a.id = v.adapter_id WHERE d.id = job.deployment_id), '');
CREATE INDEX job_by_state ON job (state, id);
CREATE INDEX job_by_adapter ON job (adapter, id);
CREATE INDEX job_by_base ON job (base, id);
CREATE INDEX job_by_place ON job (place_id, id);
CREATE INDEX job_by_adapter_state ON job (adapter, state, id);
CREATE INDEX job_by_base_state ON job (base, state, id);
CREATE INDEX job_by_place_state ON job (place_id, state, id);
CREATE INDEX job_by_kind ON job (place_id, kind, state, id);

-- One drop of an adapter: a folder file by file, or one archive. How much of a file is here is the size of its part file in
-- the spool and stands nowhere else.
CREATE TABLE upload (
    id          INTEGER NOT NULL PRIMARY KEY,
    person      TEXT    NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('folder', 'archive')),
    name        TEXT    NOT NULL,              -- proposed for the adapter, from the folder's or the archive's name
    fingerprint TEXT    NOT NULL,              -- of the names, sizes and times: dropping the same again goes on
    state       TEXT    NOT NULL CHECK (state IN ('receiving', 'reading', 'ready', 'refused', 'shipped', 'discarded')),
    reason      TEXT    NOT NULL DEFAULT '',   -- why it was refused, for people
    note        TEXT    NOT NULL DEFAULT '',   -- what is being read now
    digest      TEXT    NOT NULL DEFAULT '',   -- of the kept files, once all are here: versions/DIGEST in the spool
    left_out    TEXT    NOT NULL DEFAULT '[]', -- JSON list of an archive's members that were left out: path, size, why
    job_id      INTEGER REFERENCES job (id),   -- the deployment it became
    created_at  INTEGER NOT NULL,
    touched_at  INTEGER NOT NULL,              -- last time anything arrived
    ended_at    INTEGER
) STRICT;
CREATE UNIQUE INDEX upload_same ON upload (person, fingerprint) WHERE state IN ('receiving', 'reading', 'ready');
CREATE INDEX upload_open ON upload (touched_at) WHERE state IN ('receiving', 'reading', 'ready', 'refused');

CREATE TABLE upload_file (
    upload_id INTEGER NOT NULL REFERENCES upload (id),
    n         INTEGER NOT NULL,
    path      TEXT    NOT NULL,
    size      INTEGER NOT NULL,
    keep      INTEGER NOT NULL,              -- 1 when it is sent
    why       TEXT    NOT NULL DEFAULT '',   -- why it is left out
    PRIMARY KEY (upload_id, n)
) STRICT, WITHOUT ROWID;

-- What a job said to AWS and what came back: names and sizes, no weights, prompts or secrets. The same call with the same
-- answer again and again is one row.
CREATE TABLE call (
    id         INTEGER NOT NULL PRIMARY KEY,
    job_id     INTEGER NOT NULL REFERENCES job (id),
    step       TEXT    NOT NULL,
    service    TEXT    NOT NULL,              -- s3, sagemaker, sagemaker-runtime
    operation  TEXT    NOT NULL,              -- CreateInferenceComponent
    request    TEXT    NOT NULL,              -- what was asked, one line
    answer     TEXT    NOT NULL,              -- what came back, one line
    status     INTEGER NOT NULL,              -- HTTP; 0 when nothing came back
    failed     INTEGER NOT NULL,
    request_id TEXT    NOT NULL,              -- AWS's own, of the newest
    took_us    INTEGER NOT NULL,              -- of the newest
    times      INTEGER NOT NULL DEFAULT 1,
    at         INTEGER NOT NULL,              -- of the first
    last_at    INTEGER NOT NULL               -- of the newest
) STRICT;
CREATE INDEX call_job ON call (job_id, id);

-- One event on its way to the webhook. It is stored with what it tells of, in one transaction, and sent afterwards.
CREATE TABLE delivery (
    id         TEXT    NOT NULL PRIMARY KEY,  -- webhook-id: the receiver tells repeats by it
    job_id     INTEGER NOT NULL REFERENCES job (id),
    event      TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'sent', 'given up')),
    attempts   INTEGER NOT NULL DEFAULT 0,
    next_at    INTEGER NOT NULL,
    answer     TEXT    NOT NULL DEFAULT '',   -- what the newest attempt brought, for people; '' before the first
    created_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_due ON delivery (next_at) WHERE state = 'waiting';
CREATE INDEX delivery_job ON delivery (job_id);

-- A removed adapter keeps its rows: its jobs and proofs stay readable.
ALTER TABLE adapter ADD COLUMN removed_at INTEGER;
CREATE INDEX version_digest ON version (digest);
CREATE INDEX deployment_version ON deployment (version_id);

-- +goose Down
SELECT 'forward only';
