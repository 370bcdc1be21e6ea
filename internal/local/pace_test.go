package local_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"loradeck/internal/local"
	"loradeck/internal/local/sagemaker"
)

// TestPaceChangesWhatIsUnderWay holds that an endpoint that would take minutes comes at once after the pace was changed.
func TestPaceChangesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	realistic, err := sagemaker.ParsePace("realistic")
	if err != nil {
		t.Fatal(err)
	}
	s, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: account, Region: region, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Pace: realistic})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if !operate(t, s, "CreateEndpointConfig", tinyConfig, nil) || !operate(t, s, "CreateEndpoint", `{"EndpointName":"tiny","EndpointConfigName":"tiny"}`, nil) {
		t.Fatal("create an endpoint: refused")
	}
	if _, _, body := send(t, s, "GET", "/_local/pace", ""); body != `{"pace":"realistic","paces":["instant","realistic"]}`+"\n" {
		t.Errorf("pace: got %s", body)
	}
	status := func() string {
		var out struct{ EndpointStatus string }
		operate(t, s, "DescribeEndpoint", `{"EndpointName":"tiny"}`, &out)
		return out.EndpointStatus
	}
	if got := status(); got != "Creating" {
		t.Errorf("at a realistic pace a new endpoint is %s", got)
	}
	if code, _, body := send(t, s, "PUT", "/_local/pace", `{"pace":"instant"}`, "Content-Type", "application/json"); code != http.StatusOK || !strings.Contains(body, `"pace":"instant"`) {
		t.Fatalf("change the pace: %d %s", code, body)
	}
	eventually(t, "endpoint in service", func() bool { return status() == "InService" })
}

func TestBadPacesAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	for _, c := range []struct {
		method, body, kind string
		status             int
		says               string
	}{
		{"PUT", `{"pace":"warp"}`, "application/json", 400, "use instant or realistic"},
		{"PUT", `pace=instant`, "application/json", 400, `{"pace": "realistic"}`},
		{"PUT", `{"pace":"instant"}`, "text/plain", 415, "application/json"},
		{"DELETE", ``, "", 405, "PUT"},
	} {
		if status, _, body := send(t, s, c.method, "/_local/pace", c.body, "Content-Type", c.kind); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: got %d %s", c.method, c.body, status, body)
		}
	}
}
