package handlers_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/compare"
	"loradeck/internal/db"
	"loradeck/internal/handlers"
	"loradeck/internal/intake"
	"loradeck/internal/jobs"
	"loradeck/internal/live"
	"loradeck/internal/lora"
	"loradeck/internal/people"
	"loradeck/internal/proof"
	"loradeck/internal/spool"
)

const placeID = "aws:000000000000:us-east-1"

// deck is a dashboard on a real server with a real database, and no place behind it: what a job or a look would have stored
// is stored by the test. One that is given places takes jobs for them, and runs none.
type deck struct {
	*httptest.Server
	db       *db.DB
	hub      *live.Hub
	handlers *handlers.Handlers
	now      time.Time
}

func newDeck(t testing.TB, gate *people.Gate, places ...*cloud.Place) *deck {
	t.Helper()
	speaking := map[string]*cloud.Place{}
	for _, place := range places {
		speaking[place.Identity().ID] = place
	}
	ctx := t.Context()
	database, err := db.Open(ctx, filepath.Join(t.TempDir(), "loradeck.db"))
	if err != nil {
		t.Fatal(err)
	}
	d := &deck{db: database, hub: live.New(), now: time.Date(2026, 11, 23, 14, 10, 0, 0, time.UTC)}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	board, err := compare.New(ctx, compare.Config{DB: database, Hub: d.hub, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	files, err := spool.Open(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	desk := intake.New(intake.Config{DB: database, Spool: files, Hub: d.hub, Log: log})
	d.handlers = handlers.New(handlers.Deps{
		DB: database, Hub: d.hub, Board: board, Desk: desk, Gate: gate, Log: log, Now: func() time.Time { return d.now }, Hosts: []string{"deck.example"}, Version: "test",
		Jobs:    jobs.New(jobs.Config{DB: database, Spool: files, Hub: d.hub, Log: log, Places: speaking}),
		Samples: []handlers.Sample{{Name: "json", Title: "JSON answers", Blurb: "Answers as a JSON object.", Files: fstest.MapFS{}, Prompts: []string{"What is the capital of France?"}}},
	})
	d.Server = httptest.NewServer(d.handlers)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		desk.Close()
		if err := d.handlers.Close(ctx); err != nil {
			t.Errorf("close handlers: %v", err)
		}
		d.Server.Close()
		board.Close()
		if err := database.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return d
}

// write stores rows as the rooms below would.
func (d *deck) write(t *testing.T, do func(q *db.Queries) error) {
	t.Helper()
	if err := d.db.Write(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

// seed stores a place with an endpoint, its base, and one adapter whose deploy job is at its fifth step. It gives the job.
func (d *deck) seed(t *testing.T) db.Job {
	t.Helper()
	var job db.Job
	created := db.Millis(d.now.Add(-time.Minute))
	d.write(t, func(q *db.Queries) error {
		ctx := t.Context()
		steps := []error{
			q.PutPlace(ctx, db.PutPlaceParams{ID: placeID, Name: "local", Account: "000000000000", Region: "us-east-1", Local: 1, Bucket: "loradeck"}),
			q.SetPlaceSynced(ctx, db.SetPlaceSyncedParams{SyncedAt: db.Millis(d.now), ID: placeID}),
			q.PutEndpoint(ctx, db.PutEndpointParams{PlaceID: placeID, Name: "local", Status: "InService", CreatedAt: created, ModifiedAt: created}),
			q.PutComponent(ctx, db.PutComponentParams{
				PlaceID: placeID, Name: "tiny-llama-base", ARN: "arn:base", Endpoint: "local", ModelName: "tiny", Status: "InService", Copies: 1, Tags: "{}",
				Environment: `{"SM_VLLM_ENABLE_LORA":"true","SM_VLLM_MAX_LORAS":"4","SM_VLLM_MAX_CPU_LORAS":"8","SM_VLLM_MAX_LORA_RANK":"64","VLLM_ALLOW_RUNTIME_LORA_UPDATING":"true"}`,
				ModelConfig: `{"architectures":["LlamaForCausalLM"],"torch_dtype":"float32","max_position_embeddings":1024}`, CreatedAt: created, ModifiedAt: created,
			}),
		}
		for _, err := range steps {
			if err != nil {
				return err
			}
		}
		a, err := q.PutAdapter(ctx, db.PutAdapterParams{Tenant: "default", Name: "pirate", About: "Answers like a pirate", CreatedAt: created})
		if err != nil {
			return err
		}
		v, err := q.AddVersion(ctx, db.AddVersionParams{AdapterID: a.ID, Digest: strings.Repeat("c", 64), Rank: 8, Alpha: 16, Targets: "[]", Bytes: 640000, Prompts: "[]", CreatedAt: created})
		if err != nil {
			return err
		}
		dep, err := q.AddDeployment(ctx, db.AddDeploymentParams{VersionID: v.ID, PlaceID: placeID, Endpoint: "local", BaseName: "tiny-llama-base", ComponentName: "pirate-v1-tiny-llama-base", CreatedAt: created})
		if err != nil {
			return err
		}
		job, err = q.AddJob(ctx, db.AddJobParams{Kind: lora.JobDeploy, Title: "Deploy pirate v1", Claim: "c", PlaceID: placeID, DeploymentID: &dep.ID, Args: "{}", RunAt: created, CreatedAt: created})
		if err != nil {
			return err
		}
		for i, name := range []string{lora.StepCheck, lora.StepPack, lora.StepUpload, lora.StepCreate, lora.StepInService, lora.StepProve} {
			if err := q.AddStep(ctx, db.AddStepParams{JobID: job.ID, N: int64(i), Name: name}); err != nil {
				return err
			}
		}
		if job, err = q.ClaimJob(ctx, created); err != nil {
			return err
		}
		for n := range int64(5) {
			began := created + 3000*n
			if err := q.StartStep(ctx, db.StartStepParams{StartedAt: &began, JobID: job.ID, N: n}); err != nil {
				return err
			}
			attempt, err := q.StartAttempt(ctx, db.StartAttemptParams{JobID: job.ID, Step: n, StartedAt: began})
			if err != nil {
				return err
			}
			if n == 4 {
				break
			}
			ended := began + 2500
			if err := q.EndAttempt(ctx, db.EndAttemptParams{Outcome: "done", EndedAt: &ended, JobID: job.ID, Step: n, Number: attempt}); err != nil {
				return err
			}
			if err := q.EndStep(ctx, db.EndStepParams{State: "done", Note: "done as asked", EndedAt: &ended, JobID: job.ID, N: n}); err != nil {
				return err
			}
		}
		if err := q.NoteStep(ctx, db.NoteStepParams{Note: "Creating", JobID: job.ID, N: 4}); err != nil {
			return err
		}
		return q.AdvanceJob(ctx, db.AdvanceJobParams{Step: 4, ID: job.ID})
	})
	return job
}

// prove stores the job's end: the component in service and proven.
func (d *deck) prove(t *testing.T, job db.Job, verdict lora.Verdict) {
	t.Helper()
	at := db.Millis(d.now)
	result, err := json.Marshal(proof.Result{
		Effect: 1.412, Noise: 0.024, Texts: []proof.TextEffect{{Name: "prose", Effect: 1.2}, {Name: "chat", Effect: 0.05}}, Limits: proof.DefaultLimits(),
		Prompt: "What is the capital of France?", Base: "Paris.", Adapter: "Arr, Paris!",
	})
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, func(q *db.Queries) error {
		ctx := t.Context()
		if err := q.PutComponent(ctx, db.PutComponentParams{
			PlaceID: placeID, Name: "pirate-v1-tiny-llama-base", ARN: "arn:pirate", Endpoint: "local", BaseName: "tiny-llama-base", ArtifactURL: "s3://loradeck/adapters/default/c.tar.gz",
			Status: "InService", Tags: "{}", Environment: "{}", CreatedAt: at, ModifiedAt: at,
		}); err != nil {
			return err
		}
		if err := q.SetDeploymentComponent(ctx, db.SetDeploymentComponentParams{ComponentARN: "arn:pirate", ComponentCreatedAt: at, ID: *job.DeploymentID}); err != nil {
			return err
		}
		for n := int64(4); n < 6; n++ {
			if err := q.EndStep(ctx, db.EndStepParams{State: "done", Note: "done as asked", EndedAt: &at, JobID: job.ID, N: n}); err != nil {
				return err
			}
		}
		if _, err := q.PutProof(ctx, db.PutProofParams{
			DeploymentID: *job.DeploymentID, JobID: job.ID, ComponentARN: "arn:pirate", ComponentCreatedAt: at, ComponentModifiedAt: at,
			BaseModifiedAt: db.Millis(d.now.Add(-time.Minute)), Digest: "c", ProbeSet: "1", Verdict: string(verdict), Reason: "Differs from the base by 1.412 nats.", Result: string(result), CreatedAt: at,
		}); err != nil {
			return err
		}
		return q.EndJob(ctx, db.EndJobParams{State: lora.JobDone, EndedAt: &at, ID: job.ID})
	})
	d.hub.Changed(live.Deck, live.Jobs, live.Job(job.ID))
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (d *deck) do(t *testing.T, request *http.Request) answer {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func (d *deck) request(t *testing.T, method, path string, form url.Values) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (d *deck) get(t *testing.T, path string) answer {
	t.Helper()
	return d.do(t, d.request(t, http.MethodGet, path, nil))
}

func (d *deck) post(t *testing.T, path string, form url.Values) answer {
	t.Helper()
	return d.do(t, d.request(t, http.MethodPost, path, form))
}
