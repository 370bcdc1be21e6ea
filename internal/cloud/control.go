package cloud

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"loradeck/internal/lora"
)

// Endpoints gives every endpoint of the place that hosts inference components, or may: one whose variant has a model of its
// own does not and is left out.
func (p *Place) Endpoints(ctx context.Context) ([]lora.Endpoint, error) {
	var endpoints []lora.Endpoint
	input := &sagemaker.ListEndpointsInput{MaxResults: aws.Int32(100)}
	for range maxPages {
		page, err := p.control.ListEndpoints(ctx, input)
		if err != nil {
			return nil, translate(err, "list endpoints")
		}
		for _, row := range page.Endpoints {
			endpoint, hosts, err := p.endpoint(ctx, aws.ToString(row.EndpointName))
			if lora.KindOf(err) == lora.NotFound {
				continue // it went between the list and now
			}
			if err != nil {
				return nil, err
			}
			if hosts {
				endpoints = append(endpoints, endpoint)
			}
		}
		if page.NextToken == nil {
			return endpoints, nil
		}
		input.NextToken = page.NextToken
	}
	return nil, fmt.Errorf("list endpoints: %w", errEndless)
}

// Endpoint describes one endpoint.
func (p *Place) Endpoint(ctx context.Context, name string) (lora.Endpoint, error) {
	endpoint, _, err := p.endpoint(ctx, name)
	return endpoint, err
}

func (p *Place) endpoint(ctx context.Context, name string) (endpoint lora.Endpoint, hosts bool, err error) {
	out, err := p.control.DescribeEndpoint(ctx, &sagemaker.DescribeEndpointInput{EndpointName: &name})
	if err != nil {
		return lora.Endpoint{}, false, translate(err, "describe endpoint "+name)
	}
	endpoint = lora.Endpoint{
		Name: aws.ToString(out.EndpointName), ARN: aws.ToString(out.EndpointArn), ConfigName: aws.ToString(out.EndpointConfigName),
		Status: lora.Status(out.EndpointStatus), FailureReason: aws.ToString(out.FailureReason),
		Created: aws.ToTime(out.CreationTime), Modified: aws.ToTime(out.LastModifiedTime),
	}
	for _, variant := range out.ProductionVariants {
		endpoint.Variant = aws.ToString(variant.VariantName)
		endpoint.InstanceCount = int(aws.ToInt32(variant.CurrentInstanceCount))
	}
	if out.EndpointConfigName == nil {
		return endpoint, true, nil
	}
	// The instance type is in the config only (facts §1.11), which may have been deleted.
	config, err := p.control.DescribeEndpointConfig(ctx, &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: out.EndpointConfigName})
	if translated := translate(err, "describe endpoint config of "+name); translated != nil {
		if lora.KindOf(translated) == lora.NotFound {
			return endpoint, true, nil
		}
		return endpoint, false, translated
	}
	hosts = true
	for _, variant := range config.ProductionVariants {
		endpoint.Variant, endpoint.InstanceType = aws.ToString(variant.VariantName), string(variant.InstanceType)
		hosts = hosts && variant.ModelName == nil
	}
	return endpoint, hosts, nil
}

// Components lists the components of an endpoint, or of all where it is "", with what a list row has: name, ARN, endpoint,
// variant, status and times. Which of them are adapters only Component tells (facts §1.6).
func (p *Place) Components(ctx context.Context, endpoint string) ([]lora.Component, error) {
	var components []lora.Component
	input := &sagemaker.ListInferenceComponentsInput{MaxResults: aws.Int32(100)}
	if endpoint != "" { // AWS refuses an empty name
		input.EndpointNameEquals = &endpoint
	}
	for range maxPages {
		page, err := p.control.ListInferenceComponents(ctx, input)
		if err != nil {
			return nil, translate(err, "list components of "+endpoint)
		}
		for _, row := range page.InferenceComponents {
			components = append(components, lora.Component{
				Name: aws.ToString(row.InferenceComponentName), ARN: aws.ToString(row.InferenceComponentArn), Endpoint: aws.ToString(row.EndpointName),
				Variant: aws.ToString(row.VariantName), Status: lora.Status(row.InferenceComponentStatus),
				Created: aws.ToTime(row.CreationTime), Modified: aws.ToTime(row.LastModifiedTime),
			})
		}
		if page.NextToken == nil {
			return components, nil
		}
		input.NextToken = page.NextToken
	}
	return nil, fmt.Errorf("list components of %s: %w", endpoint, errEndless)
}

// Component describes one component. A component that is not there is an error of kind NotFound; a throttled or failed
// look never is.
func (p *Place) Component(ctx context.Context, name string) (lora.Component, error) {
	out, err := p.control.DescribeInferenceComponent(ctx, &sagemaker.DescribeInferenceComponentInput{InferenceComponentName: &name})
	if err != nil {
		return lora.Component{}, translate(err, "describe component "+name)
	}
	c := lora.Component{
		Name: aws.ToString(out.InferenceComponentName), ARN: aws.ToString(out.InferenceComponentArn), Endpoint: aws.ToString(out.EndpointName),
		Variant: aws.ToString(out.VariantName), Status: lora.Status(out.InferenceComponentStatus), FailureReason: aws.ToString(out.FailureReason),
		Created: aws.ToTime(out.CreationTime), Modified: aws.ToTime(out.LastModifiedTime),
	}
	if spec := out.Specification; spec != nil {
		c.BaseName, c.ModelName = aws.ToString(spec.BaseInferenceComponentName), aws.ToString(spec.ModelName)
		if spec.Container != nil {
			c.ArtifactURL = aws.ToString(spec.Container.ArtifactUrl)
		}
	}
	if out.RuntimeConfig != nil {
		c.Copies = int(aws.ToInt32(out.RuntimeConfig.CurrentCopyCount))
	}
	return c, nil
}

// Model describes the SageMaker Model a base component runs.
func (p *Place) Model(ctx context.Context, name string) (lora.Model, error) {
	out, err := p.control.DescribeModel(ctx, &sagemaker.DescribeModelInput{ModelName: &name})
	if err != nil {
		return lora.Model{}, translate(err, "describe model "+name)
	}
	m := lora.Model{Name: aws.ToString(out.ModelName), ARN: aws.ToString(out.ModelArn), RoleARN: aws.ToString(out.ExecutionRoleArn)}
	container := out.PrimaryContainer
	if container == nil && len(out.Containers) > 0 {
		container = &out.Containers[0]
	}
	if container != nil {
		m.Image, m.DataURL, m.Environment = aws.ToString(container.Image), aws.ToString(container.ModelDataUrl), container.Environment
		if source := container.ModelDataSource; source != nil && source.S3DataSource != nil {
			m.DataURL = aws.ToString(source.S3DataSource.S3Uri)
		}
	}
	return m, nil
}

// maxModelConfig bounds what is read of a base's config.json; real ones are a few KB.
const maxModelConfig = 1 << 20

// ModelConfig reads config.json from the S3 prefix of a model.
func (p *Place) ModelConfig(ctx context.Context, m lora.Model) ([]byte, error) {
	return p.ModelFile(ctx, m, "config.json", maxModelConfig)
}

// ModelFile reads a small file from the S3 prefix of a model. A model that names no prefix is an error of kind Invalid.
func (p *Place) ModelFile(ctx context.Context, m lora.Model, name string, limit int64) ([]byte, error) {
	bucket, key, ok := SplitURL(m.DataURL)
	if !ok || key != "" && !strings.HasSuffix(key, "/") {
		return nil, lora.Errorf(lora.Invalid, "The model %s names no S3 prefix, so its %s cannot be read.", m.Name, name)
	}
	return p.Get(ctx, ObjectRef{Bucket: bucket, Key: key + name}, limit)
}

// Tags gives the tags of a resource.
func (p *Place) Tags(ctx context.Context, arn string) (map[string]string, error) {
	tags := map[string]string{}
	input := &sagemaker.ListTagsInput{ResourceArn: &arn}
	for range maxPages {
		page, err := p.control.ListTags(ctx, input)
		if err != nil {
			return nil, translate(err, "list tags of "+arn)
		}
		for _, tag := range page.Tags {
			tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
		if page.NextToken == nil {
			return tags, nil
		}
		input.NextToken = page.NextToken
	}
	return nil, fmt.Errorf("list tags of %s: %w", arn, errEndless)
}

// CreateComponent asks for a component and gives its ARN; the component then comes into service by itself. A name that is
// taken is an error of kind Conflict. An adapter sends neither variant nor compute nor copies: SageMaker takes those from
// the base and refuses some of them (facts §1.4).
func (p *Place) CreateComponent(ctx context.Context, spec lora.ComponentSpec) (arn string, err error) {
	input := &sagemaker.CreateInferenceComponentInput{
		InferenceComponentName: &spec.Name, EndpointName: &spec.Endpoint, Specification: &types.InferenceComponentSpecification{},
	}
	for _, key := range slices.Sorted(maps.Keys(spec.Tags)) {
		input.Tags = append(input.Tags, types.Tag{Key: aws.String(key), Value: aws.String(spec.Tags[key])})
	}
	if spec.Base != "" {
		input.Specification.BaseInferenceComponentName = &spec.Base
		input.Specification.Container = &types.InferenceComponentContainerSpecification{ArtifactUrl: &spec.ArtifactURL}
	} else {
		compute := &types.InferenceComponentComputeResourceRequirements{MinMemoryRequiredInMb: aws.Int32(int32(spec.MinMemoryMB))}
		if spec.Accelerators > 0 {
			compute.NumberOfAcceleratorDevicesRequired = aws.Float32(float32(spec.Accelerators))
		}
		input.VariantName = &spec.Variant
		input.Specification.ModelName = &spec.ModelName
		input.Specification.ComputeResourceRequirements = compute
		input.RuntimeConfig = &types.InferenceComponentRuntimeConfig{CopyCount: aws.Int32(int32(spec.Copies))}
	}
	out, err := p.control.CreateInferenceComponent(ctx, input)
	if err != nil {
		return "", translate(err, "create component "+spec.Name)
	}
	return aws.ToString(out.InferenceComponentArn), nil
}

// DeleteComponent asks for a component to be deleted; it goes by itself.
func (p *Place) DeleteComponent(ctx context.Context, name string) error {
	_, err := p.control.DeleteInferenceComponent(ctx, &sagemaker.DeleteInferenceComponentInput{InferenceComponentName: &name})
	return translate(err, "delete component "+name)
}
