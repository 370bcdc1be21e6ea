package db_test

import (
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"loradeck/internal/db"
	"loradeck/internal/sqlite"
)

// A data folder of the first release must open with everything in it, and its tables must take the new words.
func TestADatabaseOfTheFirstSchemaIsCarriedOn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "loradeck.db")
	first, err := os.ReadFile("migrations/00001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	old, err := sqlite.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	var only fs.FS = fstest.MapFS{"00001_init.sql": {Data: first}}
	if err := old.Migrate(ctx, only); err != nil {
		t.Fatal(err)
	}
	err = old.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`
			INSERT INTO place (id, name, account, region, local, bucket) VALUES ('p', 'local', '000000000000', 'us-east-1', 1, 'b');
			INSERT INTO adapter (id, tenant, name, created_at) VALUES (1, 'default', 'pirate', 1);
			INSERT INTO version (id, adapter_id, number, digest, rank, alpha, targets, bytes, created_at) VALUES (1, 1, 1, 'd', 8, 16, '[]', 5, 1);
			INSERT INTO deployment (id, version_id, place_id, endpoint, base_name, component_name, created_at) VALUES (1, 1, 'p', 'e', 'tiny', 'pirate-v1-tiny', 1);
			INSERT INTO job (id, kind, title, claim, place_id, deployment_id, args, state, run_at, created_at) VALUES (1, 'deploy', 'Deploy pirate v1', 'c', 'p', 1, '{}', 'failed', 1, 1);
			INSERT INTO step (job_id, n, name, state) VALUES (1, 0, 'check', 'failed');
			INSERT INTO attempt (job_id, step, number, started_at, outcome) VALUES (1, 0, 1, 1, 'failed');`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}

	now, err := db.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	job, err := now.Read().Job(ctx, 1)
	if err != nil || job.Adapter != "pirate" || job.Base != "tiny" || job.State != "failed" {
		t.Errorf("the job became %+v, %v", job, err)
	}
	err = now.Write(ctx, func(q *db.Queries) error { return q.EndJob(ctx, db.EndJobParams{State: "cancelled", ID: 1}) })
	if err != nil {
		t.Errorf("a job cannot be cancelled: %v", err)
	}
	err = now.Write(ctx, func(q *db.Queries) error { return q.EndJob(ctx, db.EndJobParams{State: "nonsense", ID: 1}) })
	if err == nil {
		t.Error("a job's state took a word that is none")
	}
}
