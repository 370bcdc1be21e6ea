package sagemaker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"

	"loradeck/internal/local/sagemaker"
)

// TestWhatTheServiceModelDoesNotSayIsRefusedToo has one case for each rule that AWS has in words only, or that is known from
// reports (facts §1.4, §1.8–§1.10). Those of components are in TestComponentsAreRefusedAsOnSageMaker.
func TestWhatTheServiceModelDoesNotSayIsRefusedToo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.endpoint("e")
	h.model("m")
	const (
		model  = `{"ModelName":"new",%s}`
		data   = `{"ModelName":"new","PrimaryContainer":{"Image":"i",%s}}`
		config = `{"EndpointConfigName":"new","ExecutionRoleArn":"` + role + `","ProductionVariants":[%s]}`
		more   = `{"EndpointConfigName":"new","ExecutionRoleArn":"` + role + `","ProductionVariants":[{"VariantName":"v"}],%s}`
		lone   = `{"EndpointConfigName":"new","ProductionVariants":[%s]}`
		source = `"ModelDataSource":{"S3DataSource":{"S3Uri":"%s","S3DataType":"%s","CompressionType":"%s"}}`
		tagged = `{"ModelName":"new","PrimaryContainer":{"Image":"i"},"Tags":[%s]}`
		pools  = `{"VariantName":"v","InstancePools":[{"InstanceType":"ml.g5.xlarge","Priority":1%s}]%s}`
		scaled = `{"VariantName":"v"%s,"ManagedInstanceScaling":{"MinInstanceCount":%d,"MaxInstanceCount":1}}`
	)
	for _, c := range []struct{ rule, operation, body, want string }{
		{"a model has a container", "CreateModel", `{"ModelName":"new"}`, "Exactly one of PrimaryContainer and Containers"},
		{"and no second kind of them", "CreateModel", fmt.Sprintf(model, `"PrimaryContainer":{"Image":"i"},"Containers":[{"Image":"i"}]`), "Exactly one of PrimaryContainer and Containers"},
		{"a container has an image", "CreateModel", fmt.Sprintf(model, `"PrimaryContainer":{}`), "Image or a ModelPackageName"},
		{"each of several has", "CreateModel", fmt.Sprintf(model, `"Containers":[{"Image":"i"},{}]`), "Image or a ModelPackageName"},
		{"its data come from one place", "CreateModel", fmt.Sprintf(data, `"ModelDataUrl":"s3://b/k",`+fmt.Sprintf(source, "s3://b/p/", "S3Prefix", "None")), "exclude each other"},
		{"a prefix ends with a slash", "CreateModel", fmt.Sprintf(data, fmt.Sprintf(source, "s3://b/p", "S3Prefix", "None")), "must end with a forward slash"},
		{"one of additional data too", "CreateModel", fmt.Sprintf(data, `"AdditionalModelDataSources":[{"ChannelName":"c","S3DataSource":{"S3Uri":"s3://b/p","S3DataType":"S3Prefix","CompressionType":"None"}}]`), "must end with a forward slash"},
		{"a prefix is not compressed", "CreateModel", fmt.Sprintf(data, fmt.Sprintf(source, "s3://b/p/", "S3Prefix", "Gzip")), "S3Object only"},
		{"environments have 32 KB", "CreateModel", fmt.Sprintf(data, `"Environment":{`+environment(33)+`}`), "at most 32768"},
		{"names of models are taken in any case", "CreateModel", `{"ModelName":"M","PrimaryContainer":{"Image":"i"}}`, `Cannot create already existing model \"arn:aws:sagemaker:us-east-1:000000000000:model/m\".`},
		{"a model that is not there", "DescribeModel", `{"ModelName":"none"}`, `Could not find model \"arn:aws:sagemaker:us-east-1:000000000000:model/none\".`},
		{"cannot be deleted", "DeleteModel", `{"ModelName":"none"}`, "Could not find model"},
		{"tag keys are unique", "CreateModel", fmt.Sprintf(tagged, `{"Key":"a","Value":""},{"Key":"a","Value":"b"}`), "must be unique"},
		{"tags of AWS are its own", "CreateModel", fmt.Sprintf(tagged, `{"Key":"AWS:a","Value":""}`), "reserved for AWS"},

		{"variants' names are unique", "CreateEndpointConfig", fmt.Sprintf(config, `{"VariantName":"v","InstanceType":"ml.g5.xlarge"},{"VariantName":"v"}`), "must be unique"},
		{"a variant has something to run on", "CreateEndpointConfig", fmt.Sprintf(config, `{"VariantName":"v","InitialInstanceCount":1}`), "nothing to run on"},
		{"components need a role", "CreateEndpointConfig", fmt.Sprintf(lone, `{"VariantName":"v"}`), "ExecutionRoleArn is required"},
		{"the model of a variant is there", "CreateEndpointConfig", fmt.Sprintf(config, `{"VariantName":"v","ModelName":"none"}`), "Could not find model"},
		{"that of a pool too", "CreateEndpointConfig", fmt.Sprintf(config, fmt.Sprintf(pools, `,"ModelNameOverride":"none"`, "")), "Could not find model"},
		{"instances are of a type or of pools", "CreateEndpointConfig", fmt.Sprintf(config, fmt.Sprintf(pools, "", `,"InstanceType":"ml.g5.xlarge"`)), "exclude each other"},
		{"or there are none", "CreateEndpointConfig", fmt.Sprintf(config, `{"VariantName":"v","ModelName":"m","InstanceType":"ml.g5.xlarge","ServerlessConfig":{"MemorySizeInMB":1024,"MaxConcurrency":1}}`), "ServerlessConfig excludes"},
		{"scaling by SageMaker is for components", "CreateEndpointConfig", fmt.Sprintf(config, fmt.Sprintf(scaled, `,"ModelName":"m"`, 1)), "ManagedInstanceScaling is supported only for production variants that host inference components"},
		{"the least is not more than the most", "CreateEndpointConfig", fmt.Sprintf(config, fmt.Sprintf(scaled, "", 2)), "must not be greater than MaxInstanceCount"},
		{"one variant goes with one shadow", "CreateEndpointConfig", fmt.Sprintf(more, `"ShadowProductionVariants":[{"VariantName":"s"},{"VariantName":"t"}]`), "one production variant and one shadow variant"},
		{"metrics come at certain intervals", "CreateEndpointConfig", fmt.Sprintf(more, `"MetricsConfig":{"MetricPublishFrequencyInSeconds":20}`), "it can be one of [10 30 60 120 180 240 300]"},
		{"names of configs are taken", "CreateEndpointConfig", `{"EndpointConfigName":"E-config","ExecutionRoleArn":"` + role + `","ProductionVariants":[{"VariantName":"v","InstanceType":"ml.m5.xlarge"}]}`, `Cannot create already existing endpoint configuration \"arn:aws:sagemaker:us-east-1:000000000000:endpoint-config/e-config\".`},
		{"a config that is not there", "DescribeEndpointConfig", `{"EndpointConfigName":"none"}`, "Could not find endpoint configuration"},
		{"cannot be deleted either", "DeleteEndpointConfig", `{"EndpointConfigName":"none"}`, "Could not find endpoint configuration"},

		{"an endpoint's config is there", "CreateEndpoint", `{"EndpointName":"new","EndpointConfigName":"none"}`, "Could not find endpoint configuration"},
		{"endpoints are told apart in any case", "CreateEndpoint", `{"EndpointName":"E","EndpointConfigName":"e-config"}`, `Cannot create already existing endpoint \"arn:aws:sagemaker:us-east-1:000000000000:endpoint/e\".`},
		{"an endpoint's tags are held to the same", "CreateEndpoint", `{"EndpointName":"new","EndpointConfigName":"e-config","Tags":[{"Key":"aws:a","Value":""}]}`, "reserved for AWS"},
		{"an endpoint that is not there", "DescribeEndpoint", `{"EndpointName":"none"}`, `Could not find endpoint \"arn:aws:sagemaker:us-east-1:000000000000:endpoint/none\".`},
		{"cannot be deleted as well", "DeleteEndpoint", `{"EndpointName":"none"}`, "Could not find endpoint"},

		{"a component that is not there", "DescribeInferenceComponent", `{"InferenceComponentName":"none"}`, `Could not find inference component \"arn:aws:sagemaker:us-east-1:000000000000:inference-component/none\".`},
		{"cannot go", "DeleteInferenceComponent", `{"InferenceComponentName":"none"}`, "Could not find inference component"},

		{"tags are of what is there", "AddTags", `{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/none","Tags":[]}`, "Could not find resource"},
		{"and of one of the four kinds", "AddTags", `{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:training-job/m","Tags":[]}`, "Could not find resource"},
		{"in this account", "AddTags", `{"ResourceArn":"arn:aws:sagemaker:us-east-1:111111111111:model/m","Tags":[]}`, "Could not find resource"},
		{"added tags are unique", "AddTags", `{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m","Tags":[{"Key":"a","Value":""},{"Key":"a","Value":""}]}`, "must be unique"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			if got := h.raw(c.operation, c.body); !strings.HasPrefix(got, `400 {"__type":"ValidationException"`) || !strings.Contains(got, c.want) {
				t.Errorf("%s answered %s, want %s", c.operation, got, c.want)
			}
		})
	}
}

// environment is so many kilobytes of variables.
func environment(kilobytes int) string {
	var pairs []string
	for i := range kilobytes {
		pairs = append(pairs, fmt.Sprintf(`"A%d":"%s"`, i, strings.Repeat("x", 1020)))
	}
	return strings.Join(pairs, ",")
}

// TestRegionsDifferInScalingToNothing holds what was reported of eu-west-3 (facts §1.8).
func TestRegionsDifferInScalingToNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	const body = `{"EndpointConfigName":"c","ExecutionRoleArn":"` + role + `","ProductionVariants":[{"VariantName":"v","InstanceType":"ml.m5.xlarge","ManagedInstanceScaling":{"MinInstanceCount":0}}]}`
	if got := h.raw("CreateEndpointConfig", body); !strings.HasPrefix(got, "200 ") {
		t.Errorf("us-east-1 answered %s", got)
	}
	h.close()
	h.region = "eu-west-3"
	h.open()
	if got := h.raw("CreateEndpointConfig", strings.Replace(body, `"c"`, `"d"`, 1)); !strings.Contains(got, "MinInstanceCount must be at least 1") {
		t.Errorf("eu-west-3 answered %s", got)
	}
}

// TestNothingIsDeletedWhileItMoves stops time, and asks for what is refused meanwhile (facts §1.8).
func TestNothingIsDeletedWhileItMoves(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.endpoint("e")
	h.model("m")
	h.create(baseInput("base", "e", "m"))
	h.create(baseInput("leaving", "e", "m"))
	h.platform.SetPace(sagemaker.Steady(time.Hour))
	ctx := t.Context()
	done(t)(h.control.CreateInferenceComponent(ctx, baseInput("coming", "e", "m")))
	done(t)(h.control.DeleteInferenceComponent(ctx, &control.DeleteInferenceComponentInput{InferenceComponentName: aws.String("leaving")}))
	done(t)(h.control.CreateEndpoint(ctx, &control.CreateEndpointInput{EndpointName: aws.String("new"), EndpointConfigName: aws.String("e-config")}))
	for _, c := range []struct{ rule, operation, body, want string }{
		{"a component being created", "DeleteInferenceComponent", `{"InferenceComponentName":"coming"}`, "while it is in state CREATE_IN_PROGRESS: it must reach a terminal state first"},
		{"one being deleted", "DeleteInferenceComponent", `{"InferenceComponentName":"leaving"}`, "is in state DELETE_IN_PROGRESS"},
		{"an endpoint that hosts some", "DeleteEndpoint", `{"EndpointName":"e"}`, "still hosts 3 inference components"},
		{"an endpoint being created", "DeleteEndpoint", `{"EndpointName":"new"}`, "Cannot update in-progress endpoint"},
		{"nothing comes onto an endpoint being created", "CreateInferenceComponent", `{"InferenceComponentName":"x","EndpointName":"new","VariantName":"main","Specification":{"ModelName":"m"}}`, "while it is Creating"},
		{"no adapter onto a base being created", "CreateInferenceComponent", `{"InferenceComponentName":"x","EndpointName":"e","Specification":{"BaseInferenceComponentName":"coming","Container":{"ArtifactUrl":"s3://b/k"}}}`, "is Creating and not InService"},
		{"or deleted", "CreateInferenceComponent", `{"InferenceComponentName":"x","EndpointName":"e","Specification":{"BaseInferenceComponentName":"leaving","Container":{"ArtifactUrl":"s3://b/k"}}}`, "is Deleting and not InService"},
		{"a name is taken until it has gone", "CreateInferenceComponent", `{"InferenceComponentName":"LEAVING","EndpointName":"e","VariantName":"main","RuntimeConfig":{"CopyCount":1},"Specification":{"ModelName":"m","ComputeResourceRequirements":{"MinMemoryRequiredInMb":128}}}`, "Cannot create already existing inference component"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := h.raw(c.operation, c.body); !strings.HasPrefix(got, `400 {"__type":"ValidationException"`) || !strings.Contains(got, c.want) {
				t.Errorf("%s answered %s, want %s", c.operation, got, c.want)
			}
		})
	}
}

// TestSeveralSpecificationsAreForPools holds what goes with instance pools (facts §1.4), and that all of it comes back.
func TestSeveralSpecificationsAreForPools(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.model("m")
	if got := h.raw("CreateEndpointConfig", `{"EndpointConfigName":"c","ExecutionRoleArn":"`+role+`","ProductionVariants":[{"VariantName":"main","InitialInstanceCount":1,"InstancePools":[{"InstanceType":"ml.g5.xlarge","Priority":1},{"InstanceType":"ml.g6.xlarge","Priority":2}]}]}`); !strings.HasPrefix(got, "200 ") {
		t.Fatal(got)
	}
	done(t)(h.control.CreateEndpoint(t.Context(), &control.CreateEndpointInput{EndpointName: aws.String("e"), EndpointConfigName: aws.String("c")}))
	h.until("in service", func() bool { return strings.Contains(h.raw("DescribeEndpoint", `{"EndpointName":"e"}`), `"InService"`) })
	const body = `{"InferenceComponentName":"b","EndpointName":"e","VariantName":"main","RuntimeConfig":{"CopyCount":1},%s}`
	const one = `{"ModelName":"m","ComputeResourceRequirements":{"MinMemoryRequiredInMb":128}%s}`
	g5, g6, p5 := fmt.Sprintf(one, `,"InstanceType":"ml.g5.xlarge"`), fmt.Sprintf(one, `,"InstanceType":"ml.g6.xlarge"`), fmt.Sprintf(one, `,"InstanceType":"ml.p5.48xlarge"`)
	for _, c := range []struct{ rule, body, want string }{
		{"neither", `"Tags":[]`, "Exactly one of Specification and Specifications"},
		{"both", `"Specification":` + g5 + `,"Specifications":[` + g5 + `]`, "Exactly one of Specification and Specifications"},
		{"no type", `"Specifications":[` + g5 + `,` + fmt.Sprintf(one, "") + `]`, "InstanceType must be given in each"},
		{"a type twice", `"Specifications":[` + g5 + `,` + g5 + `]`, "given more than once"},
		{"a type of no pool", `"Specifications":[` + g5 + `,` + p5 + `]`, "in none of the instance pools"},
		{"one that is wrong", `"Specifications":[` + g5 + `,{"InstanceType":"ml.g6.xlarge","ModelName":"none","ComputeResourceRequirements":{"MinMemoryRequiredInMb":128}}]`, "Could not find model"},
	} {
		if got := h.raw("CreateInferenceComponent", fmt.Sprintf(body, c.body)); !strings.HasPrefix(got, "400 ") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.rule, got)
		}
	}
	if got := h.raw("CreateInferenceComponent", fmt.Sprintf(body, `"Specifications":[`+g5+`,`+g6+`]`)); !strings.HasPrefix(got, "200 ") {
		t.Fatal(got)
	}
	if got := h.settled("b"); got.InferenceComponentStatus != "InService" || len(got.Specifications) != 2 || got.Specification != nil || got.Specifications[1].InstanceType != "ml.g6.xlarge" {
		t.Errorf("got %+v", got)
	}
}
