package sagemaker

import (
	"hash/fnv"
	"math/rand/v2"

	"loradeck/internal/local/fault"
)

// amiss gives the error that is set to be answered instead of an invocation, or nil. A fault names the endpoint or the
// component.
func (p *Platform) amiss(asked invocation) error {
	for _, set := range []struct {
		kind   fault.Kind
		answer func() *runtimeError
	}{
		{fault.InvokeThrottle, throttled},
		{fault.InvokeNotReady, notReady},
		{fault.InvokeFailure, internalFailure},
		{fault.InvokeUnavailable, unavailable},
		{fault.InvokeDependency, dependencyFailed},
	} {
		if p.config.Faults.Take(set.kind, asked.endpoint, asked.component()) {
			return set.answer()
		}
	}
	return nil
}

// spoil sets a stream up to go wrong as is set for it. The same request is cut alike every time.
func (p *Platform) spoil(out *eventWriter, asked invocation) {
	take := func(kind fault.Kind) bool { return p.config.Faults.Take(kind, asked.endpoint, asked.component()) }
	if take(fault.CutFrames) {
		seed := fnv.New64a()
		seed.Write(asked.body)
		out.knife = rand.New(rand.NewPCG(seed.Sum64(), 0))
	}
	switch {
	case take(fault.StreamBroken):
		out.breaks = streamBroken()
	case take(fault.StreamTimeout):
		out.breaks = streamTooLate()
	case take(fault.StreamFailure):
		out.breaks = streamFailure()
	}
}
