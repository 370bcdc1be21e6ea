-- The app's tables. Times are Unix milliseconds in UTC; JSON is TEXT; a column that may be unknown is '' or 0 rather than NULL,
-- except where "never happened" must be told apart.

-- +goose Up
CREATE TABLE place (
    id        TEXT    NOT NULL PRIMARY KEY,      -- partition:account:region
    name      TEXT    NOT NULL,
    account   TEXT    NOT NULL,
    region    TEXT    NOT NULL,
    local     INTEGER NOT NULL,
    bucket    TEXT    NOT NULL,                  -- where artifacts of this place go
    synced_at INTEGER NOT NULL DEFAULT 0,        -- last time the place answered in full
    trouble   TEXT    NOT NULL DEFAULT ''        -- why the newest look did not succeed; '' when it did
) STRICT;

CREATE TABLE endpoint (
    place_id       TEXT    NOT NULL REFERENCES place (id),
    name           TEXT    NOT NULL,
    arn            TEXT    NOT NULL,
    config_name    TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    failure_reason TEXT    NOT NULL DEFAULT '',
    variant        TEXT    NOT NULL DEFAULT '',
    instance_type  TEXT    NOT NULL DEFAULT '',
    instance_count INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    modified_at    INTEGER NOT NULL,
    PRIMARY KEY (place_id, name)
) STRICT, WITHOUT ROWID;

-- One row is one lifetime of a component: a name may be used again after its component is gone.
CREATE TABLE component (
    id             INTEGER NOT NULL PRIMARY KEY,
    place_id       TEXT    NOT NULL REFERENCES place (id),
    name           TEXT    NOT NULL,
    arn            TEXT    NOT NULL,
    endpoint       TEXT    NOT NULL,
    base_name      TEXT    NOT NULL DEFAULT '',  -- '' for a base
    model_name     TEXT    NOT NULL DEFAULT '',
    artifact_url   TEXT    NOT NULL DEFAULT '',
    status         TEXT    NOT NULL,
    failure_reason TEXT    NOT NULL DEFAULT '',
    copies         INTEGER NOT NULL DEFAULT 0,
    image          TEXT    NOT NULL DEFAULT '',  -- of a base: from its Model
    data_url       TEXT    NOT NULL DEFAULT '',
    environment    TEXT    NOT NULL DEFAULT '{}',
    model_config   TEXT    NOT NULL DEFAULT '',  -- of a base: config.json of its S3 prefix, '' when it could not be read
    tags           TEXT    NOT NULL DEFAULT '{}',
    created_at     INTEGER NOT NULL,
    modified_at    INTEGER NOT NULL,
    gone_at        INTEGER,                      -- when it was first missing from a complete list
    UNIQUE (place_id, arn, created_at)
) STRICT;
CREATE INDEX component_here ON component (place_id, name) WHERE gone_at IS NULL;

CREATE TABLE adapter (
    id         INTEGER NOT NULL PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    about      TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    UNIQUE (tenant, name)
) STRICT;

-- Immutable: the same content in the same adapter is the same version (digest of a manifest, never of gzip bytes).
CREATE TABLE version (
    id             INTEGER NOT NULL PRIMARY KEY,
    adapter_id     INTEGER NOT NULL REFERENCES adapter (id),
    number         INTEGER NOT NULL,
    digest         TEXT    NOT NULL,
    rank           INTEGER NOT NULL,
    alpha          REAL    NOT NULL,
    targets        TEXT    NOT NULL,             -- JSON list of module names
    bytes          INTEGER NOT NULL,             -- of the kept files
    prompts        TEXT    NOT NULL DEFAULT '[]',-- JSON list: the adapter's own sample prompts
    archive_digest TEXT    NOT NULL DEFAULT '',  -- sha256 of the packed tar.gz once it has been packed
    archive_bytes  INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    UNIQUE (adapter_id, number),
    UNIQUE (adapter_id, digest)
) STRICT;

-- One lifetime of one adapter component, from the wish to the last trace.
CREATE TABLE deployment (
    id                   INTEGER NOT NULL PRIMARY KEY,
    version_id           INTEGER NOT NULL REFERENCES version (id),
    place_id             TEXT    NOT NULL REFERENCES place (id),
    endpoint             TEXT    NOT NULL,
    base_name            TEXT    NOT NULL,
    component_name       TEXT    NOT NULL,
    component_arn        TEXT    NOT NULL DEFAULT '',
    component_created_at INTEGER NOT NULL DEFAULT 0,
    created_at           INTEGER NOT NULL,
    ended_at             INTEGER
) STRICT;
-- A component name belongs to one deployment at a time.
CREATE UNIQUE INDEX deployment_live ON deployment (place_id, component_name) WHERE ended_at IS NULL;

CREATE TABLE job (
    id            INTEGER NOT NULL PRIMARY KEY,
    kind          TEXT    NOT NULL,
    title         TEXT    NOT NULL,
    claim         TEXT    NOT NULL,              -- the resource it changes: jobs with one claim run one after another
    place_id      TEXT    NOT NULL REFERENCES place (id),
    deployment_id INTEGER REFERENCES deployment (id),
    args          TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    step          INTEGER NOT NULL DEFAULT 0,    -- index of the step to do next
    run_at        INTEGER NOT NULL,
    reason        TEXT    NOT NULL DEFAULT '',   -- why it failed, for people
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    ended_at      INTEGER
) STRICT;
CREATE INDEX job_due ON job (run_at) WHERE state = 'queued';
CREATE INDEX job_claim ON job (claim) WHERE state IN ('queued', 'running');
CREATE INDEX job_deployment ON job (deployment_id);

CREATE TABLE step (
    job_id     INTEGER NOT NULL REFERENCES job (id),
    n          INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    note       TEXT    NOT NULL DEFAULT '',      -- one line for people: what it found or is doing
    output     TEXT    NOT NULL DEFAULT '',      -- JSON, for later steps and for the page
    started_at INTEGER,
    ended_at   INTEGER,
    PRIMARY KEY (job_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
    job_id     INTEGER NOT NULL,
    step       INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    outcome    TEXT    NOT NULL CHECK (outcome IN ('running', 'done', 'failed', 'again', 'crashed', 'stopped')),
    reason     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (job_id, step, number),
    FOREIGN KEY (job_id, step) REFERENCES step (job_id, n)
) STRICT, WITHOUT ROWID;

-- A proof belongs to one state of one component and its base; any later change makes it stale.
CREATE TABLE proof (
    id                    INTEGER NOT NULL PRIMARY KEY,
    deployment_id         INTEGER NOT NULL REFERENCES deployment (id),
    job_id                INTEGER NOT NULL REFERENCES job (id),
    component_arn         TEXT    NOT NULL,
    component_created_at  INTEGER NOT NULL,
    component_modified_at INTEGER NOT NULL,
    base_modified_at      INTEGER NOT NULL,
    digest                TEXT    NOT NULL,
    probe_set             TEXT    NOT NULL,
    verdict               TEXT    NOT NULL CHECK (verdict IN ('proven', 'no effect', 'unclear', 'failed')),
    reason                TEXT    NOT NULL,
    result                TEXT    NOT NULL,      -- JSON: scores, noise, thresholds, answers
    created_at            INTEGER NOT NULL
) STRICT;
CREATE INDEX proof_deployment ON proof (deployment_id);
-- A step may be done twice after a crash; its proof is stored once.
CREATE UNIQUE INDEX proof_job ON proof (job_id);

CREATE TABLE comparison (
    id         INTEGER NOT NULL PRIMARY KEY,
    place_id   TEXT    NOT NULL REFERENCES place (id),
    endpoint   TEXT    NOT NULL,
    base_name  TEXT    NOT NULL,
    request    TEXT    NOT NULL,                 -- JSON: prompt or messages and the sampling settings
    state      TEXT    NOT NULL CHECK (state IN ('running', 'done', 'stopped', 'interrupted')),
    created_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;

CREATE TABLE pane (
    comparison_id INTEGER NOT NULL REFERENCES comparison (id),
    n             INTEGER NOT NULL,
    component     TEXT    NOT NULL,
    label         TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('running', 'done', 'stopped', 'failed', 'interrupted')),
    text          TEXT    NOT NULL DEFAULT '',
    finish        TEXT    NOT NULL DEFAULT '',
    trouble       TEXT    NOT NULL DEFAULT '',
    tokens_in     INTEGER,                       -- from the server's usage; NULL when it gave none
    tokens_out    INTEGER,
    ttft_us       INTEGER,                       -- request sent to first text, microseconds
    took_us       INTEGER,                       -- request sent to end, microseconds
    PRIMARY KEY (comparison_id, n)
) STRICT, WITHOUT ROWID;

-- +goose Down
SELECT 'forward only';
