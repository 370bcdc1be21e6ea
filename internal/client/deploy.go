package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"loradeck/internal/lora"
)

// Check holds an upload against a base. Place is a name or an id, and may be "" when only one place has the base. Its error is of
// kind NotFound when there is no such base.
func (c *Client) Check(ctx context.Context, upload int64, place, base string) (Check, error) {
	var found Check
	query := url.Values{"base": {base}}
	if place != "" {
		query.Set("place", place)
	}
	err := c.ask(ctx, http.MethodGet, uploadPath(upload)+"/check?"+query.Encode(), nil, &found)
	return found, err
}

// Deploy makes a deployment of an upload that is ready. Asked again, it gives the one there is.
func (c *Client) Deploy(ctx context.Context, s Shipment) (Deployment, error) {
	var d Deployment
	err := c.ask(ctx, http.MethodPost, "/api/v1/deployments", s, &d)
	return d, err
}

var errBrokeOff = errors.New("the stream broke off")

// mostEvent bounds one line of a stream: a job with its steps is a few KB.
const mostEvent = 1 << 20

// Watch follows a job until it has ended and gives it then. Seen is called with the job as it is now and after each change.
func (c *Client) Watch(ctx context.Context, job int64, seen func(Job)) (Job, error) {
	trouble := c.patience()
	for {
		last, err := c.stream(ctx, job, func(j Job) {
			trouble.moved()
			seen(j)
		})
		if err == nil {
			return last, nil
		}
		if err := trouble.again(ctx, err); err != nil {
			return last, err
		}
	}
}

// stream reads events until the job has ended; an earlier end is an error of kind Unavailable.
func (c *Client) stream(ctx context.Context, job int64, seen func(Job)) (last Job, err error) {
	ctx, moved, done := guarded(ctx)
	defer done()
	r, err := c.request(ctx, http.MethodGet, fmt.Sprintf("/api/v1/jobs/%d/watch", job), nil)
	if err != nil {
		return last, err
	}
	response, err := c.send(r)
	if err != nil {
		return last, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return last, c.refusal(response)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, mostEvent)
	for lines.Scan() {
		moved()
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		if !is {
			continue // the event's name, its end, or a sign of life
		}
		last = Job{}
		if err := json.Unmarshal([]byte(data), &last); err != nil {
			return last, fmt.Errorf("read an event of job %d: %w", job, err)
		}
		seen(last)
		if last.EndedAt != nil {
			return last, nil
		}
	}
	err = lines.Err()
	if err == nil {
		err = errBrokeOff
	}
	return last, lora.Wrap(err, lora.Unavailable, "The dashboard stopped telling of job %d. The job goes on when it is back.", job)
}
