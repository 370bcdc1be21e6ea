package sagemaker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"
)

// frame is an event as it stands on the wire.
type frame struct {
	Headers map[string]string
	Payload string
}

// readFrame takes the first frame off a stream, read by the letter of facts §1b.4 and not by the SDK that wrote it.
func readFrame(wire []byte) (f frame, rest []byte, err error) {
	const prelude, sum = 12, 4
	if len(wire) < prelude+sum {
		return f, nil, fmt.Errorf("%d bytes are no frame", len(wire))
	}
	whole, headers := int(binary.BigEndian.Uint32(wire)), int(binary.BigEndian.Uint32(wire[4:]))
	switch {
	case crc32.ChecksumIEEE(wire[:8]) != binary.BigEndian.Uint32(wire[8:]):
		return f, nil, errors.New("prelude's checksum is wrong")
	case whole > len(wire) || prelude+headers+sum > whole || headers > 128<<10 || whole > 16<<20:
		return f, nil, fmt.Errorf("frame of %d bytes with %d of headers in %d", whole, headers, len(wire))
	case crc32.ChecksumIEEE(wire[:whole-sum]) != binary.BigEndian.Uint32(wire[whole-sum:]):
		return f, nil, errors.New("message's checksum is wrong")
	}
	f = frame{map[string]string{}, string(wire[prelude+headers : whole-sum])}
	for h := wire[prelude : prelude+headers]; len(h) > 0; {
		name := int(h[0])
		if len(h) < 1+name+3 || h[1+name] != 7 { // 7 is a string
			return f, nil, fmt.Errorf("header %q is no string", h)
		}
		value := int(binary.BigEndian.Uint16(h[2+name:]))
		if len(h) < 4+name+value {
			return f, nil, fmt.Errorf("header %q is cut", h)
		}
		f.Headers[string(h[1:1+name])] = string(h[4+name : 4+name+value])
		h = h[4+name+value:]
	}
	return f, wire[whole:], nil
}

// readFrames takes a stream apart, and holds the SDK to the same reading.
func readFrames(t *testing.T, wire []byte) (frames []frame) {
	t.Helper()
	sdk := bytes.NewReader(wire)
	for rest := wire; len(rest) > 0; {
		f, after, err := readFrame(rest)
		if err != nil {
			t.Fatal(err)
		}
		message, err := eventstream.NewDecoder().Decode(sdk, nil)
		if err != nil || string(message.Payload) != f.Payload || len(message.Headers) != len(f.Headers) {
			t.Fatalf("the SDK read %+v %v, the frame holds %+v", message, err, f)
		}
		for name, value := range f.Headers {
			if got := message.Headers.Get(name); got == nil || got.String() != value {
				t.Fatalf("the SDK read %s as %v, the frame holds %q", name, got, value)
			}
		}
		frames, rest = append(frames, f), after
	}
	return frames
}

// FuzzEventWriter plays a container from a script, two bytes a step, and holds that a stream is whole frames which give back
// what was written, in order, and at most one exception, last.
func FuzzEventWriter(f *testing.F) {
	f.Add([]byte("a\x05f\x00b\x02f\x00f\x00c\x09"), uint64(0), byte(0))
	f.Add([]byte("a\xffb\xfff\x00"), uint64(7), byte(0))
	f.Add([]byte("f\x00a\x01"), uint64(3), byte(1))
	f.Add([]byte("a\x03f\x00a\x03f\x00a\x03f\x00"), uint64(0), byte(2))
	f.Add([]byte("s\x10a\x20"), uint64(1), byte(3))
	f.Add([]byte{}, uint64(0), byte(0))
	f.Fuzz(func(t *testing.T, script []byte, seed uint64, ending byte) {
		if len(script) > 64 {
			return
		}
		recorder := httptest.NewRecorder()
		out := newEventWriter(recorder)
		if seed != 0 {
			out.knife = rand.New(rand.NewPCG(seed, 0))
		}
		if ending%8 >= 4 {
			out.breaks = streamFailure()
		}
		var written bytes.Buffer
		status := 0
		for ; len(script) > 1; script = script[2:] {
			switch kind, n := script[0]%8, int(script[1]); kind {
			case 0:
				_ = http.NewResponseController(out).Flush()
				status = max(status, 200)
			case 1:
				if out.WriteHeader(200 + 100*(n%4)); status == 0 {
					status = 200 + 100*(n%4)
				}
			default:
				size := n
				if out.knife == nil {
					size = n * n * int(kind-1) // up to 390 KB, so that parts become full
				}
				piece := bytes.Repeat([]byte{script[0]}, size)
				if _, err := out.Write(piece); err == nil || !out.sealed {
					written.Write(piece)
				}
				status = max(status, 200)
			}
		}
		ended := []error{nil, errTooLate, io.ErrUnexpectedEOF, nil}[ending%4]
		got, refusal := out.finish(ended)
		if status == 0 && ended == nil {
			status = 200
		}
		if got != status {
			t.Fatalf("status %d, want %d", got, status)
		}
		if status/100 != 2 {
			if recorder.Body.Len() > 0 || status != 0 && refusal != written.String() {
				t.Fatalf("a refusal of %d bytes is %d, and %d were streamed", written.Len(), len(refusal), recorder.Body.Len())
			}
			return
		}
		frames := readFrames(t, recorder.Body.Bytes())
		var read bytes.Buffer
		exceptions := 0
		for i, one := range frames {
			if one.Headers[":message-type"] == "exception" {
				if exceptions++; i != len(frames)-1 {
					t.Fatal("frames after an exception")
				}
				continue
			}
			want := map[string]string{":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}
			if diff := cmp.Diff(want, one.Headers); diff != "" || one.Payload == "" || len(one.Payload) > maxPart {
				t.Fatalf("a part of %d bytes with headers %s", len(one.Payload), diff)
			}
			read.WriteString(one.Payload)
		}
		if wantOne := ended != nil || out.breaks != nil; exceptions > 1 || (exceptions == 1) != wantOne {
			t.Fatalf("%d exceptions", exceptions)
		}
		if !bytes.HasPrefix(written.Bytes(), read.Bytes()) || out.breaks == nil && read.Len() != written.Len() {
			t.Fatalf("%d bytes were written, %d read", written.Len(), read.Len())
		}
		if _, err := out.Write([]byte("late")); !errors.Is(err, errSealed) {
			t.Fatalf("after its end the stream took more: %v", err)
		}
	})
}
