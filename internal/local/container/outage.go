package container

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Outage is how long an engine that died stays away.
type Outage struct {
	Dying time.Duration // its server goes on: every answer is an error, and /ping is 503
	Down  time.Duration // then connections are refused, until the supervisor has it running again
}

// RecordedOutage is how long it was for a vLLM (recordings, behaviour.json; crash-and-restart.json, where the start anew is that of
// 0.11.2).
func RecordedOutage(version string) Outage {
	out := Outage{Dying: 4500 * time.Millisecond, Down: 37100 * time.Millisecond}
	if atLeast(version, "0.27.1") {
		out.Dying = 500 * time.Millisecond
	}
	return out
}

// About is what a container tells of itself beyond vLLM's own routes.
type About struct {
	Version  string    // of the vLLM it plays
	Life     string    // "running"; "dying", when everything it is asked fails; "down", when nobody listens
	Started  time.Time // when its engine was opened last
	MaxLoras int       // adapters that answer at once
	CPULoras int       // adapters that are kept
	Load     Load      // requests under way
	Died     time.Time // when its engine died last; zero when it never has
	Lost     []string  // adapters that it had when it died, and was neither given again nor told to give up since
}

// About tells how the container is now.
func (c *Container) About() About {
	load := c.engine.Load()
	load.Waiting += c.slots.waits()
	c.mu.RLock()
	defer c.mu.RUnlock()
	return About{
		Died: c.died, Lost: slices.Clone(c.lost),
		Version: c.dialect.version, Life: map[life]string{alive: "running", dying: "dying", down: "down"}[c.engine.stage()],
		Started: time.Unix(0, c.started.Load()), MaxLoras: c.settings.maxLoras, CPULoras: c.settings.cpuLoras, Load: load,
	}
}

// die ends the engine as an error that nobody caught ends vLLM's, and has it started again as standard-supervisor does. It is
// called within an answer.
func (c *Container) die(ctx context.Context, why string) {
	died, err := c.engine.die()
	if !died {
		return
	}
	c.mu.Lock()
	c.died = c.now()
	c.mu.Unlock()
	c.log.ErrorContext(ctx, "engine died", "why", why, "err", err)
	c.answering.Go(func() { c.restart(c.outage()) }) // Close waits for it
}

// restart waits until the dead engine's process has ended, and starts another, again and again until one runs.
func (c *Container) restart(outage Outage) {
	if !c.wait(outage.Dying) {
		return
	}
	c.fall()
	for c.wait(outage.Down) {
		if err := c.engine.revive(c.closing); err != nil {
			c.log.ErrorContext(c.closing, "engine did not start again", "err", err)
			continue
		}
		c.started.Store(c.now().UnixNano())
		err := c.loadStatic(c.closing)
		if err == nil {
			c.log.InfoContext(c.closing, "engine is back, without its adapters")
			return
		}
		c.log.ErrorContext(c.closing, "engine did not start again", "err", err)
		if died, _ := c.engine.die(); !died {
			return // a request was faster, and has it started again
		}
		c.fall() // without its static adapters it ends, as at the first start
	}
}

// fall ends the server with all that it knew. The next one has the base and the static adapters: what was registered is
// forgotten, and so is what was counted (recordings, crash-and-restart.json).
func (c *Container) fall() {
	c.engine.fall()
	c.mu.Lock()
	for _, a := range c.adapters {
		c.lost = append(c.lost, a.Name)
	}
	c.adapters, c.resident = nil, nil
	c.mu.Unlock()
	c.slots.forget()
	c.meter.reset()
	c.promptTokens.Store(0)
	c.generatedTokens.Store(0)
}

// wait is false when the container closes meanwhile.
func (c *Container) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.closing.Done():
		return false
	case <-timer.C:
		return true
	}
}

// health serves /ping and /health.
func (c *Container) health(w http.ResponseWriter, _ *http.Request) {
	if c.engine.stage() != alive {
		plain(w, http.StatusServiceUnavailable, "")
		return
	}
	plain(w, http.StatusOK, "")
}

const engineTrouble = "EngineCore encountered an issue. See stack trace (above) for the root cause."

// engineFailed is what a client hears whose answer the engine could not give (recordings, behaviour.json vanished_after).
func (d dialect) engineFailed() *refusal {
	kind := http.StatusText(http.StatusInternalServerError)
	if d.names {
		kind = "InternalServerError"
	}
	return &refusal{status: http.StatusInternalServerError, kind: kind, message: engineTrouble}
}

// engineGone is what a registration hears of a dead engine.
func (d dialect) engineGone() *refusal {
	if d.wraps {
		return d.engineFailed()
	}
	return badRequest("%s", engineTrouble)
}
