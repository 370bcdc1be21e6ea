package s3_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"loradeck/internal/lora"
)

func TestALinkedObjectKeepsItsBytes(t *testing.T) {
	t.Parallel()
	store, client := newStore(t, false)
	put := func(body string) {
		t.Helper()
		if _, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("w"), Body: strings.NewReader(body)}); err != nil {
			t.Fatal(err)
		}
	}
	put("old weights")
	target := filepath.Join(t.TempDir(), "model.safetensors")
	if linked, err := store.Link(t.Context(), bucket, "w", target); err != nil || !linked {
		t.Fatalf("got %t, %v", linked, err)
	}
	put("new weights")
	if got, err := os.ReadFile(target); err != nil || string(got) != "old weights" {
		t.Errorf("after the object was replaced: got %q, %v", got, err)
	}
	if _, err := store.Link(t.Context(), bucket, "gone", target+"2"); lora.KindOf(err) != lora.NotFound {
		t.Errorf("a missing object: got %v, want a lora.NotFound", err)
	}
	if linked, err := store.Link(t.Context(), bucket, "w", target); err != nil || linked {
		t.Errorf("a name that is taken: got %t, %v, want false", linked, err)
	}
}
