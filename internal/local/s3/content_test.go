package s3_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"loradeck/internal/lora"
)

// Every content of the key is one digit many times over, so a mixture of two would show.
func TestReadersNeverSeeAMixtureOrAMissingFile(t *testing.T) {
	t.Parallel()
	store, client := newStore(t, false)
	put(t, client, "k", strings.Repeat("0", 5000))
	var writers, group sync.WaitGroup
	stop := make(chan struct{})
	for writer := range 3 {
		writers.Go(func() {
			for i := range 20 {
				digit := fmt.Sprint((writer*20 + i) % 10)
				_, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader(strings.Repeat(digit, 5000))})
				if err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				body, _, err := store.Fetch(t.Context(), bucket, "k")
				if err != nil {
					t.Errorf("fetch: %v", err)
					return
				}
				text, err := io.ReadAll(body)
				if err := errors.Join(err, body.Close()); err != nil {
					t.Errorf("read: %v", err)
					return
				}
				if len(text) != 5000 || strings.Count(string(text), string(text[:1])) != 5000 {
					t.Errorf("got %d bytes of several contents", len(text))
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	group.Wait()
	if _, err := client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Fetch(t.Context(), bucket, "k"); lora.KindOf(err) != lora.NotFound {
		t.Errorf("got %v, want not found", err)
	}
}
