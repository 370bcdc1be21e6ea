//go:build clients

package clients

import "testing"

func TestJavaScriptSDKOnTheRuntime(t *testing.T) {
	run(t, 7, `(?m)^# pass (\d+)$`, `(?m)^# skipped [^0]`, "node", "--test", "--test-reporter=tap", "runtime_test.mjs")
}

func TestBoto3OnTheRuntime(t *testing.T) {
	run(t, 7, `(?m)^Ran (\d+) tests`, `skipped=`, python(t), "-m", "unittest", "-v", "runtime_test.py")
}
