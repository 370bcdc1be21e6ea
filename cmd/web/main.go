// Command loradeck is the deck from which LoRA adapters that share one base model are seen, shipped, proven and compared.
//
// This package is the top floor: it reads flags and environment, wires every room to the ones it needs, and starts and stops
// them in order. It holds no rule of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"loradeck/internal/lora"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	var known *lora.Error
	switch {
	case errors.As(err, &known):
		fmt.Fprintln(os.Stderr, "loradeck:", known.Message)
	default:
		fmt.Fprintln(os.Stderr, "loradeck:", err)
	}
	os.Exit(exitCode(err))
}

// exitCode is the status that the shell is told: an ending's own, 2 for wrong usage, 1 for every other error.
func exitCode(err error) int {
	var own ending
	switch {
	case err == nil:
		return 0
	case errors.As(err, &own):
		return own.code
	case lora.KindOf(err) == lora.Invalid:
		return exitUsage
	}
	return 1
}
