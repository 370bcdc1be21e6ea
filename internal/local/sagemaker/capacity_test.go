package sagemaker_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"loradeck/internal/local/fault"
	"loradeck/internal/local/sagemaker"
	"loradeck/internal/lora"
)

const noRoom = "There is not enough hardware resources on the instances for this endpoint to create a copy of the inference component."

// TestCopiesNeedAPlace has an instance of four accelerators.
func TestCopiesNeedAPlace(t *testing.T) {
	t.Parallel()
	p := &press{starting: func(_ context.Context, spec sagemaker.ContainerSpec) error {
		if spec.Name == "broken" {
			return lora.Errorf(lora.Invalid, "no such flag")
		}
		return nil
	}}
	h := published(t, p)
	h.model("m")
	create := func(name string, accelerators, copies int) (status, reason string) {
		in := baseInput(name, "e", "m")
		in.Specification.ComputeResourceRequirements.NumberOfAcceleratorDevicesRequired = aws.Float32(float32(accelerators))
		in.RuntimeConfig.CopyCount = aws.Int32(int32(copies))
		got := h.create(in)
		return string(got.InferenceComponentStatus), aws.ToString(got.FailureReason)
	}
	for _, c := range []struct {
		name                 string
		accelerators, copies int
		status, reason       string
	}{
		{"great", 4, 1, "Failed", noRoom}, // "base" holds one
		{"three", 1, 3, "InService", ""},
		{"more", 1, 1, "Failed", noRoom},
	} {
		if status, reason := create(c.name, c.accelerators, c.copies); status != c.status || reason != c.reason {
			t.Errorf("%s is %s: %s", c.name, status, reason)
		}
	}
	h.delete("three")
	if status, _ := create("broken", 1, 3); status != "Failed" {
		t.Errorf("broken is %s", status)
	}
	if status, reason := create("after", 1, 1); status != "Failed" || reason != noRoom {
		t.Errorf("beside a failed component, which keeps its place until it is deleted, another one is %s", status)
	}
	h.delete("broken")
	h.delete("after")
	if status, reason := create("after", 1, 1); status != "InService" {
		t.Errorf("once it was deleted, another one is %s: %s", status, reason)
	}

	done(t)(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), scaling(4)))
	got := h.settled("base")
	if got.InferenceComponentStatus != "Failed" || aws.ToString(got.FailureReason) != noRoom || *got.RuntimeConfig.DesiredCopyCount != 4 || *got.RuntimeConfig.CurrentCopyCount != 1 {
		t.Errorf("scaled beyond its place it is %s with %+v", got.InferenceComponentStatus, got.RuntimeConfig)
	}
	for range 2 { // a restart keeps it so
		h.answers("base", "v1")
		h.answers("one", "v1 old")
		h.restart()
	}
	done(t)(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), scaling(3)))
	if got := h.settled("base"); got.InferenceComponentStatus != "InService" || *got.RuntimeConfig.CurrentCopyCount != 3 {
		t.Errorf("scaled to what fits it is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	h.update(imageUpdate("v2")) // three more copies beside the old ones
	if got := h.settled("base"); got.InferenceComponentStatus != "InService" || !strings.Contains(aws.ToString(got.FailureReason), noRoom) {
		t.Errorf("updated without a place beside the old copies it is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	h.answers("one", "v1 old")
	h.delete("after")
	rolling := imageUpdate("v2") // one by one
	rolling.DeploymentConfig = &types.InferenceComponentDeploymentConfig{RollingUpdatePolicy: &types.InferenceComponentRollingUpdatePolicy{
		MaximumBatchSize: &types.InferenceComponentCapacitySize{Type: "CAPACITY_PERCENT", Value: aws.Int32(33)}, WaitIntervalInSeconds: aws.Int32(0),
	}}
	h.update(rolling)
	if got := h.settled("base"); aws.ToString(got.FailureReason) != "" || *got.RuntimeConfig.CurrentCopyCount != 3 {
		t.Errorf("updated in batches it is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	h.answers("one", "v2 old")
}

// TestManagedScalingAddsInstances holds that a component waits in Creating while an instance comes.
func TestManagedScalingAddsInstances(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	h.model("m")
	h.config("managed", func(v *types.ProductionVariant) {
		v.InstanceType = "ml.g6e.xlarge"
		v.ManagedInstanceScaling = &types.ProductionVariantManagedInstanceScaling{Status: "ENABLED", MinInstanceCount: aws.Int32(1), MaxInstanceCount: aws.Int32(2)}
	})
	done(t)(h.control.UpdateEndpoint(t.Context(), &control.UpdateEndpointInput{EndpointName: aws.String("e"), EndpointConfigName: aws.String("managed")}))
	h.endpointSettled()
	h.platform.SetPace(sagemaker.Steady(frozen))
	done(t)(h.control.CreateInferenceComponent(t.Context(), baseInput("second", "e", "m")))
	if got := h.describe("second"); got.InferenceComponentStatus != "Creating" {
		t.Errorf("while an instance comes it is %s", got.InferenceComponentStatus)
	}
	h.platform.SetPace(sagemaker.Pace{})
	if got := h.settled("second"); got.InferenceComponentStatus != "InService" {
		t.Errorf("with another instance it is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	if v := h.describeEndpoint().ProductionVariants[0]; *v.CurrentInstanceCount != 2 {
		t.Errorf("the variant has %d instances", *v.CurrentInstanceCount)
	}
	if got := h.create(baseInput("third", "e", "m")); aws.ToString(got.FailureReason) != noRoom {
		t.Errorf("beyond the most instances a component is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
}

func TestNoCapacityIsMetByNewCopies(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	h.model("m")
	h.close()
	h.faults = &fault.Registry{}
	h.open()
	set := func(resource string) { done(t)(h.faults.Set(fault.NoCapacity, resource, 1)) }
	set("new")
	if got := h.create(baseInput("new", "e", "m")); got.InferenceComponentStatus != "Failed" || !strings.Contains(aws.ToString(got.FailureReason), "InsufficientInstanceCapacity") {
		t.Errorf("created it is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	set("e")
	done(t)(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), scaling(2)))
	if got := h.settled("base"); got.InferenceComponentStatus != "Failed" || *got.RuntimeConfig.CurrentCopyCount != 1 {
		t.Errorf("scaled it is %s", got.InferenceComponentStatus)
	}
	done(t)(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), scaling(2)))
	if got := h.settled("base"); got.InferenceComponentStatus != "InService" {
		t.Errorf("scaled again it is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
}

// TestStuckCreatingGoesOnWhenReleased has one that is released and one that is over after so many Describes.
func TestStuckCreatingGoesOnWhenReleased(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	h.model("m")
	h.close()
	h.faults = &fault.Registry{}
	h.open()
	stuck, err := h.faults.Set(fault.StuckCreating, "new", 0)
	if err != nil {
		t.Fatal(err)
	}
	done(t)(h.control.CreateInferenceComponent(t.Context(), baseInput("new", "e", "m")))
	for range 5 {
		if got := h.describe("new"); got.InferenceComponentStatus != "Creating" {
			t.Errorf("it is %s", got.InferenceComponentStatus)
		}
	}
	if err := h.faults.Release(stuck.ID); err != nil {
		t.Fatal(err)
	}
	h.settled("new")
	done(t)(h.faults.Set(fault.StuckCreating, "f", 3))
	done(t)(h.control.CreateEndpoint(t.Context(), &control.CreateEndpointInput{EndpointName: aws.String("f"), EndpointConfigName: aws.String("e-config")}))
	for range 3 {
		out, err := h.control.DescribeEndpoint(t.Context(), &control.DescribeEndpointInput{EndpointName: aws.String("f")})
		if err != nil || out.EndpointStatus != "Creating" {
			t.Errorf("the endpoint is %v, %v", out.EndpointStatus, err)
		}
	}
	h.until("endpoint in service", func() bool {
		out, err := h.control.DescribeEndpoint(t.Context(), &control.DescribeEndpointInput{EndpointName: aws.String("f")})
		return err == nil && out.EndpointStatus == "InService"
	})
}

func TestDeadInServiceDoesNotAnswer(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	h.close()
	h.faults = &fault.Registry{}
	h.open()
	done(t)(h.faults.Set(fault.DeadInService, "base", 2))
	for _, name := range []string{"base", "one"} {
		refused(t, "ModelError", "could not get a response")(h.invoke("e", name, "{}"))
		if got := h.describe(name); got.InferenceComponentStatus != "InService" {
			t.Errorf("%s is %s", name, got.InferenceComponentStatus)
		}
	}
	h.answers("one", "v1 old")
}
