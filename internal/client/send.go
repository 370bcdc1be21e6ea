package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"loradeck/internal/lora"
)

// Begin offers an adapter. The same offer by the same person gives the upload that is open already, so that sending goes on.
// Its errors are of kind Invalid when there is no adapter in it and Limit when the dashboard has no room.
func (c *Client) Begin(ctx context.Context, from Source) (Upload, error) {
	var u Upload
	err := c.ask(ctx, http.MethodPost, "/api/v1/uploads", from, &u)
	return u, err
}

// Find gives an upload as it stands.
func (c *Client) Find(ctx context.Context, id int64) (Upload, error) {
	var u Upload
	err := c.ask(ctx, http.MethodGet, uploadPath(id), nil, &u)
	return u, err
}

func uploadPath(id int64) string { return fmt.Sprintf("/api/v1/uploads/%d", id) }

// Send sends what is missing of an upload and calls sent with the bytes that have left this machine, of u.ToSend; after a cut
// that is fewer than before. It returns once all bytes have arrived.
func (c *Client) Send(ctx context.Context, u Upload, from Source, sent func(bytes int64)) error {
	var before int64 // bytes of the files that are whole
	for _, f := range u.Files {
		if !f.Keep {
			continue
		}
		if err := c.sendFile(ctx, f, from, func(offset int64) { sent(before + offset) }); err != nil {
			return c.why(ctx, u.ID, err)
		}
		before += f.Size
		sent(before)
	}
	return nil
}

// why gives the dashboard's reason for an upload that ended while it was being sent: an answer to HEAD has no sentence.
func (c *Client) why(ctx context.Context, id int64, err error) error {
	if lora.Temporary(err) || ctx.Err() != nil {
		return err
	}
	now, findErr := c.Find(ctx, id)
	if findErr != nil {
		return err
	}
	if over := Over(now); over != nil {
		return over
	}
	return err
}

// Over says why an upload cannot go on, and nil while it can.
func Over(u Upload) error {
	switch u.State {
	case "refused":
		return lora.Errorf(lora.Invalid, "%s", u.Reason)
	case "discarded":
		return lora.Errorf(lora.Conflict, "The upload was discarded meanwhile. Run the same command again to send it anew.")
	}
	return nil
}

// sendFile sends a file from where it ends at the dashboard.
func (c *Client) sendFile(ctx context.Context, f File, from Source, sent func(offset int64)) error {
	file, err := from.open(f.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	trouble, reached := c.patience(), int64(-1)
	for {
		offset, err := c.offset(ctx, f)
		for err == nil {
			if offset > reached {
				reached = offset
				trouble.moved()
			}
			sent(offset)
			if offset >= f.Size {
				return nil
			}
			if err = unchanged(file, f.Size); err == nil {
				offset, err = c.piece(ctx, f, file, offset, sent)
			}
		}
		if err := trouble.again(ctx, err); err != nil {
			return err
		}
	}
}

// offset asks where a file ends at the dashboard.
func (c *Client) offset(ctx context.Context, f File) (int64, error) {
	r, err := c.request(ctx, http.MethodHead, f.URL, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Tus-Resumable", "1.0.0")
	response, err := c.send(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return c.endOf(response, f)
}

// piece sends the next bytes of a file and gives where it ends then.
func (c *Client) piece(ctx context.Context, f File, file io.ReaderAt, offset int64, sent func(offset int64)) (int64, error) {
	ctx, moved, done := guarded(ctx)
	defer done()
	size := min(c.config.Piece, f.Size-offset)
	body := &counted{Reader: io.NewSectionReader(file, offset, size), count: func(n int64) {
		moved()
		sent(offset + n)
	}}
	defer body.hush()
	r, err := c.request(ctx, http.MethodPatch, f.URL, body)
	if err != nil {
		return 0, err
	}
	r.ContentLength = size
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	r.Header.Set("Content-Type", "application/offset+octet-stream")
	r.Header.Set("Expect", "100-continue") // what is refused is not sent in vain
	response, err := c.send(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return c.endOf(response, f)
}

// endOf reads where a file ends from the answer to HEAD or PATCH. A piece that does not begin where the file ends, and a file
// that another connection still writes, are trouble that passes.
func (c *Client) endOf(response *http.Response, f File) (int64, error) {
	switch response.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		offset, err := strconv.ParseInt(response.Header.Get("Upload-Offset"), 10, 64)
		if err != nil || offset < 0 || offset > f.Size {
			return 0, lora.Errorf(lora.NotFound, "%s does not say how much of %s it has. Is it a dashboard? Look at --url.", c.base, f.Path)
		}
		return offset, nil
	case http.StatusConflict, http.StatusLocked:
		return 0, lora.Wrap(c.refusal(response), lora.Unavailable, "The dashboard is still busy with %s.", f.Path)
	}
	return 0, c.refusal(response)
}

// counted tells how much was read of it. The transport may go on reading after it has brought the answer.
type counted struct {
	io.Reader

	mu    sync.Mutex // guards the fields below, and is held while count runs
	read  int64
	count func(read int64) // nil once the answer is here
}

// Read reads and tells.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read += int64(n)
	if c.count != nil {
		c.count(c.read)
	}
	return n, err
}

func (c *counted) hush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count = nil
}

// Settled waits until all that has arrived of an upload has been read: it is ready then, or was deployed before. Its error is of
// kind Invalid when the adapter was refused.
func (c *Client) Settled(ctx context.Context, id int64) (Upload, error) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		u, err := c.Find(ctx, id)
		if err == nil {
			err = Over(u)
		}
		if err != nil || u.State != "receiving" && u.State != "reading" {
			return u, err
		}
		if u.Received < u.ToSend {
			return u, lora.Errorf(lora.Conflict, "Only %s of %s have arrived. Run the same command again to send the rest.", lora.Bytes(u.Received), lora.Bytes(u.ToSend))
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return u, context.Cause(ctx)
		case <-timer.C:
		}
	}
}
