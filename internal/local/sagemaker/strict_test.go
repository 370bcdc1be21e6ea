package sagemaker_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// TestInputsAreHeldToTheServiceModel sends what no SDK would send, or lets through to the service. What passes here and not on
// AWS would make a rehearsal worthless. Limits are those of botocore's service model.
func TestInputsAreHeldToTheServiceModel(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.endpoint("e")
	h.model("m")
	const (
		compute = `{"InferenceComponentName":"b","EndpointName":"e","VariantName":"main","RuntimeConfig":{"CopyCount":1},"Specification":{"ModelName":"m","ComputeResourceRequirements":{"MinMemoryRequiredInMb":128,%s}}}`
		tagged  = `{"ModelName":"x","PrimaryContainer":{"Image":"i"},"Tags":[%s]}`
		config  = `{"EndpointConfigName":"c","ProductionVariants":[{"VariantName":"main"}],%s}`
		arn     = `{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m",%s}`
	)
	for _, c := range []struct{ rule, operation, body, want string }{
		{"names of members count to the letter", "DescribeEndpoint", `{"endpointName":"e"}`, "Value null at 'endpointName'"},
		{"inner names too", "CreateModel", `{"ModelName":"x","PrimaryContainer":{"ModelDataSource":{"S3DataSource":{"s3Uri":"s3://a/b/","S3DataType":"S3Prefix","CompressionType":"None"}}}}`, "Value null at 'primaryContainer.modelDataSource.s3DataSource.s3Uri'"},
		{"a structure is no text", "CreateModel", `{"ModelName":{"a":1}}`, "SerializationException"},
		{"a text is no structure", "CreateModel", `{"ModelName":"x","PrimaryContainer":"i"}`, "SerializationException"},
		{"a base has a quarter of a core", "CreateInferenceComponent", fmt.Sprintf(compute, `"NumberOfCpuCoresRequired":0.2`), "'0.2' at 'specification.computeResourceRequirements.numberOfCpuCoresRequired' failed to satisfy constraint: Member must have value greater than or equal to 0.25"},
		{"a base has a whole accelerator", "CreateInferenceComponent", fmt.Sprintf(compute, `"NumberOfAcceleratorDevicesRequired":0.5`), "greater than or equal to 1"},
		{"a config's role is one of IAM's", "CreateEndpointConfig", fmt.Sprintf(config, `"ExecutionRoleArn":"a-role-without-an-arn"`), "at 'executionRoleArn' failed to satisfy constraint: Member must satisfy regular"},
		{"a role is not short", "CreateEndpointConfig", fmt.Sprintf(config, `"ExecutionRoleArn":"role"`), "Member must have length"},
		{"a VPC has subnets", "CreateEndpointConfig", fmt.Sprintf(config, `"ExecutionRoleArn":"`+role+`","VpcConfig":{"SecurityGroupIds":["sg-1"]}`), "Value null at 'vpcConfig.subnets'"},
		{"a tag has a value", "CreateModel", fmt.Sprintf(tagged, `{"Key":"k"}`), "Value null at 'tags.1.member.value'"},
		{"a tag's key has 128 characters", "CreateModel", fmt.Sprintf(tagged, `{"Key":"`+strings.Repeat("k", 129)+`","Value":""}`), "less than or equal to 128"},
		{"a tag's value has 256 characters", "CreateModel", fmt.Sprintf(tagged, `{"Key":"k","Value":"`+strings.Repeat("值", 257)+`"}`), "less than or equal to 256"},
		{"a page of tags has at least 50", "ListTags", fmt.Sprintf(arn, `"MaxResults":10`), "'10' at 'maxResults'"},
		{"some tag is deleted", "DeleteTags", fmt.Sprintf(arn, `"TagKeys":[]`), "at 'tagKeys'"},
		{"an ARN is whole", "ListTags", `{"ResourceArn":"model/m"}`, "Value 'model/m' at 'resourceArn' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws"},
		{"an ARN is of this place", "ListTags", `{"ResourceArn":"arn:aws:sagemaker:eu-west-3:000000000000:model/m"}`, "Could not find resource"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			if got := h.raw(c.operation, c.body); !strings.HasPrefix(got, "400 ") || !strings.Contains(got, c.want) {
				t.Errorf("%s answered %s, want %s", c.operation, got, c.want)
			}
		})
	}
}

// TestUnknownMembersArePassedOver holds that a client newer than this room is served.
func TestUnknownMembersArePassedOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	body := `{"ModelName":"m","Novelty":{"A":[1,null]},"PrimaryContainer":{"Image":"i","Novelty":null,"Environment":{"lower":"case"}},"Tags":[{"Key":"` +
		strings.Repeat("键", 128) + `","Value":"","Novelty":1}]}`
	if got := h.raw("CreateModel", body); !strings.HasPrefix(got, "200 ") {
		t.Fatal(got)
	}
	if got := h.raw("DescribeModel", `{"ModelName":"m"}`); strings.Contains(got, "Novelty") || !strings.Contains(got, `{"lower":"case"}`) {
		t.Error(got)
	}
}

// TestResourcesHaveAtMostFiftyTags counts over several calls; a call that goes over changes nothing.
func TestResourcesHaveAtMostFiftyTags(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.model("m")
	add := func(from, to int) string {
		var tags []string
		for i := from; i < to; i++ {
			tags = append(tags, fmt.Sprintf(`{"Key":"k%d","Value":"v"}`, i))
		}
		return h.raw("AddTags", `{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m","Tags":[`+strings.Join(tags, ",")+`]}`)
	}
	for _, c := range []struct {
		from, to int
		want     string
	}{{0, 40, "200 "}, {30, 51, "400 "}, {30, 50, "200 "}, {49, 51, "400 "}} {
		if got := add(c.from, c.to); !strings.HasPrefix(got, c.want) {
			t.Errorf("tags %d to %d: %s", c.from, c.to, got)
		}
	}
	got := h.raw("ListTags", `{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m"}`)
	if strings.Count(got, `"Key"`) != 50 || strings.Contains(got, "k50") {
		t.Error(got)
	}
}

// TestArchivesOfGitAreRead has the global header that "git archive" puts first; it is no file.
func TestArchivesOfGitAreRead(t *testing.T) {
	t.Parallel()
	h := served(t, &programs{})
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	pack := tar.NewWriter(zip)
	err := pack.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "a commit"}})
	err = errors.Join(err, pack.WriteHeader(&tar.Header{Name: "adapter_config.json", Mode: 0o644, Size: 2, Typeflag: tar.TypeReg}))
	_, writeErr := io.WriteString(pack, "{}")
	if err := errors.Join(err, writeErr, pack.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	h.shelf.put("adapters/git.tar.gz", packed.Bytes())
	h.create(adapterInput("git", "e", "base", "s3://adapters/git.tar.gz"))
	if _, err := h.invoke("e", "git", "{}"); err != nil {
		t.Error(err)
	}
}

// TestTimesKeepTheirMilliseconds has a time whose seconds times 1000 are …021.9998 in a float64, as many are from 2038 on:
// nothing is created after itself, and a page's token finds its row.
func TestTimesKeepTheirMilliseconds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.close()
	h.now = func() time.Time { return time.UnixMilli(2184942129022) }
	h.open()
	h.model("m")
	for body, want := range map[string]bool{`{"CreationTimeAfter":2184942129.022}`: false, `{"CreationTimeAfter":2184942129.021}`: true, `{"CreationTimeBefore":2184942129.023}`: true} {
		if got := h.raw("ListModels", body); strings.Contains(got, `"ModelName":"m"`) != want {
			t.Errorf("%s lists %s", body, got)
		}
	}
}
