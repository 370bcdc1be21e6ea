// Command benchengine measures the engine on random weights of two shapes, SmolLM2-135M's and the demo model's: how fast it
// answers and reads prompts, what adapters cost, and how it stands beside llama.cpp on the same weights. README.md says how
// to read what it prints.
//
//	make bench-engine
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	rounds := flag.Int("rounds", 9, "how often every measurement is taken, in turn with the others")
	only := flag.String("shape", "", "measure this shape only: 135M or demo")
	llama := flag.String("llamacpp", "", "the llama.cpp process that make builds; without it there is no comparison")
	backends := flag.String("backends", "", "the folder of llama.cpp's libraries")
	role := flag.String("role", "", "engine; the command starts it by itself")
	base := flag.String("base", "", "of the role: the base's folder")
	threads := flag.Int("threads", 1, "of the role")
	held := flag.Int("held", 0, "of the role: how many adapters to hold")
	modules := flag.String("modules", "", "of the role: which modules they change, all when empty")
	flag.Parse()
	var err error
	if *role == "engine" {
		err = serve(*base, *threads, *held, *modules)
	} else {
		err = bench(*only, *rounds, peer{*llama, *backends})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchengine:", err)
		os.Exit(1)
	}
}

func bench(only string, rounds int, llamacpp peer) error {
	if rounds < 1 {
		return fmt.Errorf("%d rounds measure nothing: ask for at least 1", rounds)
	}
	dir, err := os.MkdirTemp("", "benchengine-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%s, %d processors, %d rounds; every figure is the median of its rounds, in brackets the middle half of them\n", processor(), runtime.NumCPU(), rounds)
	found := false
	for _, s := range shapes() {
		if only != "" && s.name != only {
			continue
		}
		found = true
		base := filepath.Join(dir, s.name)
		if err := s.write(base); err != nil {
			return err
		}
		r := &report{shape: s, base: base, rounds: rounds, llamacpp: llamacpp}
		if err := r.run(); err != nil {
			return fmt.Errorf("shape %s: %w", s.name, err)
		}
	}
	if !found {
		return fmt.Errorf("there is no shape %q: ask for 135M or demo", only)
	}
	return nil
}

// processor is the name the system gives the processor.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				return strings.Trim(name, "\t :\n")
			}
		}
	}
	return runtime.GOARCH
}
