package sagemaker_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"loradeck/internal/local/sagemaker"
	"loradeck/internal/lora"
)

// edition is a container that answers with its image, and with what the files of the adapter say that is asked. As vLLM does,
// it refuses a second adapter of a name.
type edition struct {
	image string
	press *press

	mu       sync.Mutex
	adapters map[string]string // by name: what its files say
	closed   bool
}

func (e *edition) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}

func (e *edition) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if adapter := r.Header.Get("X-Amzn-SageMaker-Adapter-Identifier"); r.URL.Path == "/invocations" {
		if hold := e.press.answering; hold != nil {
			hold(r)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		text, known := e.adapters[adapter]
		switch {
		case e.closed:
			panic("asked after it was closed")
		case adapter == "":
			io.WriteString(w, e.image)
		case known:
			io.WriteString(w, e.image+" "+text)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
		return
	}
	if hold := e.press.loading; hold != nil {
		hold(r, e)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if name, ok := strings.CutPrefix(r.URL.Path, "/adapters/"); ok && r.Method == http.MethodDelete {
		delete(e.adapters, name)
		return
	}
	name := r.URL.Query().Get("name")
	text, err := os.ReadFile(filepath.Join(r.URL.Query().Get("src"), "text"))
	if _, known := e.adapters[name]; known || err != nil || string(text) == "bad" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e.adapters[name] = string(text)
}

// press starts editions. Its hooks may hold what happens.
type press struct {
	starting  func(ctx context.Context, spec sagemaker.ContainerSpec) error
	loading   func(r *http.Request, e *edition)
	answering func(r *http.Request)

	mu      sync.Mutex
	started []*edition
}

func (p *press) run(ctx context.Context, spec sagemaker.ContainerSpec) (sagemaker.Container, error) {
	if p.starting != nil {
		if err := p.starting(ctx, spec); err != nil {
			return nil, err
		}
	}
	e := &edition{image: spec.Image, press: p, adapters: map[string]string{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = append(p.started, e)
	return e, nil
}

// open gives how many of the containers that were started are not closed.
func (p *press) open() (open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.started {
		e.mu.Lock()
		if !e.closed {
			open++
		}
		e.mu.Unlock()
	}
	return open
}

const frozen = 1000 * time.Hour

// published gives a house with endpoint "e", base "base" of image "v1" and adapter "one", which says "old"; two.tar.gz says
// "new", bad.tar.gz is refused.
func published(t *testing.T, p *press) *house {
	t.Helper()
	h := newHouse(t, p.run)
	for name, text := range map[string]string{"one": "old", "two": "new", "bad": "bad"} {
		h.shelf.put("adapters/"+name+".tar.gz", archive(t, map[string]string{"text": text}))
	}
	h.endpoint("e")
	in := baseInput("base", "e", "")
	in.Specification.ModelName = nil
	in.Specification.Container = &types.InferenceComponentContainerSpecification{Image: aws.String("v1"), ArtifactUrl: aws.String("s3://models/tiny/"), Environment: map[string]string{"A": "b"}}
	h.create(in)
	h.create(adapterInput("one", "e", "base", artifact))
	return h
}

func (h *house) answers(component, want string) {
	h.t.Helper()
	if got, err := h.invoke("e", component, "{}"); err != nil || got != want {
		h.t.Errorf("%s answers %q %v, want %q", component, got, err, want)
	}
}

func (h *house) describe(name string) *control.DescribeInferenceComponentOutput {
	h.t.Helper()
	out, err := h.control.DescribeInferenceComponent(h.t.Context(), &control.DescribeInferenceComponentInput{InferenceComponentName: &name})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) update(in *control.UpdateInferenceComponentInput) {
	h.t.Helper()
	done(h.t)(h.control.UpdateInferenceComponent(h.t.Context(), in))
}

func artifactUpdate(name, url string) *control.UpdateInferenceComponentInput {
	return &control.UpdateInferenceComponentInput{InferenceComponentName: &name, Specification: &types.InferenceComponentSpecification{
		Container: &types.InferenceComponentContainerSpecification{ArtifactUrl: &url},
	}}
}

func imageUpdate(image string) *control.UpdateInferenceComponentInput {
	return &control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("base"), Specification: &types.InferenceComponentSpecification{
		Container: &types.InferenceComponentContainerSpecification{Image: &image},
	}}
}

func scaling(copies int32) *control.UpdateInferenceComponentRuntimeConfigInput {
	return &control.UpdateInferenceComponentRuntimeConfigInput{
		InferenceComponentName: aws.String("base"), DesiredRuntimeConfig: &types.InferenceComponentRuntimeConfig{CopyCount: &copies},
	}
}

func TestAdapterIsUpdatedInPlace(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	before := h.describe("one")
	h.platform.SetPace(sagemaker.Steady(frozen))
	h.update(artifactUpdate("one", "s3://adapters/two.tar.gz"))
	during := h.describe("one")
	if during.InferenceComponentStatus != "Updating" || *during.Specification.Container.ArtifactUrl != "s3://adapters/two.tar.gz" || !during.LastModifiedTime.After(*before.LastModifiedTime) {
		t.Errorf("during the update it is %s with %s", during.InferenceComponentStatus, *during.Specification.Container.ArtifactUrl)
	}
	h.answers("one", "v1 old")
	refused(t, invalid, "UPDATE_IN_PROGRESS")(h.control.UpdateInferenceComponent(t.Context(), artifactUpdate("one", artifact)))
	refused(t, invalid, "UPDATE_IN_PROGRESS")(h.control.DeleteInferenceComponent(t.Context(), &control.DeleteInferenceComponentInput{InferenceComponentName: aws.String("one")}))
	h.platform.SetPace(sagemaker.Pace{})
	after := h.settled("one")
	if after.InferenceComponentStatus != "InService" || *after.InferenceComponentArn != *before.InferenceComponentArn || !after.CreationTime.Equal(*before.CreationTime) || *after.Specification.BaseInferenceComponentName != "base" {
		t.Errorf("after the update: %+v", after)
	}
	h.answers("one", "v1 new")
	h.answers("base", "v1")
	h.restart()
	h.answers("one", "v1 new")
	if left, err := filepath.Glob(filepath.Join(h.dir, "containers", "adapter-*")); err != nil || len(left) != 1 {
		t.Errorf("on disk: %v %v", left, err)
	}
}

// TestAdapterUpdateThatCannotBeLoaded holds that such an adapter is InService and only invoking it tells, as after creation.
func TestAdapterUpdateThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	for url, code := range map[string]string{"s3://adapters/bad.tar.gz": "ModelError", "s3://adapters/none.tar.gz": "ValidationError"} {
		h.update(artifactUpdate("one", url))
		if got := h.settled("one"); got.InferenceComponentStatus != "InService" {
			t.Errorf("with %s it is %s", url, got.InferenceComponentStatus)
		}
		refused(t, code, "")(h.invoke("e", "one", "{}"))
	}
	h.update(artifactUpdate("one", artifact))
	h.settled("one")
	h.answers("one", "v1 old")
}

// TestBaseIsUpdatedBesideTheOldOne holds that the old container answers until the new one has the adapters, and ends what it
// was asked.
func TestBaseIsUpdatedBesideTheOldOne(t *testing.T) {
	t.Parallel()
	starting, goOn, asked, answer := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once sync.Once
	p := &press{starting: func(_ context.Context, spec sagemaker.ContainerSpec) error {
		if spec.Image == "v2" {
			once.Do(func() { // and not after the restart
				starting <- struct{}{}
				<-goOn
			})
		}
		return nil
	}, answering: func(r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) == "long" {
			asked <- struct{}{}
			<-answer
		}
	}}
	h := published(t, p)
	h.update(imageUpdate("v2"))
	<-starting
	h.answers("base", "v1")
	h.answers("one", "v1 old")
	long := make(chan string)
	go func() {
		text, err := h.invoke("e", "one", "long")
		long <- text + errText(err)
	}()
	<-asked
	close(goOn)
	got := h.settled("base")
	if got.InferenceComponentStatus != "InService" || *got.Specification.Container.DeployedImage.SpecifiedImage != "v2" || *got.Specification.Container.ArtifactUrl != "s3://models/tiny/" || got.Specification.Container.Environment["A"] != "b" || *got.RuntimeConfig.CurrentCopyCount != 1 {
		t.Errorf("the base is %s with %+v", got.InferenceComponentStatus, got.Specification.Container)
	}
	h.answers("base", "v2")
	h.answers("one", "v2 old")
	if p.open() != 2 {
		t.Error("the old container was closed while it answered")
	}
	close(answer)
	if text := <-long; text != "v1 old" {
		t.Errorf("what the old container was asked is answered %q", text)
	}
	h.until("old container closed", func() bool { return p.open() == 1 })
	h.restart()
	h.answers("one", "v2 old")
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestBaseUpdateThatFailsIsRolledBack(t *testing.T) {
	t.Parallel()
	p := &press{starting: func(_ context.Context, spec sagemaker.ContainerSpec) error {
		if spec.Image == "broken" {
			return lora.Errorf(lora.Invalid, "unrecognized arguments: --nonsense")
		}
		return nil
	}}
	h := published(t, p)
	in := imageUpdate("broken")
	in.DeploymentConfig = &types.InferenceComponentDeploymentConfig{
		RollingUpdatePolicy: &types.InferenceComponentRollingUpdatePolicy{
			MaximumBatchSize: &types.InferenceComponentCapacitySize{Type: "COPY_COUNT", Value: aws.Int32(1)}, WaitIntervalInSeconds: aws.Int32(0),
		},
		AutoRollbackConfiguration: &types.AutoRollbackConfig{Alarms: []types.Alarm{{AlarmName: aws.String("late")}}},
	}
	h.update(in)
	got := h.settled("base")
	if got.InferenceComponentStatus != "InService" || *got.Specification.Container.DeployedImage.SpecifiedImage != "v1" || !strings.Contains(aws.ToString(got.FailureReason), "--nonsense") {
		t.Errorf("it is %s with %s: %s", got.InferenceComponentStatus, *got.Specification.Container.DeployedImage.SpecifiedImage, aws.ToString(got.FailureReason))
	}
	if how := got.LastDeploymentConfig; how == nil || *how.RollingUpdatePolicy.MaximumBatchSize.Value != 1 || *how.AutoRollbackConfiguration.Alarms[0].AlarmName != "late" {
		t.Errorf("the last deployment was %+v", how)
	}
	h.answers("one", "v1 old")
	h.update(imageUpdate("v3"))
	if got := h.settled("base"); aws.ToString(got.FailureReason) != "" {
		t.Errorf("after a good update it says %s", *got.FailureReason)
	}
	h.answers("one", "v3 old")
}

func TestBaseScalesToZeroAndBack(t *testing.T) {
	t.Parallel()
	p := &press{}
	h := published(t, p)
	scale := func(copies int32) *control.DescribeInferenceComponentOutput {
		done(t)(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), scaling(copies)))
		return h.settled("base")
	}
	if got := scale(3); got.InferenceComponentStatus != "InService" || *got.RuntimeConfig.CurrentCopyCount != 3 || *got.RuntimeConfig.DesiredCopyCount != 3 {
		t.Errorf("scaled out it is %s with %+v", got.InferenceComponentStatus, got.RuntimeConfig)
	}
	if got := scale(0); got.InferenceComponentStatus != "InService" || *got.RuntimeConfig.CurrentCopyCount != 0 {
		t.Errorf("scaled to zero it is %s with %+v", got.InferenceComponentStatus, got.RuntimeConfig)
	}
	if p.open() != 0 {
		t.Error("it has no copies and a container runs")
	}
	for _, name := range []string{"base", "one"} {
		refused(t, "ValidationError", "Inference Component has no capacity to process this request")(h.invoke("e", name, "{}"))
	}
	h.create(adapterInput("two", "e", "base", "s3://adapters/two.tar.gz"))
	h.restart()
	h.update(artifactUpdate("one", "s3://adapters/two.tar.gz"))
	h.settled("one")
	h.platform.SetPace(sagemaker.Steady(frozen))
	done(t)(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), scaling(1)))
	if got := h.describe("base"); got.InferenceComponentStatus != "Updating" || *got.RuntimeConfig.DesiredCopyCount != 1 || *got.RuntimeConfig.CurrentCopyCount != 0 {
		t.Errorf("on its way back it is %s with %+v", got.InferenceComponentStatus, got.RuntimeConfig)
	}
	refused(t, "ValidationError", "no capacity")(h.invoke("e", "base", "{}"))
	refused(t, invalid, "UPDATE_RC_IN_PROGRESS")(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), scaling(2)))
	h.platform.SetPace(sagemaker.Pace{})
	h.settled("base")
	h.answers("base", "v1")
	h.answers("one", "v1 new")
	h.answers("two", "v1 new")
	h.until("the adapters' files lie there once", func() bool {
		dirs, err := filepath.Glob(filepath.Join(h.dir, "containers", "adapter-*"))
		return err == nil && len(dirs) == 2
	})
}

func TestUpdatesAreRefusedAsOnSageMaker(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	rolling := &types.InferenceComponentDeploymentConfig{RollingUpdatePolicy: &types.InferenceComponentRollingUpdatePolicy{
		MaximumBatchSize: &types.InferenceComponentCapacitySize{Type: "CAPACITY_PERCENT", Value: aws.Int32(60)}, WaitIntervalInSeconds: aws.Int32(10),
	}}
	for _, c := range []struct {
		rule string
		in   control.UpdateInferenceComponentInput
		spec types.InferenceComponentSpecification
		part string
	}{
		{"it is there", control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("none")}, types.InferenceComponentSpecification{ModelName: aws.String("m")}, "Could not find inference component"},
		{"it changes something", control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("base")}, types.InferenceComponentSpecification{}, "Specification or RuntimeConfig must be given"},
		{"a rollout alone is no change", control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("base"), DeploymentConfig: rolling}, types.InferenceComponentSpecification{}, "Specification or RuntimeConfig must be given"},
		{"a batch is at most half", control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("base"), DeploymentConfig: rolling}, *imageUpdate("v2").Specification, "between 5% and 50%"},
		{"an adapter keeps its base", control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("one")}, types.InferenceComponentSpecification{BaseInferenceComponentName: aws.String("other")}, "cannot be changed"},
		{"a base gets none", control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("base")}, types.InferenceComponentSpecification{BaseInferenceComponentName: aws.String("one")}, "cannot be given one"},
		{"an adapter has no model", control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("one")}, types.InferenceComponentSpecification{ModelName: aws.String("m")}, "Container.ArtifactUrl"},
		{"an adapter has no copies", control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("one"), RuntimeConfig: &types.InferenceComponentRuntimeConfig{CopyCount: aws.Int32(2)}}, types.InferenceComponentSpecification{}, "RuntimeConfig must not be given"},
		{"a model is there", control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("base")}, types.InferenceComponentSpecification{ModelName: aws.String("no-model")}, "Could not find model"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			if c.spec != (types.InferenceComponentSpecification{}) {
				c.in.Specification = &c.spec
			}
			refused(t, invalid, c.part)(h.control.UpdateInferenceComponent(t.Context(), &c.in))
		})
	}
	in := scaling(2)
	in.InferenceComponentName = aws.String("one")
	refused(t, invalid, "no copies of its own")(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), in))
	in.InferenceComponentName = aws.String("none")
	refused(t, invalid, "Could not find inference component")(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), in))
}

// TestAnUpdateGoesOnAfterARestart stops the platform at each instant of an update, and holds that it is done after the next
// start, with one container and nothing lost.
func TestAnUpdateGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		instant string
		start   func(h *house)
		settles string
		one     string // what adapter "one" answers in the end, or that it has no capacity
	}{
		{"while an adapter waits", func(h *house) { h.update(artifactUpdate("one", "s3://adapters/two.tar.gz")) }, "one", "v1 new"},
		{"while a base waits", func(h *house) { h.update(imageUpdate("v2")) }, "base", "v2 old"},
		{"while a base waits to be scaled to zero", func(h *house) { done(h.t)(h.control.UpdateInferenceComponentRuntimeConfig(h.t.Context(), scaling(0))) }, "base", ""},
	} {
		t.Run(c.instant, func(t *testing.T) {
			t.Parallel()
			p := &press{}
			h := published(t, p)
			h.platform.SetPace(sagemaker.Steady(frozen))
			c.start(h)
			h.close()
			h.pace = sagemaker.Steady(frozen)
			h.open()
			if got := h.describe(c.settles); got.InferenceComponentStatus != "Updating" {
				t.Errorf("after a restart it is %s", got.InferenceComponentStatus)
			}
			h.answers("one", "v1 old")
			h.platform.SetPace(sagemaker.Pace{})
			h.sound(p, c.settles, c.one)
		})
	}
	for _, c := range []struct {
		instant string
		in      *control.UpdateInferenceComponentInput
		settles string
		one     string
	}{
		{"while a new container starts", imageUpdate("v2"), "base", "v2 old"},
		{"while a new container is given its adapters", imageUpdate("v3"), "base", "v3 old"},
		{"while an adapter's old files are taken out", artifactUpdate("one", "s3://adapters/two.tar.gz"), "one", "v1 new"},
	} {
		t.Run(c.instant, func(t *testing.T) {
			t.Parallel()
			reached := make(chan struct{})
			var once sync.Once
			stall := func(ctx context.Context) {
				once.Do(func() { // the first time only: the next start goes through
					close(reached)
					<-ctx.Done()
				})
			}
			p := &press{}
			h := published(t, p)
			p.mu.Lock()
			p.starting = func(ctx context.Context, spec sagemaker.ContainerSpec) error {
				if spec.Image == "v2" {
					stall(ctx)
				}
				return ctx.Err()
			}
			p.loading = func(r *http.Request, e *edition) {
				if e.image == "v3" || r.Method == http.MethodDelete {
					stall(r.Context())
				}
			}
			p.mu.Unlock()
			h.update(c.in)
			<-reached
			h.close()
			if p.open() != 0 {
				t.Errorf("%d containers run after the platform has stopped", p.open())
			}
			h.open()
			h.sound(p, c.settles, c.one)
		})
	}
}

// sound holds that an update is done and everything answers.
func (h *house) sound(p *press, name, one string) {
	h.t.Helper()
	if got := h.settled(name); got.InferenceComponentStatus != "InService" || got.FailureReason != nil {
		h.t.Errorf("%s is %s: %s", name, got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	if one == "" {
		refused(h.t, "ValidationError", "no capacity")(h.invoke("e", "one", "{}"))
		h.until("no container", func() bool { return p.open() == 0 })
		return
	}
	h.answers("one", one)
	h.answers("base", strings.Fields(one)[0])
	h.until("one container", func() bool { return p.open() == 1 })
}

// TestTheSameSpecificationStartsANewContainer has a model that was replaced where it lies.
func TestTheSameSpecificationStartsANewContainer(t *testing.T) {
	t.Parallel()
	p := &press{}
	h := published(t, p)
	h.update(imageUpdate("v1"))
	h.settled("base")
	h.until("old container closed", func() bool { return p.open() == 1 })
	p.mu.Lock()
	started := len(p.started)
	p.mu.Unlock()
	if started != 2 {
		t.Errorf("%d containers were started", started)
	}
	h.answers("one", "v1 old")
}

// TestChangesAreSeenAtOnce holds that what was asked for is described and listed as under way from the first read on.
func TestChangesAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	h.platform.SetPace(sagemaker.Steady(frozen))
	done(t)(h.control.CreateInferenceComponent(t.Context(), adapterInput("two", "e", "base", artifact)))
	done(t)(h.control.DeleteInferenceComponent(t.Context(), &control.DeleteInferenceComponentInput{InferenceComponentName: aws.String("one")}))
	done(t)(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), scaling(2)))
	want := map[string]types.InferenceComponentStatus{"two": "Creating", "one": "Deleting", "base": "Updating"}
	list, err := h.control.ListInferenceComponents(t.Context(), &control.ListInferenceComponentsInput{})
	if err != nil || len(list.InferenceComponents) != len(want) {
		t.Fatalf("listed %d components, %v", len(list.InferenceComponents), err)
	}
	for _, row := range list.InferenceComponents {
		name := *row.InferenceComponentName
		if got := h.describe(name).InferenceComponentStatus; row.InferenceComponentStatus != want[name] || got != want[name] {
			t.Errorf("%s is listed %s and described %s", name, row.InferenceComponentStatus, got)
		}
	}
	h.platform.SetPace(sagemaker.Pace{})
	h.until("one gone", func() bool {
		_, err := h.control.DescribeInferenceComponent(t.Context(), &control.DescribeInferenceComponentInput{InferenceComponentName: aws.String("one")})
		return err != nil
	})
	refused(t, invalid, "Could not find inference component")(h.control.DescribeInferenceComponent(t.Context(), &control.DescribeInferenceComponentInput{InferenceComponentName: aws.String("one")}))
}
