// Command benchs3 measures how fast a big object goes into the local platform's S3 and out again, each against a raw copy of
// the same file in the same run, and how much memory the server, a process of its own, has taken at its peak.
//
//	go run ./tools/benchs3 -mib 5120
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"loradeck/internal/local/s3"
)

const bucket = "bench"

func main() {
	mib := flag.Int64("mib", 1024, "size of the object in MiB; 5120 is the most that goes in one piece")
	dir := flag.String("dir", os.TempDir(), "where the files are made; it needs three times the object's size")
	role := flag.String("role", "", "server; the command starts it by itself")
	flag.Parse()
	var err error
	if *role == "server" {
		err = serve(*dir)
	} else {
		err = bench(*dir, *mib<<20)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchs3:", err)
		os.Exit(1)
	}
}

// serve runs a store on dir until the process is killed, and says on stdout where it listens.
func serve(dir string) error {
	ctx := context.Background()
	store, err := s3.Open(ctx, dir)
	if err != nil {
		return err
	}
	if err := store.EnsureBucket(ctx, bucket); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	return http.Serve(listener, store)
}

func bench(parent string, size int64) (err error) {
	dir, err := os.MkdirTemp(parent, "benchs3-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "source")
	if err := makeSource(source, size); err != nil {
		return err
	}
	server, address, err := start(filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait() // says that it was killed
	}()
	idle, err := peak(server.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("object of %d MiB; the server at rest has taken %d MiB\n\n", size>>20, idle>>20)
	fmt.Println("| what | MiB/s | of a raw copy | server's peak RSS |\n|---|---|---|---|")
	var raw float64
	for _, step := range steps(dir, source, address, size) {
		began := time.Now()
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		rate := float64(size>>20) / time.Since(began).Seconds()
		if raw == 0 {
			raw = rate
		}
		rss, err := peak(server.Process.Pid)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.0f | %.2f | %d MiB |\n", step.name, rate, rate/raw, rss>>20)
	}
	return nil
}

// makeSource writes size bytes of noise, so that neither disk nor wire can make them fewer.
func makeSource(path string, size int64) error {
	return into(path, func(w io.Writer) error {
		_, err := io.CopyN(w, rand.NewChaCha8([32]byte{1}), size)
		return err
	})
}

// into makes a file, on disk for good when it returns.
func into(path string, fill func(w io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := fill(file); err != nil {
		return err
	}
	return file.Sync()
}

func start(dir string) (server *exec.Cmd, address string, err error) {
	server = exec.Command(os.Args[0], "-role", "server", "-dir", dir)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := server.Start(); err != nil {
		return nil, "", err
	}
	address, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, "", fmt.Errorf("the server did not start: %w", err)
	}
	return server, strings.TrimSpace(address), nil
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak gives the most memory in bytes that a process has held at once (proc(5), VmHWM).
func peak(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	found := highWater.FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("process %d tells no VmHWM", pid)
	}
	kib, err := strconv.ParseInt(string(found[1]), 10, 64)
	return kib << 10, err
}
