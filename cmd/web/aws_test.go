package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/lora"
)

func TestPlacesAreReadFromFlagsAndEnvironment(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"--aws", "eu-west-1,profile=ml,name=prod", "--aws", "us-east-1,endpoint=http://127.0.0.1:9000"}, func(name string) string {
		return map[string]string{"LORADECK_AWS": "ap-south-1"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []awsPlace{{region: "eu-west-1", profile: "ml", name: "prod"}, {region: "us-east-1", endpoint: "http://127.0.0.1:9000", name: "us-east-1"}}
	if diff := cmp.Diff(want, o.aws, cmp.AllowUnexported(awsPlace{})); diff != "" {
		t.Errorf("by flag (-want +got):\n%s", diff)
	}
	o, err = parseOptions(nil, func(name string) string {
		return map[string]string{"LORADECK_AWS": "ap-south-1;eu-west-1,name=b"}[name]
	})
	if err != nil || len(o.aws) != 2 || o.aws[1].name != "b" {
		t.Errorf("by environment: %+v, %v", o.aws, err)
	}
	for _, bad := range []string{"nowhere", "us-east-1,profile=", "us-east-1,endpoint=ftp://x", "us-east-1,colour=red"} {
		if _, err := parseOptions([]string{"--aws", bad}, func(string) string { return "" }); lora.KindOf(err) != lora.Invalid {
			t.Errorf("--aws %s: %v", bad, err)
		}
	}
}

// A second local platform plays the AWS region.
func TestTwoPlacesStandOnOneDeck(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	far := start(t, t.TempDir(), "--local-account", "111111111111")
	both := start(t, t.TempDir(), "--aws", "us-east-1,name=production,endpoint="+far.aws)
	both.until(t, "/", "account 000000000000")
	both.until(t, "/", "account 111111111111")
	err := run(context.Background(), []string{
		"--addr", "127.0.0.1:0", "--local-addr", "none", "--data", t.TempDir(),
		"--aws", "us-east-1,endpoint=" + far.aws, "--aws", "us-east-1,name=again,endpoint=" + far.aws,
	}, func(string) string { return "" }, io.Discard, io.Discard)
	if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), "one place") {
		t.Errorf("the same place twice: %v", err)
	}
}
