package sagemaker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"loradeck/internal/local/container"
	"loradeck/internal/local/sagemaker"
)

// realHouse is a house whose containers are the real one over the engine, at the time now gives, with the recorded base in the
// store as s3://models/tiny/ and its adapter as s3://adapters/one.tar.gz.
func realHouse(t *testing.T, now func() time.Time) *house {
	t.Helper()
	h := newHouse(t, func(ctx context.Context, spec sagemaker.ContainerSpec) (sagemaker.Container, error) {
		_, version, _ := strings.Cut(spec.Image, ":")
		c, err := container.Start(ctx, container.Config{ModelDir: spec.ModelDir, Name: spec.Name, Environment: spec.Environment, Version: version, Now: now})
		if err != nil {
			return nil, err
		}
		return c, nil
	})
	adapter := map[string]string{}
	for name, text := range recorded(t) {
		if file, ok := strings.CutPrefix(name, "base/"); ok {
			h.shelf.put("models/tiny/"+file, []byte(text))
		} else {
			adapter[strings.TrimPrefix(name, "good/")] = text
		}
	}
	h.shelf.put("adapters/one.tar.gz", archive(t, adapter))
	h.endpoint("e")
	return h
}

// modelOf makes a model of the recorded base with an image's tag and variables, given as NAME=VALUE, beside those that LoRA
// needs.
func (h *house) modelOf(name, tag string, variables ...string) {
	h.t.Helper()
	environment := map[string]string{"SM_VLLM_ENABLE_LORA": "true", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true"}
	for _, variable := range variables {
		key, value, _ := strings.Cut(variable, "=")
		environment[key] = value
	}
	done(h.t)(h.control.CreateModel(h.t.Context(), &control.CreateModelInput{
		ModelName: &name, ExecutionRoleArn: aws.String(role),
		PrimaryContainer: &types.ContainerDefinition{
			Image: aws.String("vllm:" + tag), Environment: environment,
			ModelDataSource: &types.ModelDataSource{S3DataSource: &types.S3ModelDataSource{S3Uri: aws.String("s3://models/tiny/"), S3DataType: "S3Prefix", CompressionType: "None"}},
		},
	}))
}
