package engine

import "unsafe"

// store keeps matrices side by side in one stretch of memory that the system may back with huge pages. Every step reads all of a base's
// weights once: looking up the address of each 4 KB page took longer than the arithmetic (measured, 135M parameters: answers came at half
// the speed).
type store[T uint16 | float32] struct{ free []T }

// newStore makes room for n values. Memory that is never filled is never taken from the system.
func newStore[T uint16 | float32](n int) store[T] {
	all := make([]T, n)
	if n > 0 {
		wantHugePages(unsafe.Pointer(&all[0]), uintptr(n)*unsafe.Sizeof(all[0]))
	}
	return store[T]{all}
}

// keep moves values into the store, or leaves them where they are when its room is used up.
func (s *store[T]) keep(values []T) []T {
	if len(values) > len(s.free) {
		return values
	}
	kept := s.free[:len(values):len(values)]
	s.free = s.free[len(values):]
	copy(kept, values)
	return kept
}
