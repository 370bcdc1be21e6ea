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
	if lora.KindOf(err) == lora.Invalid {
		os.Exit(2) // usage
	}
	os.Exit(1)
}
