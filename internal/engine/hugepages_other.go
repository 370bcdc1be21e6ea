//go:build !linux

package engine

import "unsafe"

func wantHugePages(unsafe.Pointer, uintptr) {}
