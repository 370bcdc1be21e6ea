package vllm

import "time"

// SetNow gives a container a test's clock.
func (c *Container) SetNow(now func() time.Time) { c.now = now }
