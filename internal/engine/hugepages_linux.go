package engine

import (
	"syscall"
	"unsafe"
)

// hugePage is the size of a huge page on amd64 and, with the usual 4 KB pages, on arm64.
const hugePage = 2 << 20

// wantHugePages asks for huge pages in the part of the n bytes from p that whole ones can back. A system without them goes on as before.
func wantHugePages(p unsafe.Pointer, n uintptr) {
	skip := -uintptr(p) & (hugePage - 1)
	if n < skip+hugePage {
		return
	}
	whole := (n - skip) &^ (hugePage - 1)
	_ = syscall.Madvise(unsafe.Slice((*byte)(unsafe.Add(p, skip)), whole), syscall.MADV_HUGEPAGE) // an advice: nothing depends on it
}
