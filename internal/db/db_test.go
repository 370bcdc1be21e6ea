package db_test

import (
	"context"
	"path/filepath"
	"testing"

	"loradeck/internal/db"
	"loradeck/internal/lora"
)

func open(t *testing.T, path string) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func write(t *testing.T, d *db.DB, do func(ctx context.Context, q *db.Queries) error) error {
	t.Helper()
	return d.Write(context.Background(), func(q *db.Queries) error { return do(context.Background(), q) })
}

func TestWhatIsWrittenIsThereAfterReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	d := open(t, path)
	err := write(t, d, func(ctx context.Context, q *db.Queries) error {
		return q.PutPlace(ctx, db.PutPlaceParams{ID: "aws:1:x", Name: "one", Bucket: "b"})
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	place, err := open(t, path).Read().Place(context.Background(), "aws:1:x")
	if err != nil || place.Name != "one" {
		t.Errorf("got %+v, %v", place, err)
	}
	_, err = open(t, path).Read().Place(context.Background(), "nowhere")
	if err := db.Found(err, "No such place."); lora.KindOf(err) != lora.NotFound || !db.Missing(err) {
		t.Errorf("missing place: got %v", err)
	}
}

// deployed stores one version and a deployment of it, and returns the deployment's id.
func deployed(t *testing.T, d *db.DB, component string) (version, deployment int64, err error) {
	t.Helper()
	err = write(t, d, func(ctx context.Context, q *db.Queries) error {
		if err := q.PutPlace(ctx, db.PutPlaceParams{ID: "p", Name: "p"}); err != nil {
			return err
		}
		adapter, err := q.PutAdapter(ctx, db.PutAdapterParams{Tenant: "t", Name: "pirate", About: "Arr", CreatedAt: 1})
		if err != nil {
			return err
		}
		row, err := q.VersionByDigest(ctx, db.VersionByDigestParams{AdapterID: adapter.ID, Digest: "d"})
		if db.Missing(err) {
			row, err = q.AddVersion(ctx, db.AddVersionParams{AdapterID: adapter.ID, Digest: "d", Rank: 8, Alpha: 16, Targets: "[]", Prompts: "[]", CreatedAt: 1})
		}
		if err != nil {
			return err
		}
		made, err := q.AddDeployment(ctx, db.AddDeploymentParams{VersionID: row.ID, PlaceID: "p", Endpoint: "e", BaseName: "b", ComponentName: component, CreatedAt: 1})
		version, deployment = row.ID, made.ID
		return err
	})
	return version, deployment, err
}

func TestAComponentNameBelongsToOneDeploymentAtATime(t *testing.T) {
	t.Parallel()
	d := open(t, filepath.Join(t.TempDir(), "app.db"))
	v1, first, err := deployed(t, d, "pirate-v1-b")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := deployed(t, d, "pirate-v1-b"); err == nil {
		t.Error("two live deployments share a name")
	}
	now := int64(5)
	if err := write(t, d, func(ctx context.Context, q *db.Queries) error {
		return q.EndDeployment(ctx, db.EndDeploymentParams{EndedAt: &now, ID: first})
	}); err != nil {
		t.Fatal(err)
	}
	v2, _, err := deployed(t, d, "pirate-v1-b")
	if err != nil || v2 != v1 {
		t.Errorf("after the first has ended: version %d, want %d again, %v", v2, v1, err)
	}
}

func TestALaterLifetimeOfAComponentIsANewRow(t *testing.T) {
	t.Parallel()
	d := open(t, filepath.Join(t.TempDir(), "app.db"))
	put := db.PutComponentParams{PlaceID: "p", Name: "c", ARN: "arn", Endpoint: "e", Status: "Creating", Environment: "{}", Tags: "{}", CreatedAt: 1, ModifiedAt: 1}
	now := int64(3)
	err := write(t, d, func(ctx context.Context, q *db.Queries) error {
		if err := q.PutPlace(ctx, db.PutPlaceParams{ID: "p", Name: "p"}); err != nil {
			return err
		}
		if err := q.PutComponent(ctx, put); err != nil {
			return err
		}
		put.Status = "InService" // the same lifetime, seen again
		if err := q.PutComponent(ctx, put); err != nil {
			return err
		}
		first, err := q.ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: "p", Name: "c"})
		if err != nil {
			return err
		}
		if first.Status != "InService" {
			t.Errorf("status: got %s", first.Status)
		}
		if err := q.MarkComponentGone(ctx, db.MarkComponentGoneParams{GoneAt: &now, ID: first.ID}); err != nil {
			return err
		}
		put.CreatedAt = 4
		return q.PutComponent(ctx, put)
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := d.Read().ComponentsIn(context.Background(), "p")
	if err != nil || len(rows) != 1 || rows[0].CreatedAt != 4 {
		t.Errorf("got %+v, %v", rows, err)
	}
}
