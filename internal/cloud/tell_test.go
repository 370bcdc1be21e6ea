package cloud

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
)

func TestSecretVariablesOfAnEnvironmentAreNotWrittenDown(t *testing.T) {
	t.Parallel()
	got := requestOf(&sagemaker.CreateModelInput{
		ModelName:        aws.String("m"),
		Tags:             []types.Tag{{Key: aws.String("token"), Value: aws.String("of a tag")}},
		PrimaryContainer: &types.ContainerDefinition{Environment: map[string]string{"HF_TOKEN": "hf_1", "my_api_key": "2", "DB_PASSWORD": "3", "A_SECRET": "4", "SM_VLLM_MAX_LORAS": "8"}},
	})
	want := `{"ModelName":"m","PrimaryContainer":{"Environment":{"A_SECRET":"…","DB_PASSWORD":"…","HF_TOKEN":"…","SM_VLLM_MAX_LORAS":"8","my_api_key":"…"}},` +
		`"Tags":[{"Key":"token","Value":"of a tag"}]}`
	if line(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
