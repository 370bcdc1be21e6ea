package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// stamp finds "stamp:TIME:LEFT:" in a frame: when the change was made, and how many are still to come.
func stamp(message []byte) (at, left int64, found bool) {
	_, rest, found := bytes.Cut(message, []byte("stamp:"))
	first, rest, _ := bytes.Cut(rest, []byte(":"))
	second, _, _ := bytes.Cut(rest, []byte(":"))
	at, err := strconv.ParseInt(string(first), 10, 64)
	if err != nil {
		return 0, 0, false
	}
	left, err = strconv.ParseInt(string(second), 10, 64)
	return at, left, found && err == nil
}

// watch opens count sockets on the pages of the jobs, says so, and reports what came when "report" comes on stdin.
func watch(address string, count int) error {
	var (
		mu     sync.Mutex // guards got and the sockets' last stamps
		got    seen
		last   = make([]bool, count)
		opened sync.WaitGroup
	)
	dialing := make(chan struct{}, 64)
	failed := make(chan error, count)
	for n := range count {
		opened.Add(1)
		go func() {
			dialing <- struct{}{}
			conn, err := open(address, n)
			<-dialing
			opened.Done()
			if err != nil {
				failed <- err
				return
			}
			defer conn.Close()
			newest := int64(0)
			var message bytes.Buffer // used again: the sockets share their processors with the server
			for {
				_, r, err := conn.NextReader()
				if err == nil {
					message.Reset()
					_, err = message.ReadFrom(r)
				}
				now := time.Now().UnixNano()
				if err != nil {
					return
				}
				at, left, found := stamp(message.Bytes())
				if !found || at <= newest {
					continue
				}
				newest = at
				mu.Lock()
				got.Frames++
				got.Latencies = append(got.Latencies, time.Duration(now-at))
				last[n] = left == 0
				mu.Unlock()
			}
		}()
	}
	opened.Wait()
	select {
	case err := <-failed:
		return fmt.Errorf("%d of %d sockets did not open: %w", len(failed)+1, count, err)
	default:
	}
	fmt.Println("open")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	for _, whole := range last {
		if !whole {
			got.Lost++
		}
	}
	return json.NewEncoder(os.Stdout).Encode(got)
}

func open(address string, n int) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dialer := websocket.Dialer{ReadBufferSize: 4 << 10, WriteBufferSize: 256}
	conn, answer, err := dialer.DialContext(ctx, "ws://"+address+"/live?page=job&id="+strconv.Itoa(n%saying+1), nil)
	if answer != nil {
		answer.Body.Close()
	}
	return conn, err
}
