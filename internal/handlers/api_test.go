package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/internal/people"
)

func TestTheDescriptionNamesEveryRouteAndNoOther(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	var described, routed []string
	for path, item := range d.program(t, "").contract.doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	named := strings.NewReplacer(":id", "{id}", ":n", "{n}")
	for _, route := range d.handlers.Routes() {
		if path, ours := strings.CutPrefix(route.Path, "/api/v1"); ours && !strings.HasSuffix(path, "*") && !strings.HasPrefix(route.Method, "echo_") {
			routed = append(routed, route.Method+" "+named.Replace(path))
		}
	}
	slices.Sort(described)
	slices.Sort(routed)
	if diff := cmp.Diff(routed, described); diff != "" {
		t.Errorf("routes (-) and description (+) differ:\n%s", diff)
	}
}

// upload is what these tests read of an upload.
type upload struct {
	ID       int64
	State    string
	Received int64
	Files    []uploadFile
}

type uploadFile struct {
	Path string
	Size int64
	Keep bool
	URL  string
}

// offer is the JSON that offers files as a folder.
func offer(t *testing.T, files map[string][]byte) string {
	t.Helper()
	type file struct {
		Path string `json:"path"`
		Size int    `json:"size"`
	}
	var list []file
	for name, text := range files {
		list = append(list, file{name, len(text)})
	}
	text, err := json.Marshal(map[string]any{"kind": "folder", "name": "pirate", "files": list})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// uploaded sends an adapter and waits until it is ready.
func (p program) uploaded(t *testing.T, files map[string][]byte) upload {
	t.Helper()
	var u upload
	p.call(t, http.MethodPost, "/api/v1/uploads", offer(t, files), http.StatusCreated, &u)
	for _, f := range u.Files {
		if f.Keep {
			p.send(t, p.tus(t, http.MethodPatch, f.URL, files[f.Path], map[string]string{"Upload-Offset": "0"}), http.StatusNoContent)
		}
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(time.Minute); u.State != "ready"; <-tick.C {
		if time.Now().After(limit) || u.State == "refused" {
			t.Fatalf("the upload is %s", u.State)
		}
		p.call(t, http.MethodGet, fmt.Sprintf("/api/v1/uploads/%d", u.ID), "", http.StatusOK, &u)
	}
	return u
}

func TestAFileGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	p := newDeck(t, people.Alone("dana")).program(t, "")
	files := pirate(t)
	files["optimizer.pt"] = []byte("not needed")
	var u upload
	p.call(t, http.MethodPost, "/api/v1/uploads", offer(t, files), http.StatusCreated, &u)
	i := slices.IndexFunc(u.Files, func(f uploadFile) bool { return f.Path == "adapter_model.safetensors" })
	whole, url := files[u.Files[i].Path], u.Files[i].URL
	p.send(t, p.tus(t, http.MethodOptions, url[:strings.LastIndexByte(url, '/')], nil, nil), http.StatusNoContent)
	created := p.send(t, p.tus(t, http.MethodPost, url[:strings.LastIndexByte(url, '/')], nil, map[string]string{
		"Upload-Length": fmt.Sprint(len(whole)), "Upload-Metadata": "path YWRhcHRlcl9tb2RlbC5zYWZldGVuc29ycw==",
	}), http.StatusCreated)
	if got := created.header.Get("Location"); got != url {
		t.Errorf("the file is created at %q, want %q", got, url)
	}
	p.send(t, p.tus(t, http.MethodPatch, url, whole[:1000], map[string]string{"Upload-Offset": "0"}), http.StatusNoContent)
	var again upload
	p.call(t, http.MethodPost, "/api/v1/uploads", offer(t, files), http.StatusOK, &again)
	if again.ID != u.ID || again.Received != 1000 {
		t.Errorf("offered again it is upload %d with %d bytes, want %d with 1000", again.ID, again.Received, u.ID)
	}
	p.send(t, p.tus(t, http.MethodPatch, url, whole, map[string]string{"Upload-Offset": "7"}), http.StatusConflict)
	p.send(t, p.tus(t, http.MethodPatch, url, whole[1000:], map[string]string{"Upload-Offset": "1000"}), http.StatusNoContent)
	if got := p.send(t, p.tus(t, http.MethodHead, url, nil, nil), http.StatusOK).header.Get("Upload-Offset"); got != fmt.Sprint(len(whole)) {
		t.Errorf("its offset is %s of %d", got, len(whole))
	}
	p.send(t, p.tus(t, http.MethodDelete, url, nil, nil), http.StatusNoContent)
	p.call(t, http.MethodGet, fmt.Sprintf("/api/v1/uploads/%d", u.ID), "", http.StatusOK, &u)
	if u.State != "discarded" {
		t.Errorf("with a file ended the upload is %s", u.State)
	}
	p.call(t, http.MethodDelete, fmt.Sprintf("/api/v1/uploads/%d", u.ID), "", http.StatusNoContent, nil)
}

// shipped is what these tests read of a deployment.
type shipped struct {
	ID        int64
	Adapter   string
	Tenant    string
	Version   int64
	Component string
	State     string
	JobID     int64 `json:"job_id"`
	Job       struct {
		ID    int64
		State string
		Steps []struct{ Name, State string }
	}
}

func TestAnUploadIsCheckedDeployedAndRemovedByTheAPI(t *testing.T) {
	t.Parallel()
	d := newDeck(t, guarded(t), platform(t))
	d.seed(t)
	p := d.program(t, danasToken)
	u := p.uploaded(t, pirate(t))
	var checked struct {
		Ready    bool
		Findings []struct{ Level string }
	}
	p.call(t, http.MethodGet, fmt.Sprintf("/api/v1/uploads/%d/check?base=tiny-llama-base", u.ID), "", http.StatusOK, &checked)
	if !checked.Ready || len(checked.Findings) == 0 {
		t.Errorf("checked: %+v", checked)
	}
	ask := fmt.Sprintf(`{"upload":%d,"adapter":"sailor","tenant":"sea","place":"local","base":"tiny-llama-base"}`, u.ID)
	var first, again shipped
	made := p.call(t, http.MethodPost, "/api/v1/deployments", ask, http.StatusCreated, &first)
	if want := "sailor-v1-tiny-llama-base"; first.Component != want || first.Tenant != "sea" || first.Job.State != "queued" || len(first.Job.Steps) == 0 {
		t.Errorf("deployed: %+v, want component %s", first, want)
	}
	p.call(t, http.MethodGet, made.header.Get("Location"), "", http.StatusOK, &again)
	if again.ID != first.ID {
		t.Errorf("Location leads to deployment %d, want %d", again.ID, first.ID)
	}
	p.call(t, http.MethodPost, "/api/v1/deployments", ask, http.StatusOK, &again)
	if again.ID != first.ID || again.Job.ID != first.Job.ID {
		t.Errorf("deployed again it is %d by job %d, want %d by %d", again.ID, again.Job.ID, first.ID, first.Job.ID)
	}
	// The same adapter from another run of the script: a new upload of what is there already.
	same := p.uploaded(t, pirate(t))
	p.call(t, http.MethodPost, "/api/v1/deployments", strings.Replace(ask, fmt.Sprint(u.ID), fmt.Sprint(same.ID), 1), http.StatusOK, &again)
	if same.ID == u.ID || again.ID != first.ID {
		t.Errorf("the same content from upload %d is deployment %d, want %d", same.ID, again.ID, first.ID)
	}
	var job struct{ ID int64 }
	p.call(t, http.MethodDelete, fmt.Sprintf("/api/v1/deployments/%d", first.ID), "", http.StatusAccepted, &job)
	p.call(t, http.MethodGet, fmt.Sprintf("/api/v1/deployments/%d", first.ID), "", http.StatusOK, &again)
	if again.JobID != job.ID || again.State != "deleting" {
		t.Errorf("while it is removed: %+v, want deleting by job %d", again, job.ID)
	}
}

func TestAVersionIsDeployedByItsID(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"), platform(t))
	d.seed(t)
	p := d.program(t, "")
	u := p.uploaded(t, pirate(t))
	var first, second shipped
	p.call(t, http.MethodPost, "/api/v1/deployments", fmt.Sprintf(`{"upload":%d,"adapter":"sailor","base":"tiny-llama-base"}`, u.ID), http.StatusCreated, &first)
	var adapters struct{ Adapters []struct{ ID int64 } }
	p.call(t, http.MethodGet, "/api/v1/adapters", "", http.StatusOK, &adapters)
	var versions struct{ Versions []struct{ ID, Number int64 } }
	of := fmt.Sprintf("/api/v1/adapters/%d", adapters.Adapters[0].ID)
	p.call(t, http.MethodGet, of, "", http.StatusOK, nil)
	p.call(t, http.MethodGet, of+"/versions", "", http.StatusOK, &versions)
	ask := fmt.Sprintf(`{"version":%d,"base":"tiny-llama-base","component":"sailor-b"}`, versions.Versions[0].ID)
	p.call(t, http.MethodPost, "/api/v1/deployments", ask, http.StatusCreated, &second)
	if second.Adapter != "sailor" || second.Version != 1 || second.Component != "sailor-b" || second.ID == first.ID {
		t.Errorf("got %+v", second)
	}
	var list struct{ Deployments []shipped }
	p.call(t, http.MethodGet, "/api/v1/deployments?live=true", "", http.StatusOK, &list)
	if len(list.Deployments) != 3 || list.Deployments[0].ID != second.ID {
		t.Errorf("listed: %+v, want three, the newest first", list.Deployments)
	}
	p.call(t, http.MethodPost, fmt.Sprintf("/api/v1/jobs/%d/cancel", second.Job.ID), "", http.StatusAccepted, nil)
	p.call(t, http.MethodPost, fmt.Sprintf("/api/v1/jobs/%d/retry", second.Job.ID), "", http.StatusConflict, nil)
	p.call(t, http.MethodGet, "/api/v1/deployments?live=true", "", http.StatusOK, &list)
	if len(list.Deployments) != 2 {
		t.Errorf("after the cancel %d are live, want 2", len(list.Deployments))
	}
	p.call(t, http.MethodDelete, fmt.Sprintf("/api/v1/deployments/%d", second.ID), "", http.StatusConflict, nil)
	d.write(t, func(q *db.Queries) error {
		now := db.Millis(d.now)
		return q.RemoveAdapter(t.Context(), db.RemoveAdapterParams{RemovedAt: &now, ID: adapters.Adapters[0].ID})
	})
	p.call(t, http.MethodGet, of, "", http.StatusOK, nil)
	faulty(t, p.call(t, http.MethodPost, "/api/v1/deployments", ask, http.StatusConflict, nil), lora.Conflict) // its files have gone
}

func TestErrorsOfTheAPIHaveOneShape(t *testing.T) {
	t.Parallel()
	d := newDeck(t, guarded(t))
	d.seed(t)
	dana, eve, nobody, stranger := d.program(t, danasToken), d.program(t, evesToken), d.program(t, danasToken), d.program(t, danasToken)
	nobody.token, stranger.token = "", "somebody-elses-token-1"
	tests := []struct {
		rule         string
		who          program
		method, path string
		body         string
		status       int
		kind         lora.Kind
	}{
		{"nobody gets an error and no login page", nobody, "GET", "/api/v1/jobs", "", 401, lora.Unauthorized},
		{"a wrong token is nobody", stranger, "GET", "/api/v1/bases", "", 401, lora.Unauthorized},
		{"nobody changes nothing", nobody, "POST", "/api/v1/deployments", "{}", 401, lora.Unauthorized},
		{"who may watch may not ship", eve, "POST", "/api/v1/deployments", "{}", 403, lora.Forbidden},
		{"who may watch may not remove", eve, "DELETE", "/api/v1/deployments/1", "", 403, lora.Forbidden},
		{"who may watch may not prove", eve, "POST", "/api/v1/deployments/1/prove", "", 403, lora.Forbidden},
		{"no such deployment to prove", dana, "POST", "/api/v1/deployments/99/prove", "", 404, lora.NotFound},
		{"no such upload", dana, "GET", "/api/v1/uploads/99", "", 404, lora.NotFound},
		{"no such job", dana, "GET", "/api/v1/jobs/99", "", 404, lora.NotFound},
		{"no such job to watch", dana, "GET", "/api/v1/jobs/99/watch", "", 404, lora.NotFound},
		{"no such job to cancel", dana, "POST", "/api/v1/jobs/99/cancel", "", 404, lora.NotFound},
		{"no such deployment", dana, "GET", "/api/v1/deployments/99", "", 404, lora.NotFound},
		{"no such adapter", dana, "GET", "/api/v1/adapters/99/versions", "", 404, lora.NotFound},
		{"no such version", dana, "POST", "/api/v1/deployments", `{"version":99,"base":"tiny-llama-base"}`, 404, lora.NotFound},
		{"no such place", dana, "GET", "/api/v1/jobs?place=mars", "", 404, lora.NotFound},
		{"no such state", dana, "GET", "/api/v1/jobs?state=asleep", "", 422, lora.Invalid},
		{"no number to begin before", dana, "GET", "/api/v1/adapters?before=x", "", 422, lora.Invalid},
		{"neither upload nor version", dana, "POST", "/api/v1/deployments", `{"base":"tiny-llama-base"}`, 422, lora.Invalid},
		{"an unknown member", dana, "POST", "/api/v1/deployments", `{"bass":"tiny-llama-base"}`, 422, lora.Invalid},
		{"half an object", dana, "POST", "/api/v1/uploads", `{"kind":`, 422, lora.Invalid},
		{"no adapter in it", dana, "POST", "/api/v1/uploads", `{"kind":"folder","name":"x","files":[{"path":"notes.txt","size":3}]}`, 422, lora.Invalid},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			got := test.who.call(t, test.method, test.path, test.body, test.status, nil)
			faulty(t, got, test.kind)
			if test.status == 401 && got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Error("a 401 does not say how to sign in")
			}
		})
	}
	for rule, r := range map[string]*http.Request{
		"412 not tus":       dana.ask(t, "HEAD", "/api/v1/uploads/1/files/0", ""),
		"415 no piece":      dana.tus(t, "PATCH", "/api/v1/uploads/1/files/0", nil, nil),
		"415 no JSON":       dana.tus(t, "POST", "/api/v1/uploads", []byte("{}"), nil),
		"400 no offset":     dana.tus(t, "PATCH", "/api/v1/uploads/1/files/0", []byte("x"), nil),
		"400 no length":     dana.tus(t, "POST", "/api/v1/uploads/1/files", nil, nil),
		"404 no such file":  dana.tus(t, "HEAD", "/api/v1/uploads/1/files/0", nil, nil),
		"404 file of no up": dana.tus(t, "DELETE", "/api/v1/uploads/1/files/0", nil, nil),
	} {
		t.Run(rule, func(t *testing.T) {
			var want int
			fmt.Sscan(rule, &want)
			dana.send(t, r, want)
		})
	}
}

// faulty fails the test unless the answer is an error of that kind in the API's shape.
func faulty(t *testing.T, got answer, kind lora.Kind) {
	t.Helper()
	var f struct {
		Error struct {
			Kind    lora.Kind
			Message string
		}
	}
	if err := json.Unmarshal([]byte(got.body), &f); err != nil || f.Error.Kind != kind || !strings.HasSuffix(f.Error.Message, ".") {
		t.Errorf("got %q, want an error of kind %q: %v", got.body, kind, err)
	}
}

func TestAddressesThatTheAPIDoesNotHaveAreJSONToo(t *testing.T) {
	t.Parallel()
	p := newDeck(t, people.Alone("dana")).program(t, "")
	for ask, want := range map[string]int{"GET /api/v1/nonsense": 404, "GET /api/v2/jobs": 404, "PUT /api/v1/jobs": 405, "GET /api/v1/jobs/1/cancel": 405, "PUT /api/v1/uploads/1/files/0": 405} {
		method, path, _ := strings.Cut(ask, " ")
		got := p.do(t, p.ask(t, method, path, ""))
		kind := lora.NotFound
		if want == 405 {
			kind = lora.Invalid
			if got.header.Get("Allow") == "" {
				t.Errorf("%s names no method that is allowed", ask)
			}
		}
		if got.status != want {
			t.Errorf("%s answers %d, want %d", ask, got.status, want)
		}
		faulty(t, got, kind)
	}
}

func TestListsGoOnWhereAPageEnds(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.seed(t)
	p := d.program(t, "")
	d.write(t, func(q *db.Queries) error {
		for n := range 120 {
			_, err := q.AddJob(context.Background(), db.AddJobParams{Kind: lora.JobRemove, Title: "t", Claim: "c", PlaceID: placeID, Adapter: []string{"even", "odd"}[n%2], Base: "b", Args: "{}"})
			if err != nil {
				return err
			}
		}
		return nil
	})
	for query, want := range map[string]int{"": 121, "?adapter=odd": 60, "?adapter=odd&base=b&place=local&state=queued": 60, "?state=running": 1, "?state=done": 0, "?base=other": 0} {
		seen := map[int64]bool{}
		for next := "/api/v1/jobs" + query; next != ""; {
			var page struct {
				Jobs  []struct{ ID int64 }
				Older string
			}
			p.call(t, http.MethodGet, next, "", http.StatusOK, &page)
			for _, j := range page.Jobs {
				seen[j.ID] = true
			}
			next = page.Older
		}
		if len(seen) != want {
			t.Errorf("%q lists %d jobs, want %d", query, len(seen), want)
		}
	}
	p.call(t, http.MethodGet, "/api/v1/bases", "", http.StatusOK, nil)
}

// events reads a stream until it ends or the test's time is over, and gives each job it was sent.
func events(t *testing.T, body *bytes.Buffer) []string {
	t.Helper()
	var states []string
	for _, event := range strings.Split(body.String(), "\n\n") {
		data, is := strings.CutPrefix(event, "event: job\ndata: ")
		if !is {
			continue
		}
		var job struct{ State, Verdict string }
		if err := json.Unmarshal([]byte(data), &job); err != nil {
			t.Fatalf("event %q: %v", event, err)
		}
		states = append(states, strings.TrimSpace(job.State+" "+job.Verdict))
	}
	return states
}

func TestAWatchedJobIsToldAtOnceAndUntilItsEnd(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	job := d.seed(t)
	p := d.program(t, "")
	answer, err := http.DefaultClient.Do(p.ask(t, http.MethodGet, fmt.Sprintf("/api/v1/jobs/%d/watch", job.ID), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("it is %q", kind)
	}
	var body bytes.Buffer
	first := make([]byte, 4<<10)
	n, err := answer.Body.Read(first)
	if err != nil {
		t.Fatal(err)
	}
	body.Write(first[:n])
	d.prove(t, job, lora.VerdictProven)
	if _, err := body.ReadFrom(answer.Body); err != nil { // the stream ends by itself
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"running", "done proven"}, events(t, &body)); diff != "" {
		t.Errorf("the stream told (-want +got):\n%s", diff)
	}
}

func TestAStreamEndsWhenTheDashboardStops(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	job := d.seed(t)
	p := d.program(t, "")
	answer, err := http.DefaultClient.Do(p.ask(t, http.MethodGet, fmt.Sprintf("/api/v1/jobs/%d/watch", job.ID), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := d.handlers.Close(ctx); err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"running"}, events(t, &body)); diff != "" {
		t.Errorf("the stream told (-want +got):\n%s", diff)
	}
}
