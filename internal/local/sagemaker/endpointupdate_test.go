package sagemaker_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"loradeck/internal/local/sagemaker"
)

// config makes an endpoint config of one variant, changed as a test needs it.
func (h *house) config(name string, change func(v *types.ProductionVariant)) {
	h.t.Helper()
	v := types.ProductionVariant{VariantName: aws.String("main"), InstanceType: "ml.g6e.12xlarge", InitialInstanceCount: aws.Int32(1), InitialVariantWeight: aws.Float32(1)}
	change(&v)
	done(h.t)(h.control.CreateEndpointConfig(h.t.Context(), &control.CreateEndpointConfigInput{
		EndpointConfigName: &name, ExecutionRoleArn: aws.String(role), ProductionVariants: []types.ProductionVariant{v},
	}))
}

func (h *house) describeEndpoint() *control.DescribeEndpointOutput {
	h.t.Helper()
	out, err := h.control.DescribeEndpoint(h.t.Context(), &control.DescribeEndpointInput{EndpointName: aws.String("e")})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) endpointSettled() *control.DescribeEndpointOutput {
	h.t.Helper()
	h.until("endpoint settled", func() bool { return h.describeEndpoint().EndpointStatus == "InService" })
	return h.describeEndpoint()
}

func TestEndpointGetsAnotherConfig(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	h.config("larger", func(v *types.ProductionVariant) {
		v.InstanceType, v.InitialInstanceCount = "ml.g6e.24xlarge", aws.Int32(2)
	})
	h.platform.SetPace(sagemaker.Steady(frozen))
	in := &control.UpdateEndpointInput{EndpointName: aws.String("e"), EndpointConfigName: aws.String("larger"), DeploymentConfig: &types.DeploymentConfig{
		BlueGreenUpdatePolicy: &types.BlueGreenUpdatePolicy{TrafficRoutingConfiguration: &types.TrafficRoutingConfig{Type: "ALL_AT_ONCE", WaitIntervalInSeconds: aws.Int32(5)}},
	}}
	done(t)(h.control.UpdateEndpoint(t.Context(), in))
	during := h.describeEndpoint()
	if during.EndpointStatus != "Updating" || *during.EndpointConfigName != "e-config" || during.PendingDeploymentSummary == nil ||
		*during.PendingDeploymentSummary.EndpointConfigName != "larger" || *during.PendingDeploymentSummary.ProductionVariants[0].DesiredInstanceCount != 2 || during.PendingDeploymentSummary.ProductionVariants[0].InstanceType != "ml.g6e.24xlarge" {
		t.Errorf("during the update: %s, pending %+v", during.EndpointStatus, during.PendingDeploymentSummary)
	}
	h.answers("one", "v1 old")
	refused(t, invalid, "Cannot update in-progress endpoint")(h.control.UpdateEndpoint(t.Context(), in))
	refused(t, invalid, "while it is Updating")(h.control.CreateInferenceComponent(t.Context(), adapterInput("two", "e", "base", artifact)))
	h.close()
	h.pace = sagemaker.Pace{}
	h.open()
	after := h.endpointSettled()
	if *after.EndpointConfigName != "larger" || after.PendingDeploymentSummary != nil || *after.ProductionVariants[0].CurrentInstanceCount != 2 ||
		after.LastDeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.Type != "ALL_AT_ONCE" || !after.LastModifiedTime.After(*after.CreationTime) {
		t.Errorf("after the update: %+v", after)
	}
	h.answers("one", "v1 old")
}

// TestEndpointTakesItsSettingsFromTheOtherConfig has data capture, which is asked for in other words than it is described in.
func TestEndpointTakesItsSettingsFromTheOtherConfig(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.endpoint("e")
	done(t)(h.control.CreateEndpointConfig(t.Context(), &control.CreateEndpointConfigInput{
		EndpointConfigName: aws.String("captured"), ExecutionRoleArn: aws.String(role), ProductionVariants: []types.ProductionVariant{{VariantName: aws.String("main"), InstanceType: "ml.g6e.12xlarge", InitialInstanceCount: aws.Int32(1)}},
		DataCaptureConfig: &types.DataCaptureConfig{EnableCapture: aws.Bool(true), InitialSamplingPercentage: aws.Int32(7), DestinationS3Uri: aws.String("s3://b/c"), CaptureOptions: []types.CaptureOption{{CaptureMode: "Input"}}},
	}))
	done(t)(h.control.UpdateEndpoint(t.Context(), &control.UpdateEndpointInput{EndpointName: aws.String("e"), EndpointConfigName: aws.String("captured")}))
	capture := h.endpointSettled().DataCaptureConfig
	if capture == nil || *capture.CurrentSamplingPercentage != 7 || capture.CaptureStatus != "Started" {
		t.Errorf("captures %+v", capture)
	}
}

func TestEndpointRetainsItsVariantsProperties(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	done(t)(h.control.UpdateEndpointWeightsAndCapacities(t.Context(), &control.UpdateEndpointWeightsAndCapacitiesInput{EndpointName: aws.String("e"), DesiredWeightsAndCapacities: []types.DesiredWeightAndCapacity{
		{VariantName: aws.String("main"), DesiredWeight: aws.Float32(0.5), DesiredInstanceCount: aws.Int32(3)},
	}}))
	if v := h.endpointSettled().ProductionVariants[0]; *v.CurrentInstanceCount != 3 || *v.DesiredInstanceCount != 3 || *v.CurrentWeight != 0.5 {
		t.Errorf("after weights and capacities: %+v", v)
	}
	h.config("other", func(*types.ProductionVariant) {})
	done(t)(h.control.UpdateEndpoint(t.Context(), &control.UpdateEndpointInput{
		EndpointName: aws.String("e"), EndpointConfigName: aws.String("other"), RetainAllVariantProperties: aws.Bool(true),
		ExcludeRetainedVariantProperties: []types.VariantProperty{{VariantPropertyType: "DesiredWeight"}},
	}))
	if v := h.endpointSettled().ProductionVariants[0]; *v.CurrentInstanceCount != 3 || *v.CurrentWeight != 1 {
		t.Errorf("after the update: %d instances of weight %v", *v.CurrentInstanceCount, *v.CurrentWeight)
	}
	h.platform.SetPace(sagemaker.Steady(frozen))
	done(t)(h.control.UpdateEndpointWeightsAndCapacities(t.Context(), &control.UpdateEndpointWeightsAndCapacitiesInput{EndpointName: aws.String("e"), DesiredWeightsAndCapacities: []types.DesiredWeightAndCapacity{
		{VariantName: aws.String("main"), DesiredInstanceCount: aws.Int32(4)},
	}}))
	if v := h.describeEndpoint().ProductionVariants[0]; *v.CurrentInstanceCount != 3 || *v.DesiredInstanceCount != 4 {
		t.Errorf("during the change it has %d instances and wants %d", *v.CurrentInstanceCount, *v.DesiredInstanceCount)
	}
}

func TestEndpointUpdatesAreRefusedAsOnSageMaker(t *testing.T) {
	t.Parallel()
	h := published(t, &press{})
	h.model("m")
	h.config("renamed", func(v *types.ProductionVariant) { v.VariantName = aws.String("other") })
	h.config("modelled", func(v *types.ProductionVariant) { v.ModelName = aws.String("m") })
	for endpoint, cases := range map[string]map[string]string{"e": {"none": "Could not find endpoint configuration", "renamed": "does not have", "modelled": "Inference Components are not supported"}, "none": {"e-config": "Could not find endpoint"}} {
		for config, want := range cases {
			refused(t, invalid, want)(h.control.UpdateEndpoint(t.Context(), &control.UpdateEndpointInput{EndpointName: &endpoint, EndpointConfigName: &config}))
		}
	}
	weights := &control.UpdateEndpointWeightsAndCapacitiesInput{EndpointName: aws.String("e"), DesiredWeightsAndCapacities: []types.DesiredWeightAndCapacity{{VariantName: aws.String("other"), DesiredWeight: aws.Float32(1)}}}
	refused(t, invalid, `The variant name(s) "other" is/are not present`)(h.control.UpdateEndpointWeightsAndCapacities(t.Context(), weights))
	h.config("small", func(v *types.ProductionVariant) { v.InstanceType = "ml.m5.large" })
	done(t)(h.control.UpdateEndpoint(t.Context(), &control.UpdateEndpointInput{EndpointName: aws.String("e"), EndpointConfigName: aws.String("small")}))
	h.until("rolled back", func() bool { return h.describeEndpoint().FailureReason != nil })
	if got := h.describeEndpoint(); got.EndpointStatus != "InService" || *got.EndpointConfigName != "e-config" {
		t.Errorf("an endpoint whose components would have no place is %s with %s", got.EndpointStatus, *got.EndpointConfigName)
	}
	done(t)(h.control.DeleteEndpointConfig(t.Context(), &control.DeleteEndpointConfigInput{EndpointConfigName: aws.String("e-config")}))
	refused(t, invalid, "Could not find endpoint configuration")(h.control.UpdateEndpoint(t.Context(), &control.UpdateEndpointInput{EndpointName: aws.String("e"), EndpointConfigName: aws.String("small")}))
}
