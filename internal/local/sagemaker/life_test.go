package sagemaker_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/google/go-cmp/cmp"
)

const invalid = "ValidationException"

// TestLifeFollowsTheOrderOfSageMaker walks everything from nothing to nothing, with what is refused on the way. Together with
// the witness it also holds every operation's answer to AWS's model.
func TestLifeFollowsTheOrderOfSageMaker(t *testing.T) {
	t.Parallel()
	all := &programs{}
	h := newHouse(t, all.run)
	ctx := t.Context()
	h.shelf.put("adapters/team/one.tar.gz", archive(t, map[string]string{"adapter_config.json": "{}"}))

	refused(t, invalid, "Could not find endpoint")(h.control.DescribeEndpoint(ctx, &control.DescribeEndpointInput{EndpointName: aws.String("prod")}))
	h.endpoint("prod")
	refused(t, invalid, "Cannot create already existing endpoint")(h.control.CreateEndpoint(ctx, &control.CreateEndpointInput{EndpointName: aws.String("PROD"), EndpointConfigName: aws.String("prod-config")}))
	refused(t, invalid, "Could not find model")(h.control.CreateInferenceComponent(ctx, baseInput("llama", "prod", "llama-model")))
	h.model("llama-model")
	refused(t, invalid, "Could not find inference component")(h.control.CreateInferenceComponent(ctx, adapterInput("one", "prod", "llama", "s3://adapters/team/one.tar.gz")))

	base := h.create(baseInput("llama", "prod", "llama-model"))
	if base.InferenceComponentStatus != "InService" || aws.ToInt32(base.RuntimeConfig.CurrentCopyCount) != 1 || *base.VariantName != "main" {
		t.Errorf("got base %+v", base)
	}
	if got := all.named("llama").spec; got.Image != "vllm:0.11.2" || got.Environment["SM_VLLM_ENABLE_LORA"] != "true" || !strings.HasPrefix(got.ModelDir, "/") {
		t.Errorf("container started with %+v", got)
	}
	one := adapterInput("one", "prod", "llama", "s3://adapters/team/one.tar.gz")
	one.Tags = []types.Tag{{Key: aws.String("loradeck:job"), Value: aws.String("12")}, {Key: aws.String("empty"), Value: aws.String("")}}
	adapter := h.create(one)
	if adapter.InferenceComponentStatus != "InService" || *adapter.VariantName != "main" || *adapter.Specification.BaseInferenceComponentName != "llama" ||
		*adapter.Specification.Container.ArtifactUrl != "s3://adapters/team/one.tar.gz" || *adapter.Specification.ComputeResourceRequirements.MinMemoryRequiredInMb != 1024 || adapter.RuntimeConfig != nil {
		t.Errorf("got adapter %+v of %+v", adapter, adapter.Specification)
	}
	if got := all.named("llama").names(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("container has %v", got)
	}
	refused(t, invalid, "Cannot create already existing inference component")(h.control.CreateInferenceComponent(ctx, one))
	h.checkTags(*adapter.InferenceComponentArn)
	h.checkLists()

	refused(t, invalid, "base for one or more associated inference components")(h.control.DeleteInferenceComponent(ctx, &control.DeleteInferenceComponentInput{InferenceComponentName: aws.String("llama")}))
	refused(t, invalid, "inference component")(h.control.DeleteEndpoint(ctx, &control.DeleteEndpointInput{EndpointName: aws.String("prod")}))
	h.delete("one")
	if got := all.named("llama").names(); len(got) != 0 {
		t.Errorf("container still has %v", got)
	}
	h.delete("llama")
	if !all.named("llama").closed {
		t.Error("the base is gone and its container runs")
	}
	done(t)(h.control.DeleteEndpoint(ctx, &control.DeleteEndpointInput{EndpointName: aws.String("prod")}))
	h.until("endpoint gone", func() bool {
		_, err := h.control.DescribeEndpoint(ctx, &control.DescribeEndpointInput{EndpointName: aws.String("prod")})
		return err != nil && strings.Contains(err.Error(), "Could not find endpoint")
	})
	done(t)(h.control.DeleteEndpointConfig(ctx, &control.DeleteEndpointConfigInput{EndpointConfigName: aws.String("prod-config")}))
	done(t)(h.control.DeleteModel(ctx, &control.DeleteModelInput{ModelName: aws.String("llama-model")}))
	refused(t, invalid, "Could not find endpoint configuration")(h.control.DeleteEndpointConfig(ctx, &control.DeleteEndpointConfigInput{EndpointConfigName: aws.String("prod-config")}))
	if missing := h.witness.unanswered(); len(missing) > 0 {
		t.Errorf("never answered: %v", missing)
	}
}

func (h *house) checkTags(arn string) {
	h.t.Helper()
	ctx := h.t.Context()
	done(h.t)(h.control.AddTags(ctx, &control.AddTagsInput{ResourceArn: &arn, Tags: []types.Tag{{Key: aws.String("tenant"), Value: aws.String("blue")}}}))
	done(h.t)(h.control.DeleteTags(ctx, &control.DeleteTagsInput{ResourceArn: &arn, TagKeys: []string{"empty"}}))
	out, err := h.control.ListTags(ctx, &control.ListTagsInput{ResourceArn: &arn})
	if err != nil {
		h.t.Fatal(err)
	}
	got := map[string]string{}
	for _, tag := range out.Tags {
		got[*tag.Key] = *tag.Value
	}
	if diff := cmp.Diff(map[string]string{"loradeck:job": "12", "tenant": "blue"}, got); diff != "" {
		h.t.Errorf("tags (-want +got):\n%s", diff)
	}
	refused(h.t, invalid, "")(h.control.ListTags(ctx, &control.ListTagsInput{ResourceArn: aws.String(arn + "-other")}))
}

func (h *house) checkLists() {
	h.t.Helper()
	ctx := h.t.Context()
	configs, err := h.control.ListEndpointConfigs(ctx, &control.ListEndpointConfigsInput{})
	if err != nil || len(configs.EndpointConfigs) != 1 {
		h.t.Errorf("got configs %v %v", configs, err)
	}
	config, err := h.control.DescribeEndpointConfig(ctx, &control.DescribeEndpointConfigInput{EndpointConfigName: aws.String("prod-config")})
	if err != nil || config.ProductionVariants[0].InstanceType != "ml.g6e.12xlarge" || *config.ProductionVariants[0].ManagedInstanceScaling.MaxInstanceCount != 1 {
		h.t.Errorf("got config %+v %v", config, err)
	}
	endpoints, err := h.control.ListEndpoints(ctx, &control.ListEndpointsInput{StatusEquals: "InService", NameContains: aws.String("ro")})
	if err != nil || len(endpoints.Endpoints) != 1 {
		h.t.Errorf("got endpoints %v %v", endpoints, err)
	}
	models, err := h.control.ListModels(ctx, &control.ListModelsInput{})
	if err != nil || len(models.Models) != 1 {
		h.t.Errorf("got models %v %v", models, err)
	}
	model, err := h.control.DescribeModel(ctx, &control.DescribeModelInput{ModelName: aws.String("llama-model")})
	if err != nil || *model.PrimaryContainer.ModelDataSource.S3DataSource.S3Uri != "s3://models/tiny/" {
		h.t.Errorf("got model %+v %v", model, err)
	}
	var names []string
	pages := control.NewListInferenceComponentsPaginator(h.control, &control.ListInferenceComponentsInput{EndpointNameEquals: aws.String("prod"), MaxResults: aws.Int32(1), SortBy: "Name", SortOrder: "Ascending"})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, row := range page.InferenceComponents {
			names = append(names, *row.InferenceComponentName)
		}
	}
	if !slices.Equal(names, []string{"llama", "one"}) {
		h.t.Errorf("listed %v", names)
	}
	none, err := h.control.ListInferenceComponents(ctx, &control.ListInferenceComponentsInput{EndpointNameEquals: aws.String("other")})
	if err != nil || len(none.InferenceComponents) != 0 {
		h.t.Errorf("got %v %v", none, err)
	}
}

// TestComponentsAreRefusedAsOnSageMaker has one case for each refusal of creating.
func TestComponentsAreRefusedAsOnSageMaker(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.endpoint("e")
	h.model("m")
	h.create(baseInput("base", "e", "m"))
	h.shelf.put("b/a.tar.gz", archive(t, map[string]string{"adapter_config.json": "{}"}))
	h.create(adapterInput("an-adapter", "e", "base", "s3://b/a.tar.gz"))
	for _, c := range []struct {
		rule   string
		change func(base, adapter *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput
		part   string
	}{
		{"a name ends with a letter or digit", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.InferenceComponentName = aws.String("no-")
			return b
		}, "1 validation error detected: Value 'no-' at 'inferenceComponentName' failed to satisfy constraint"},
		{"a name has at most 63 characters", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.InferenceComponentName = aws.String(strings.Repeat("a", 64))
			return b
		}, "length less than or equal to 63"},
		{"the endpoint is there", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.EndpointName = aws.String("nowhere")
			return b
		}, "Could not find endpoint"},
		{"the variant is there", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.VariantName = aws.String("other")
			return b
		}, "variant"},
		{"a base names its variant", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.VariantName = nil
			return b
		}, "VariantName"},
		{"a base has compute", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.Specification.ComputeResourceRequirements = nil
			return b
		}, "ComputeResourceRequirements"},
		{"a base has at least 128 MB", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.Specification.ComputeResourceRequirements.MinMemoryRequiredInMb = aws.Int32(64)
			return b
		}, "greater than or equal to 128"},
		{"the most memory is not less than the least", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.Specification.ComputeResourceRequirements.MaxMemoryRequiredInMb = aws.Int32(512)
			return b
		}, "MaxMemoryRequiredInMb"},
		{"a base has a model or a container", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.Specification.ModelName = nil
			return b
		}, "Exactly one of ModelName and Container"},
		{"and not both", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.Specification.Container = &types.InferenceComponentContainerSpecification{Image: aws.String("vllm:0.11.2")}
			return b
		}, "Exactly one of ModelName and Container"},
		{"a container of its own has an image", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.Specification.ModelName = nil
			b.Specification.Container = &types.InferenceComponentContainerSpecification{ArtifactUrl: aws.String("s3://models/tiny/")}
			return b
		}, "Container.Image must be given"},
		{"an adapter has no image", func(_, a *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			a.Specification.Container.Image = aws.String("vllm:0.11.2")
			return a
		}, "neither image nor environment"},
		{"an adapter has no model", func(_, a *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			a.Specification.ModelName = aws.String("m")
			return a
		}, "no ModelName"},
		{"the base is there", func(_, a *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			a.Specification.BaseInferenceComponentName = aws.String("nowhere")
			return a
		}, "Could not find inference component"},
		{"a base has a copy", func(b, _ *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			b.RuntimeConfig.CopyCount = aws.Int32(0)
			return b
		}, "CopyCount"},
		{"an adapter has no variant", func(_, a *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			a.VariantName = aws.String("main")
			return a
		}, "VariantName"},
		{"an adapter has no compute", func(b, a *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			a.Specification.ComputeResourceRequirements = b.Specification.ComputeResourceRequirements
			return a
		}, "ComputeResourceRequirements"},
		{"an adapter has no copies", func(b, a *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			a.RuntimeConfig = b.RuntimeConfig
			return a
		}, "RuntimeConfig"},
		{"an adapter has an artifact", func(_, a *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			a.Specification.Container = nil
			return a
		}, "ArtifactUrl"},
		{"an artifact is an S3 or HTTPS address", func(_, a *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			a.Specification.Container.ArtifactUrl = aws.String("file:///etc/passwd")
			return a
		}, "artifactUrl"},
		{"an adapter is no base", func(_, a *control.CreateInferenceComponentInput) *control.CreateInferenceComponentInput {
			a.Specification.BaseInferenceComponentName = aws.String("an-adapter")
			return a
		}, "cannot be the base"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			in := c.change(baseInput("new-base", "e", "m"), adapterInput("new", "e", "base", "s3://b/a.tar.gz"))
			refused(t, invalid, c.part)(h.control.CreateInferenceComponent(t.Context(), in))
		})
	}
}

func TestWhatIsRequiredIsNamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	for operation, want := range map[string]string{
		"DescribeEndpoint":         `"message":"1 validation error detected: Value null at 'endpointName' failed to satisfy constraint: Member must not be null"`,
		"CreateInferenceComponent": `"message":"2 validation errors detected: Value null at 'inferenceComponentName' failed`,
		"UpdateInferenceComponent": `1 validation error detected: Value null at 'inferenceComponentName' failed`,
		"NoSuchThing":              `"__type":"UnknownOperationException"`,
	} {
		if got := h.raw(operation, `{"EndpointName": null}`); !strings.Contains(got, want) || !strings.HasPrefix(got, "400 ") {
			t.Errorf("%s answered %s, want %s", operation, got, want)
		}
	}
	if got := h.raw("ListEndpoints", `{"MaxResults": "ten"}`); !strings.Contains(got, "SerializationException") {
		t.Errorf("got %s", got)
	}
}

// raw sends a body that no SDK would.
func (h *house) raw(operation, body string) string {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+"/", strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "SageMaker."+operation)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", answer.StatusCode, text)
}

// TestAnAdapterThatMayBeInItsContainerIsTakenOut has a container that takes an adapter and fails to say so.
func TestAnAdapterThatMayBeInItsContainerIsTakenOut(t *testing.T) {
	t.Parallel()
	all := &programs{}
	all.load = func(name, _ string) (int, string) {
		base := all.named("base")
		base.mu.Lock()
		defer base.mu.Unlock()
		base.adapters = append(base.adapters, name)
		return http.StatusServiceUnavailable, "no answer"
	}
	h := served(t, all)
	if got := all.named("base").names(); !slices.Contains(got, "one") {
		t.Fatalf("the container has %v", got)
	}
	h.delete("one")
	if got := all.named("base").names(); slices.Contains(got, "one") {
		t.Errorf("after the adapter was deleted the container has %v", got)
	}
}
