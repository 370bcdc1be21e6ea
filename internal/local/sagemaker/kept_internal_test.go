package sagemaker

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestOfARefusalNoMoreIsHeldThanAnAnswerMayBe has a container that goes on and on about what it refuses.
func TestOfARefusalNoMoreIsHeldThanAnAnswerMayBe(t *testing.T) {
	t.Parallel()
	whole := newKept(func(error) { t.Error("it is ended") })
	stream := newEventWriter(httptest.NewRecorder())
	for _, w := range []http.ResponseWriter{whole, stream} {
		w.WriteHeader(http.StatusBadRequest)
		for range 7 {
			part := make([]byte, 1<<20)
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatalf("%T takes %d of %d bytes, %v", w, n, len(part), err)
			}
		}
	}
	if whole.body.Len() != maxInvocation || stream.refusal.Len() != maxInvocation {
		t.Errorf("%d and %d bytes are held", whole.body.Len(), stream.refusal.Len())
	}
}
