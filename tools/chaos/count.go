package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"loradeck/internal/lora"
)

// adapter is one adapter that the rig ships, with a tenant of its own so that its artifact can be counted apart.
type adapter struct {
	name, tenant string
}

func (a adapter) component() string { return lora.ComponentName(a.name, 1, base) }

// deploy uploads and ships an adapter, and gives its job's page.
func (r *rig) deploy(ctx context.Context, a adapter, files map[string][]byte) (job string, err error) {
	page, err := r.upload(ctx, a.name, files)
	if err != nil {
		return "", fmt.Errorf("upload %s: %w", a.name, err)
	}
	return r.ship(ctx, a, page)
}

func (r *rig) ship(ctx context.Context, a adapter, page string) (job string, err error) {
	if err := await(ctx, "the dashboard knows the base", func() (bool, error) {
		n, err := r.rows(ctx, "SELECT count(*) FROM component WHERE name = ? AND status = 'InService' AND environment <> '{}'", base)
		return n > 0, err
	}); err != nil {
		return "", err
	}
	return r.post(ctx, page+"/deploy", url.Values{"base": {place + " " + base}, "adapter": {a.name}, "tenant": {a.tenant}, "component": {a.component()}})
}

// ended waits until a job has ended and gives its state.
func (r *rig) ended(ctx context.Context, job string) (state string, err error) {
	id := filepath.Base(job)
	err = await(ctx, "job "+id+" ends", func() (bool, error) {
		state, err = r.text(ctx, "SELECT state FROM job WHERE id = ? AND ended_at IS NOT NULL", id)
		return state != "", err
	})
	return state, err
}

// expected is what must be there once everything has come to rest.
type expected struct {
	components  int // of the adapter
	objects     int
	deployments int // live ones
	proofs      int // proven ones
}

// count compares what is there of an adapter with what must be: nothing lost, stuck or doubled.
func (r *rig) count(ctx context.Context, p *platform, a adapter, want expected) error {
	var wrong []error
	check := func(what string, got, want int, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: count %s: %w", a.name, what, err))
		} else if got != want {
			wrong = append(wrong, fmt.Errorf("%s: %d %s, want %d", a.name, got, what, want))
		}
	}
	components, err := p.components(ctx, a.component())
	check("components", components, want.components, err)
	objects, uploads, err := p.objects(ctx, "adapters/"+a.tenant+"/")
	check("objects", objects, want.objects, err)
	check("open uploads in S3", uploads, 0, err)
	for _, q := range []struct {
		what  string
		want  int
		query string
	}{
		{"versions", 1, "SELECT count(*) FROM version v JOIN adapter a ON a.id = v.adapter_id WHERE a.name = ?"},
		{"live deployments", want.deployments, "SELECT count(*) FROM deployment WHERE component_name = ? AND ended_at IS NULL"},
		{"proven proofs", want.proofs, "SELECT count(*) FROM proof p JOIN deployment d ON d.id = p.deployment_id WHERE p.verdict = 'proven' AND d.component_name = ?"},
		{"deploy jobs", 1, "SELECT count(*) FROM job WHERE kind = 'deploy' AND adapter = ?"},
		{"jobs that have not ended", 0, "SELECT count(*) FROM job WHERE adapter = ? AND (ended_at IS NULL OR state IN ('queued', 'running'))"},
	} {
		of := a.name
		if q.what == "live deployments" || q.what == "proven proofs" {
			of = a.component()
		}
		got, err := r.rows(ctx, q.query, of)
		check(q.what, got, q.want, err)
	}
	running, err := r.rows(ctx, "SELECT count(*) FROM attempt t JOIN job j ON j.id = t.job_id WHERE t.outcome = 'running' AND j.adapter = ?", a.name)
	check("attempts still running", running, 0, err)
	return errors.Join(wrong...)
}

// leftovers reports what lies about in the dashboard's spool.
func (r *rig) leftovers() error {
	var wrong []error
	for _, dir := range []string{"uploads"} {
		entries, err := os.ReadDir(filepath.Join(r.dir, "spool", dir))
		if err != nil || len(entries) > 0 {
			wrong = append(wrong, fmt.Errorf("spool/%s holds %d entries (%v)", dir, len(entries), err))
		}
	}
	return errors.Join(wrong...)
}
