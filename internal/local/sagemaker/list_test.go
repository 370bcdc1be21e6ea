package sagemaker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
)

func TestListsFilterSortAndPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.endpoint("e")
	h.model("m")
	for i := range 12 {
		in := baseInput(fmt.Sprintf("base-%02d", i), "e", "m")
		in.Specification.ComputeResourceRequirements.NumberOfAcceleratorDevicesRequired = nil // the instance has four
		h.create(in)
	}
	h.delete("base-11")
	all := func(change func(*control.ListInferenceComponentsInput)) (names []string, pages int) {
		t.Helper()
		in := &control.ListInferenceComponentsInput{}
		change(in)
		for p := control.NewListInferenceComponentsPaginator(h.control, in); p.HasMorePages(); pages++ {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range page.InferenceComponents {
				names = append(names, *row.InferenceComponentName)
			}
		}
		return names, pages
	}
	names, pages := all(func(in *control.ListInferenceComponentsInput) {})
	if len(names) != 11 || pages != 2 || names[0] != "base-10" || names[10] != "base-00" {
		t.Errorf("by default %v on %d pages, want the newest first and ten a page", names, pages)
	}
	names, _ = all(func(in *control.ListInferenceComponentsInput) {
		in.SortBy, in.SortOrder, in.NameContains, in.MaxResults = "Name", "Ascending", aws.String("0"), aws.Int32(4)
	})
	if !slices.IsSorted(names) || len(names) != 11 {
		t.Errorf("sorted by name: %v", names)
	}
	third := h.settled("base-03")
	names, _ = all(func(in *control.ListInferenceComponentsInput) { in.CreationTimeBefore = third.CreationTime })
	if slices.Contains(names, "base-03") || !slices.Contains(names, "base-00") || slices.Contains(names, "base-09") {
		t.Errorf("before the third: %v", names)
	}
	for _, change := range []func(*control.ListInferenceComponentsInput){
		func(in *control.ListInferenceComponentsInput) { in.StatusEquals = "Failed" },
		func(in *control.ListInferenceComponentsInput) { in.VariantNameEquals = aws.String("other") },
		func(in *control.ListInferenceComponentsInput) {
			in.CreationTimeAfter = aws.Time(time.Now().Add(time.Hour))
		},
		func(in *control.ListInferenceComponentsInput) {
			in.LastModifiedTimeBefore = third.CreationTime
			in.NameContains = aws.String("09")
		},
	} {
		if names, _ := all(change); len(names) != 0 {
			t.Errorf("got %v, want none", names)
		}
	}
	ctx := t.Context()
	refused(t, invalid, "less than or equal to 100")(h.control.ListInferenceComponents(ctx, &control.ListInferenceComponentsInput{MaxResults: aws.Int32(101)}))
	refused(t, invalid, "NextToken")(h.control.ListInferenceComponents(ctx, &control.ListInferenceComponentsInput{NextToken: aws.String("made up")}))
	refused(t, invalid, "enum value set")(h.control.ListEndpoints(ctx, &control.ListEndpointsInput{SortBy: "Size"}))
}

func TestWhatIsConfiguredComesBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	ctx := t.Context()
	variant := types.ProductionVariant{
		VariantName: aws.String("main"), InstanceType: "ml.g5.xlarge", InitialInstanceCount: aws.Int32(2), EnableSSMAccess: aws.Bool(true),
		ManagedInstanceScaling: &types.ProductionVariantManagedInstanceScaling{
			Status: "ENABLED", MinInstanceCount: aws.Int32(0), ScaleInPolicy: &types.ProductionVariantManagedInstanceScalingScaleInPolicy{Strategy: "CONSOLIDATION", CooldownInMinutes: aws.Int32(5)},
		},
	}
	in := &control.CreateEndpointConfigInput{EndpointConfigName: aws.String("c"), ExecutionRoleArn: aws.String(role), ProductionVariants: []types.ProductionVariant{variant}}
	done(t)(h.control.CreateEndpointConfig(ctx, in))
	got, err := h.control.DescribeEndpointConfig(ctx, &control.DescribeEndpointConfigInput{EndpointConfigName: in.EndpointConfigName})
	if err != nil {
		t.Fatal(err)
	}
	back := got.ProductionVariants[0]
	if back.ManagedInstanceScaling.ScaleInPolicy.Strategy != "CONSOLIDATION" || *back.ManagedInstanceScaling.MinInstanceCount != 0 || !*back.EnableSSMAccess || *got.ExecutionRoleArn != role {
		t.Errorf("got %+v", back)
	}
	refused(t, invalid, "Cannot create already existing endpoint configuration")(h.control.CreateEndpointConfig(ctx, in))
	in.EndpointConfigName, in.ExecutionRoleArn = aws.String("no-role"), nil
	refused(t, invalid, "ExecutionRoleArn")(h.control.CreateEndpointConfig(ctx, in))
	if got := h.raw("CreateModel", `{"ModelName":"n","ExecutionRoleArn":null,"PrimaryContainer":{"Image":"i","ModelDataSource":{"S3DataSource":null},"Environment":{"A":null}}}`); !strings.HasPrefix(got, "200") {
		t.Errorf("got %s", got)
	}
	if got := h.raw("DescribeModel", `{"ModelName":"n"}`); !strings.HasPrefix(got, "200") || strings.Contains(got, "null") {
		t.Errorf("got %s", got)
	}
}

// TestComponentsAreNotPutOnEndpointsWithAModel holds facts §1.8.
func TestComponentsAreNotPutOnEndpointsWithAModel(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	ctx := t.Context()
	h.model("m")
	done(t)(h.control.CreateEndpointConfig(ctx, &control.CreateEndpointConfigInput{
		EndpointConfigName: aws.String("c"), ProductionVariants: []types.ProductionVariant{{VariantName: aws.String("main"), ModelName: aws.String("m"), InstanceType: "ml.g5.xlarge", InitialInstanceCount: aws.Int32(1)}},
	}))
	done(t)(h.control.CreateEndpoint(ctx, &control.CreateEndpointInput{EndpointName: aws.String("old"), EndpointConfigName: aws.String("c")}))
	h.until("in service", func() bool {
		out, err := h.control.DescribeEndpoint(ctx, &control.DescribeEndpointInput{EndpointName: aws.String("old")})
		return err == nil && out.EndpointStatus == "InService"
	})
	refused(t, invalid, "Inference Components are not supported in this Endpoint")(h.control.CreateInferenceComponent(ctx, baseInput("b", "old", "m")))
	refused(t, "ValidationError", "without inference components")(h.invoke("old", "", "{}"))
	images := func() []types.DeployedImage {
		out, err := h.control.DescribeEndpoint(ctx, &control.DescribeEndpointInput{EndpointName: aws.String("old")})
		if err != nil {
			t.Fatal(err)
		}
		return out.ProductionVariants[0].DeployedImages
	}
	if got := images(); len(got) != 1 || aws.ToString(got[0].SpecifiedImage) != "vllm:0.11.2" {
		t.Errorf("its variant has the images %+v, want the model's", got)
	}
	done(t)(h.control.DeleteModel(ctx, &control.DeleteModelInput{ModelName: aws.String("m")}))
	if got := images(); got != nil {
		t.Errorf("without the model its variant has the images %+v", got)
	}
}
