package container

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The headers of sticky sessions. SageMaker passes the client's SessionId on in the first; the others are in the answers to
// a new and a closed session (facts §2.8; recordings, sessions.json).
const (
	sessionHeader       = "X-Amzn-SageMaker-Session-Id"
	newSessionHeader    = "X-Amzn-SageMaker-New-Session-Id"
	closedSessionHeader = "X-Amzn-SageMaker-Closed-Session-Id"
)

// newSession is the session id that asks for a session.
const newSession = "NEW_SESSION"

// defaultSessionLife is how long a session lives after it was made, SAGEMAKER_SESSIONS_EXPIRATION aside.
const defaultSessionLife = 1200 * time.Second

// sessions are the sticky sessions of one container. They hold nothing but their end: the image keeps files of a handler's
// own beside them, and vLLM has no such handler. Nil has them switched off.
type sessions struct {
	life time.Duration

	mu   sync.Mutex
	ends map[string]time.Time
}

// readSessions gives nil unless the environment switches sessions on.
func readSessions(environment map[string]string) *sessions {
	if !strings.EqualFold(environment["SAGEMAKER_ENABLE_STATEFUL_SESSIONS"], "true") {
		return nil
	}
	out := &sessions{life: defaultSessionLife, ends: map[string]time.Time{}}
	if seconds, err := strconv.Atoi(environment["SAGEMAKER_SESSIONS_EXPIRATION"]); err == nil && seconds > 0 {
		out.life = time.Duration(seconds) * time.Second
	}
	return out
}

// open makes a session and forgets those that have ended.
func (s *sessions) open(now time.Time) (id string, ends time.Time) {
	var raw [16]byte
	rand.Read(raw[:])
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80 // a random UUID
	id = fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, end := range s.ends {
		if !now.Before(end) {
			delete(s.ends, old)
		}
	}
	s.ends[id] = now.Add(s.life)
	return id, s.ends[id]
}

// lives reports whether a session has not ended.
func (s *sessions) lives(id string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, known := s.ends[id]
	return known && now.Before(end)
}

func (s *sessions) close(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ends, id)
}

// session serves what belongs to sticky sessions, before the body is looked at otherwise; true when the answer has been
// given. A body with requestType asks for a session or closes one, and has no other field.
func (c *Container) session(w http.ResponseWriter, r *http.Request, fields *object) bool {
	id := r.Header.Get(sessionHeader)
	asked := fields.has("requestType")
	faults := checkSession(fields)
	switch {
	case asked && len(faults) > 0:
		c.refuse(w, invalid(string(compact(faults))))
	case asked && c.sessions == nil:
		c.refuse(w, invalid("Invalid payload. stateful sessions not enabled"))
	case !asked && id == "":
		return false
	case c.sessions == nil:
		c.refuse(w, invalid("Invalid payload. stateful sessions not enabled, "+sessionHeader+" header not supported"))
	case id != "" && id != newSession && !c.sessions.lives(id, c.now()):
		c.refuse(w, invalid("Bad request: session not found: "+id))
	case !asked:
		return false
	case fields.get("requestType") == any(newSession):
		made, ends := c.sessions.open(c.now())
		w.Header().Set(newSessionHeader, made+"; Expires="+ends.UTC().Format("2006-01-02T15:04:05Z"))
		plain(w, http.StatusOK, "Session "+made+" created")
	case id == "" || id == newSession:
		shown := "None"
		if id != "" {
			shown = id
		}
		c.refuse(w, &refusal{
			status: http.StatusFailedDependency, kind: http.StatusText(http.StatusFailedDependency),
			message: "Failed to close session: invalid session_id: " + shown,
		})
	default:
		c.sessions.close(id)
		w.Header().Set(closedSessionHeader, id)
		plain(w, http.StatusOK, "Session "+id+" closed")
	}
	return true
}

// checkSession finds what is wrong with a body that has requestType.
func checkSession(fields *object) []any {
	var faults []any
	if kind := fields.get("requestType"); kind != any(newSession) && kind != any("CLOSE") {
		faults = append(faults, complaint("enum", []any{"requestType"}, "Input should be 'NEW_SESSION' or 'CLOSE'", kind, "expected", "'NEW_SESSION' or 'CLOSE'"))
	}
	for _, key := range fields.keys {
		if key != "requestType" {
			faults = append(faults, complaint("extra_forbidden", []any{key}, "Extra inputs are not permitted", fields.get(key)))
		}
	}
	return faults
}
