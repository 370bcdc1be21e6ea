package levers_test

import (
	"net/http/httptest"
	"testing"

	"loradeck/internal/levers"
	"loradeck/internal/live"
	"loradeck/internal/local"
	"loradeck/internal/lora"
)

func TestAPanelTellsOfEveryChange(t *testing.T) {
	t.Parallel()
	platform, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: "000000000000", Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer platform.Close()
	server := httptest.NewServer(platform)
	defer server.Close()
	hub := live.New()
	defer hub.Close()
	watch := hub.Watch(live.Levers)
	defer watch.Close()
	panel := levers.NewPanel(levers.New(server.URL+"/"), hub)
	told := func() bool {
		select {
		case <-watch.Wake():
			return len(watch.Take()) > 0
		default:
			return false
		}
	}
	panel.Refresh(t.Context())
	now, err := panel.Last()
	if err != nil || now.Region != "eu-west-1" || len(now.Menu) < 10 || now.Menu[0].Part == "" || !told() {
		t.Fatalf("first look: %+v, %v", now, err)
	}
	if panel.Refresh(t.Context()); told() {
		t.Error("nothing has changed, and the pages are told")
	}
	if err := levers.New(server.URL).Set(t.Context(), "throttle", "x", 2); err != nil { // by somebody else
		t.Fatal(err)
	}
	panel.Refresh(t.Context())
	if now, _ = panel.Last(); len(now.Set) != 1 || now.Set[0].Calls != 2 || !told() {
		t.Errorf("a fault was set: %+v", now.Set)
	}
	if err := panel.Set(t.Context(), "sharks", "", 1); lora.KindOf(err) != lora.Invalid {
		t.Errorf("an odd kind: %v", err)
	}
	if err := panel.Release(t.Context(), "99"); err != nil {
		t.Errorf("one that is over: %v", err)
	}
	server.Close()
	panel.Refresh(t.Context())
	if now, err = panel.Last(); lora.KindOf(err) != lora.Unavailable || len(now.Set) != 1 || !told() {
		t.Errorf("without an answer: %+v, %v; the last picture stays", now.Set, err)
	}
}
