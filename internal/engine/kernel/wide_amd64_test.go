//go:build amd64 && !purego

package kernel

import "testing"

// Not beside parallel tests: it changes which kernels all of them use.
func TestMulGivesTheSameBitsWithoutAVX512(t *testing.T) {
	defer func(was bool) { wide = was }(wide)
	wide = false
	cutProducts(t)
}
