// Command benchlive measures how long a change takes from its commit to the sockets that watch it. The server — the dashboard's
// own handlers, database, hub and journal, with jobs whose notes carry the time — runs in one process, the sockets in others,
// since a process may only open so many.
//
//	go run ./tools/benchlive -sockets 100,1000,10000
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// perProcess is how many sockets one client process opens.
const perProcess = 5000

func main() {
	sockets := flag.String("sockets", "100,1000,10000", "how many, one run each")
	seconds := flag.Int("seconds", 10, "how long jobs run, per run")
	rate := flag.Int("rate", 1, "changes a second of each of the four jobs")
	role := flag.String("role", "", "server or clients; the command starts both by itself")
	address := flag.String("address", "", "of the server, for clients")
	count := flag.Int("count", 0, "sockets of one process of clients")
	flag.Parse()
	var err error
	switch *role {
	case "server":
		err = serve(*seconds, *rate)
	case "clients":
		err = watch(*address, *count)
	default:
		err = bench(*sockets, *seconds, *rate)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchlive:", err)
		os.Exit(1)
	}
}

// seen is what a process of clients reports.
type seen struct {
	Latencies []time.Duration // of every frame with a new stamp
	Frames    int
	Lost      int // sockets that did not end with the last stamp
}

// result is one run.
type result struct {
	sockets, frames, lost int
	p50, p90, p99, max    time.Duration
	server                usage
}

// usage is what the server used.
type usage struct {
	CPU     float64 // seconds of one core while jobs ran
	RSS     int64   // bytes at the end
	Seconds float64
}

func bench(list string, seconds, rate int) error {
	fmt.Println("| sockets | changes/s | frames with a new change | p50 | p90 | p99 | max | lost | server CPU (of one core) | server RSS |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	for text := range strings.SplitSeq(list, ",") {
		sockets, err := strconv.Atoi(text)
		if err != nil || sockets < 1 {
			return fmt.Errorf("-sockets has %q, which is no count", text)
		}
		r, err := once(sockets, seconds, rate)
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %d | %d | %s | %s | %s | %s | %d | %.0f %% | %d MB |\n", r.sockets, saying*rate, r.frames,
			ms(r.p50), ms(r.p90), ms(r.p99), ms(r.max), r.lost, 100*r.server.CPU/r.server.Seconds, r.server.RSS>>20)
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// child is this program in another role.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, args...)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, c.cmd.Start()
}

// line reads the next line that a child prints.
func (c *child) line() (string, error) {
	text, err := c.out.ReadString('\n')
	return strings.TrimSpace(text), err
}

// once runs a server and its clients.
func once(sockets, seconds, rate int) (result, error) {
	server, err := start("-role", "server", "-seconds", strconv.Itoa(seconds), "-rate", strconv.Itoa(rate))
	if err != nil {
		return result{}, err
	}
	defer server.cmd.Wait()
	defer server.in.Close()
	address, err := server.line()
	if err != nil {
		return result{}, fmt.Errorf("the server did not start: %w", err)
	}
	var clients []*child
	for left := sockets; left > 0; left -= perProcess {
		c, err := start("-role", "clients", "-address", address, "-count", strconv.Itoa(min(left, perProcess)))
		if err != nil {
			return result{}, err
		}
		defer c.cmd.Wait()
		clients = append(clients, c)
	}
	for _, c := range clients {
		if _, err := c.line(); err != nil { // all of its sockets are open
			return result{}, fmt.Errorf("clients did not connect: %w", err)
		}
	}
	fmt.Fprintln(server.in, "go")
	used, err := server.line()
	if err != nil {
		return result{}, fmt.Errorf("the server ended early: %w", err)
	}
	r := result{sockets: sockets}
	if err := json.Unmarshal([]byte(used), &r.server); err != nil {
		return r, fmt.Errorf("read what the server used: %w", err)
	}
	var all []time.Duration
	for _, c := range clients {
		fmt.Fprintln(c.in, "report")
		var got seen
		if err := json.NewDecoder(c.out).Decode(&got); err != nil {
			return r, fmt.Errorf("read what clients saw: %w", err)
		}
		all = append(all, got.Latencies...)
		r.frames, r.lost = r.frames+got.Frames, r.lost+got.Lost
	}
	if len(all) == 0 {
		return r, fmt.Errorf("no socket saw a change")
	}
	slices.Sort(all)
	at := func(share float64) time.Duration { return all[int(share*float64(len(all)-1))] }
	r.p50, r.p90, r.p99, r.max = at(0.5), at(0.9), at(0.99), all[len(all)-1]
	return r, nil
}
