package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// process measures on request, one line for another: an engine, or llama.cpp.
type process struct {
	name    string
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// start runs a command and waits until it has loaded its base. greeting is the line it says then.
func start(name string, command *exec.Cmd) (_ *process, greeting string, err error) {
	command.Stderr = os.Stderr
	p := &process{name: name, command: command}
	if p.in, err = command.StdinPipe(); err != nil {
		return nil, "", err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	p.out = bufio.NewReader(out)
	if err := command.Start(); err != nil {
		return nil, "", fmt.Errorf("start %s: %w", name, err)
	}
	if greeting, err = p.out.ReadString('\n'); err != nil {
		return nil, "", fmt.Errorf("start %s: %w", name, errors.Join(err, p.stop()))
	}
	return p, greeting, nil
}

// stop ends the process, which does so when its input ends.
func (p *process) stop() error {
	p.in.Close()
	return p.command.Wait()
}

func (p *process) ask(line string) (string, error) {
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return "", fmt.Errorf("ask %s: %w", p.name, err)
	}
	answer, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%s, asked to %s: %w", p.name, line, err)
	}
	return strings.TrimSpace(answer), nil
}

// measure asks what something takes.
func (p *process) measure(line string) (clocks, error) {
	answer, err := p.ask(line)
	if err != nil {
		return clocks{}, err
	}
	wall, cpu, _ := strings.Cut(answer, " ")
	return parseClocks(wall, cpu)
}

// startEngine runs this command again, as an engine that holds some adapters.
func startEngine(base string, threads, held int, modules string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, _, err := start(fmt.Sprintf("engine on %d threads", threads), exec.Command(self, "-role", "engine", "-base", base,
		"-threads", strconv.Itoa(threads), "-held", strconv.Itoa(held), "-modules", modules))
	return p, err
}

// peer is llama.cpp, as make builds it.
type peer struct{ binary, folder string }

// kinds names the builds of llama.cpp's kernels that are compared: the one it chooses itself for this processor, and the one for AVX2, which
// more processors have than what the first may need.
func (l peer) kinds() []string { return []string{"its choice", "AVX2"} }

// start runs llama.cpp on the base. greeting lists the instructions its kernels use.
func (l peer) start(base, kind string, threads, context int) (_ *process, greeting string, err error) {
	backends := l.folder
	if kind == "AVX2" {
		backends = filepath.Join(l.folder, "libggml-cpu-haswell.so")
	}
	return start("llama.cpp", exec.Command(l.binary, backends, filepath.Join(base, "model.gguf"), strconv.Itoa(threads), strconv.Itoa(context)))
}
