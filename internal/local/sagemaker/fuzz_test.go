package sagemaker_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"loradeck/internal/local/sagemaker"
	"loradeck/internal/sqlite"
)

// lifetime is after how many requests the fuzzed platform is made anew, so that lists stay short. It takes long where fuzzing gets
// little of the machine, and Go takes an input of ten seconds for a deadlock.
const lifetime = 3000

// FuzzRequests sends any body to any operation of one platform, on which requests before it have left things behind. Nothing
// may panic or be an internal failure, and every answer must hold AWS's model. A body that is no JSON stands for choices by
// which a request is invented that does look like one.
func FuzzRequests(f *testing.F) {
	v := newWitness(f)
	operations := slices.Sorted(maps.Keys(v.model.Operations))
	for operation, bodies := range seeds {
		at, _ := slices.BinarySearch(operations, operation)
		for _, body := range bodies {
			f.Add(uint8(at), []byte(body))
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		choices := []byte{'\xff'}
		for range 100 {
			choices = append(choices, byte(random.Uint32()))
		}
		f.Add(uint8(random.Uint32()), choices)
	}
	var platform *sagemaker.Platform
	var closing func() error
	count := 0
	f.Cleanup(func() {
		if closing != nil && closing() != nil {
			f.Error("the platform does not close")
		}
	})
	f.Fuzz(func(t *testing.T, of uint8, body []byte) {
		if count%lifetime == 0 {
			if closing != nil {
				if err := closing(); err != nil {
					t.Fatal(err)
				}
			}
			platform, closing = fuzzed(t)
		}
		count++
		operation := operations[int(of)%len(operations)]
		if !json.Valid(body) {
			body = encode(t, v.model.invented(v.model.Operations[operation].Input.Shape, &body))
		}
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("X-Amz-Target", "SageMaker."+operation)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		seen := httptest.NewRecorder()
		platform.ServeHTTP(seen, r)
		for _, wrong := range v.judge(operation, seen) {
			t.Errorf("%s %s answered %d %s: %s", operation, body, seen.Code, seen.Body, wrong)
		}
	})
}

// TestRequestsInAnyOrder sends whole and invented requests as they come, so that each meets what others left behind.
func TestRequestsInAnyOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.shelf.put("b/p/a.tar.gz", archive(t, map[string]string{"adapter_config.json": "{}"}))
	h.shelf.put("b/p/config.json", []byte("{}"))
	operations := slices.Sorted(maps.Keys(h.witness.model.Operations))
	random := rand.New(rand.NewPCG(3, 4))
	for range 1500 {
		operation := operations[random.IntN(len(operations))]
		bodies := seeds[operation]
		choices := []byte{}
		for range random.IntN(150) {
			choices = append(choices, byte(random.Uint32()))
		}
		body := string(encode(t, h.witness.model.invented(h.witness.model.Operations[operation].Input.Shape, &choices)))
		if random.IntN(3) > 0 && len(bodies) > 0 {
			body = bodies[random.IntN(len(bodies))]
		}
		h.raw(operation, body) // the witness judges the answer
	}
}

// fuzzed starts a platform outside of a test's own directory, for it outlives the test that comes first.
func fuzzed(t *testing.T) (*sagemaker.Platform, func() error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sagemaker-fuzz-")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "local.db"))
	if err != nil {
		t.Fatal(err)
	}
	objects := &shelf{held: map[string][]byte{"b/p/config.json": []byte("{}"), "b/p/a.tar.gz": archive(t, map[string]string{"adapter_config.json": "{}"})}}
	platform, err := sagemaker.Open(t.Context(), sagemaker.Config{
		DB: db, Objects: objects, Run: (&programs{}).run, Account: "000000000000", Region: "us-east-1", Dir: filepath.Join(dir, "containers"), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return platform, func() error { return errors.Join(platform.Close(), db.Close(), os.RemoveAll(dir)) }
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// texts and numbers are what is invented: names that requests share, so that they find each other's things, and what lies
// at limits.
var (
	texts = []string{
		"a", "b", "main", "A", "m", "base", "s3://b/p/", "s3://b/p/a.tar.gz", "https://b", role, "arn:aws:sagemaker:us-east-1:000000000000:model/a",
		"arn:aws:sagemaker:us-east-1:000000000000:endpoint/a", "arn:aws:sagemaker:us-east-1:000000000000:inference-component/a", "vllm:0.11.2", "",
		" ", "-", "a-", "text/csv", "mig-1g.5gb", "/metrics", "键", "\x00", "aws:x", strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("é", 1025),
	}
	numbers = []any{1, 0, 2, -1, 60, 128, 300, 1024, 3600, 4097, 0.25, 1.5, 1e9, 1e15, 1e300}
)

// invented makes a value of a shape, mostly. Each choice is one byte; without any left it is the least that is required.
func (m *model) invented(name string, choices *[]byte) any {
	pick := func(n int) int {
		if len(*choices) == 0 {
			return 0
		}
		first := int((*choices)[0])
		*choices = (*choices)[1:]
		return first % n
	}
	switch pick(60) {
	case 59:
		return nil
	case 58:
		return texts[pick(len(texts))]
	case 57:
		return numbers[pick(len(numbers))]
	case 56:
		return []any{nil, "a", map[string]any{}}
	}
	s := m.Shapes[name]
	switch s.Type {
	case "structure":
		made := map[string]any{}
		for _, member := range slices.Sorted(maps.Keys(s.Members)) {
			if slices.Contains(s.Required, member) != (pick(4) == 3) {
				made[member] = m.invented(s.Members[member].Shape, choices)
			}
		}
		return made
	case "list":
		made := make([]any, 1+pick(3))
		for i := range made {
			made[i] = m.invented(s.Member.Shape, choices)
		}
		return made
	case "map":
		return map[string]any{texts[pick(len(texts))]: m.invented(s.Value.Shape, choices)}
	case "boolean":
		return pick(2) == 1
	case "string":
		if len(s.Enum) > 0 {
			return s.Enum[pick(len(s.Enum))]
		}
		return texts[pick(len(texts))]
	}
	return numbers[pick(len(numbers))]
}

// seeds are whole requests of every kind.
var seeds = map[string][]string{
	"CreateModel": {
		`{"ModelName":"m","ExecutionRoleArn":"` + role + `","PrimaryContainer":{"Image":"vllm:0.11.2","Environment":{"A":"b"},"ModelDataSource":{"S3DataSource":{"S3Uri":"s3://b/p/","S3DataType":"S3Prefix","CompressionType":"None"}}},"Tags":[{"Key":"k","Value":""}]}`,
		`{"ModelName":"m2","Containers":[{"Image":"i","Mode":"MultiModel","ModelDataUrl":"s3://b/m.tar.gz"}],"VpcConfig":{"Subnets":["s-1"],"SecurityGroupIds":["g-1"]},"InferenceExecutionConfig":{"Mode":"Direct"},"EnableNetworkIsolation":true}`,
	},
	"CreateEndpointConfig": {
		`{"EndpointConfigName":"c","ExecutionRoleArn":"` + role + `","ProductionVariants":[{"VariantName":"main","InstanceType":"ml.g5.xlarge","InitialInstanceCount":1,"RoutingConfig":{"RoutingStrategy":"RANDOM"},"ManagedInstanceScaling":{"Status":"ENABLED","MinInstanceCount":1,"MaxInstanceCount":2,"ScaleInPolicy":{"Strategy":"IDLE_RELEASE"}}}],"DataCaptureConfig":{"EnableCapture":true,"InitialSamplingPercentage":5,"DestinationS3Uri":"s3://b/c","CaptureOptions":[{"CaptureMode":"Input"}]}}`,
		`{"EndpointConfigName":"c2","ExecutionRoleArn":"` + role + `","ProductionVariants":[{"VariantName":"main","InstancePools":[{"InstanceType":"ml.g5.xlarge","Priority":2},{"InstanceType":"ml.g6.xlarge","Priority":1}]}],"AsyncInferenceConfig":{"OutputConfig":{"S3OutputPath":"s3://b/o"}},"MetricsConfig":{"EnableEnhancedMetrics":true,"MetricPublishFrequencyInSeconds":60}}`,
	},
	"CreateEndpoint": {`{"EndpointName":"e","EndpointConfigName":"c"}`, `{"EndpointName":"e2","EndpointConfigName":"c2","DeploymentConfig":{"AutoRollbackConfiguration":{"Alarms":[{"AlarmName":"a"}]}}}`},
	"CreateInferenceComponent": {
		`{"InferenceComponentName":"base","EndpointName":"e","VariantName":"main","RuntimeConfig":{"CopyCount":1},"Specification":{"ModelName":"m","ComputeResourceRequirements":{"MinMemoryRequiredInMb":128},"SchedulingConfig":{"PlacementStrategy":"SPREAD"}}}`,
		`{"InferenceComponentName":"a","EndpointName":"e","Specification":{"BaseInferenceComponentName":"base","Container":{"ArtifactUrl":"s3://b/p/a.tar.gz"}}}`,
		`{"InferenceComponentName":"s","EndpointName":"e2","VariantName":"main","RuntimeConfig":{"CopyCount":1},"Specifications":[{"InstanceType":"ml.g5.xlarge","ModelName":"m","ComputeResourceRequirements":{"MinMemoryRequiredInMb":128}}]}`,
	},
	"DescribeModel": {`{"ModelName":"m"}`}, "DescribeEndpointConfig": {`{"EndpointConfigName":"c"}`}, "DescribeEndpoint": {`{"EndpointName":"e"}`},
	"DescribeInferenceComponent": {`{"InferenceComponentName":"a"}`}, "DeleteInferenceComponent": {`{"InferenceComponentName":"a"}`},
	"DeleteModel": {`{"ModelName":"m2"}`}, "DeleteEndpointConfig": {`{"EndpointConfigName":"c2"}`}, "DeleteEndpoint": {`{"EndpointName":"e2"}`},
	"ListModels":                            {`{"MaxResults":1,"SortBy":"Name","NameContains":"m"}`, `{"CreationTimeAfter":1.5,"NextToken":"eyJOYW1lIjoibSJ9"}`},
	"ListInferenceComponents":               {`{"StatusEquals":"InService","EndpointNameEquals":"e","LastModifiedTimeBefore":1e9}`},
	"AddTags":                               {`{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m","Tags":[{"Key":"a","Value":"b"}]}`},
	"ListTags":                              {`{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m","MaxResults":50}`},
	"DeleteTags":                            {`{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m","TagKeys":["a"]}`},
	"UpdateInferenceComponent":              {`{"InferenceComponentName":"a","Specification":{"Container":{"ArtifactUrl":"s3://b/p/a.tar.gz"}}}`},
	"UpdateInferenceComponentRuntimeConfig": {`{"InferenceComponentName":"base","DesiredRuntimeConfig":{"CopyCount":0}}`},
	"UpdateEndpoint":                        {`{"EndpointName":"e","EndpointConfigName":"c"}`},
	"UpdateEndpointWeightsAndCapacities":    {`{"EndpointName":"e","DesiredWeightsAndCapacities":[{"VariantName":"main","DesiredWeight":2,"DesiredInstanceCount":2}]}`},
}
