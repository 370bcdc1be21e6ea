package sagemaker_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"loradeck/internal/local/sagemaker"
	"loradeck/internal/lora"
)

// forged adds headers that a client must not be able to hand to a container.
func forged(stack *middleware.Stack) error {
	return errors.Join(smithyhttp.AddHeaderValue("X-Amzn-SageMaker-Adapter-Identifier", "someone-elses")(stack), smithyhttp.AddHeaderValue("X-Forged", "yes")(stack))
}

func failing(_ context.Context, spec sagemaker.ContainerSpec) (sagemaker.Container, error) {
	if spec.Name == "panicking" {
		panic("no such kernel")
	}
	return nil, lora.Errorf(lora.Invalid, "api_server.py: error: unrecognized arguments: --nonsense")
}

func TestRestartLoadsAgainWhatWasInService(t *testing.T) {
	t.Parallel()
	all := &programs{}
	h := served(t, all)
	h.shelf.put("adapters/two.tar.gz", archive(t, map[string]string{"adapter_config.json": "{}"}))
	h.create(adapterInput("two", "e", "base", "s3://adapters/two.tar.gz"))
	h.delete("one")
	before := h.settled("two")
	old := all.named("base")
	h.restart()
	if got, err := h.invoke("e", "two", "{}"); err != nil || got != "base of base, adapter two" {
		t.Errorf("after a restart two answers %q %v", got, err)
	}
	if now := all.named("base"); now == old || !old.closed || !slices.Equal(now.names(), []string{"two"}) {
		t.Errorf("the container has %v", now.names())
	}
	if after := h.settled("two"); !after.CreationTime.Equal(*before.CreationTime) || !after.LastModifiedTime.Equal(*before.LastModifiedTime) {
		t.Errorf("loading again moved its times: %v → %v", before.LastModifiedTime, after.LastModifiedTime)
	}
	if running := h.platform.Containers(); len(running) != 1 || running["base"] == nil {
		t.Errorf("running containers: %v", running)
	}
}

func TestRestartFinishesWhatWasUnderWay(t *testing.T) {
	t.Parallel()
	all := &programs{}
	h := served(t, all)
	h.create(adapterInput("two", "e", "base", artifact))
	h.close()
	h.pace = sagemaker.Steady(time.Hour) // nothing moves by itself from here on
	h.open()
	done(t)(h.control.DeleteInferenceComponent(t.Context(), &control.DeleteInferenceComponentInput{InferenceComponentName: aws.String("one")}))
	refused(t, invalid, "DELETE_IN_PROGRESS")(h.control.DeleteInferenceComponent(t.Context(), &control.DeleteInferenceComponentInput{InferenceComponentName: aws.String("one")}))
	refused(t, "ValidationError", "Deleting")(h.invoke("e", "one", "{}"))
	done(t)(h.control.CreateInferenceComponent(t.Context(), adapterInput("three", "e", "base", artifact)))
	refused(t, invalid, "terminal state")(h.control.DeleteInferenceComponent(t.Context(), &control.DeleteInferenceComponentInput{InferenceComponentName: aws.String("three")}))
	refused(t, "ValidationError", "Creating")(h.invoke("e", "three", "{}"))
	h.close()
	h.pace = sagemaker.Pace{}
	h.open()
	h.settled("three")
	h.until("one gone", func() bool {
		_, err := h.control.DescribeInferenceComponent(t.Context(), &control.DescribeInferenceComponentInput{InferenceComponentName: aws.String("one")})
		return err != nil
	})
	h.until("both loaded", func() bool {
		names := all.named("base").names()
		slices.Sort(names)
		return slices.Equal(names, []string{"three", "two"})
	})
}

// TestDeletionWaitsForLoading holds that an adapter deleted while a restart still loads it does not stay in the container.
func TestDeletionWaitsForLoading(t *testing.T) {
	t.Parallel()
	var gate chan struct{} // nil lets every adapter through
	loading := make(chan struct{}, 1)
	all := &programs{load: func(string, string) (int, string) {
		if gate != nil {
			loading <- struct{}{}
			<-gate
		}
		return http.StatusOK, ""
	}}
	h := served(t, all)
	h.close()
	gate = make(chan struct{})
	h.open()
	<-loading
	done(t)(h.control.DeleteInferenceComponent(t.Context(), &control.DeleteInferenceComponentInput{InferenceComponentName: aws.String("one")}))
	close(gate)
	h.until("one gone", func() bool {
		_, err := h.control.DescribeInferenceComponent(t.Context(), &control.DescribeInferenceComponentInput{InferenceComponentName: aws.String("one")})
		return err != nil
	})
	if got := all.named("base").names(); len(got) != 0 {
		t.Errorf("the container still has %v", got)
	}
	if left, err := filepath.Glob(filepath.Join(h.dir, "containers", "adapter-*")); err != nil || len(left) != 0 {
		t.Errorf("left on disk: %v %v", left, err)
	}
}

// TestContainersCanBeAskedAtAnyTime holds that a base on its way is not among the running ones, and that stopping then ends.
func TestContainersCanBeAskedAtAnyTime(t *testing.T) {
	t.Parallel()
	starting, goOn := make(chan struct{}), make(chan struct{})
	h := newHouse(t, func(_ context.Context, spec sagemaker.ContainerSpec) (sagemaker.Container, error) {
		close(starting)
		<-goOn
		return &program{spec: spec}, nil
	})
	h.endpoint("e")
	h.model("m")
	done(t)(h.control.CreateInferenceComponent(t.Context(), baseInput("base", "e", "m")))
	<-starting
	if got := h.platform.Containers(); len(got) != 0 {
		t.Errorf("running before it started: %v", got)
	}
	close(goOn)
	h.settled("base")
	running, ok := h.platform.Containers()["base"].(*program)
	if !ok {
		t.Fatal("not running in service")
	}
	h.close()
	if !running.closed {
		t.Error("the platform stopped and the container runs")
	}
}

// TestHostileArchivesWriteNothingOutside has one archive for each way out of an adapter's directory.
func TestHostileArchivesWriteNothingOutside(t *testing.T) {
	t.Parallel()
	h := served(t, &programs{})
	for name, header := range map[string]tar.Header{
		"climbs":   {Name: "../../escaped", Typeflag: tar.TypeReg},
		"absolute": {Name: "/tmp/loradeck-escaped", Typeflag: tar.TypeReg},
		"symlink":  {Name: "escaped", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"hardlink": {Name: "escaped", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
		"device":   {Name: "escaped", Typeflag: tar.TypeChar},
	} {
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		pack := tar.NewWriter(zip)
		if err := errors.Join(pack.WriteHeader(&header), pack.Close(), zip.Close()); err != nil {
			t.Fatal(err)
		}
		h.shelf.put("adapters/"+name+".tar.gz", packed.Bytes())
		h.create(adapterInput(name, "e", "base", "s3://adapters/"+name+".tar.gz"))
		refused(t, "ValidationError", "Failed to download model data")(h.invoke("e", name, "{}"))
	}
	h.shelf.put("adapters/torn.tar.gz", archive(t, map[string]string{"a": "bcd"})[:40])
	h.create(adapterInput("torn", "e", "base", "s3://adapters/torn.tar.gz"))
	refused(t, "ValidationError", "Failed to download model data")(h.invoke("e", "torn", "{}"))
	err := filepath.WalkDir(h.dir, func(path string, entry os.DirEntry, err error) error {
		if entry != nil && entry.Name() == "escaped" {
			t.Errorf("an archive wrote %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
