package container

import (
	"strings"
	"testing"
	"time"
)

func TestSessionEndsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	s := readSessions(map[string]string{"SAGEMAKER_ENABLE_STATEFUL_SESSIONS": "True", "SAGEMAKER_SESSIONS_EXPIRATION": "60"})
	now := time.Unix(1_000_000, 0)
	first, ends := s.open(now)
	if !ends.Equal(now.Add(time.Minute)) || !s.lives(first, now.Add(59*time.Second)) || s.lives(first, ends) {
		t.Errorf("session %s ends %v", first, ends)
	}
	second, _ := s.open(ends)
	if _, kept := s.ends[first]; kept || first == second || strings.Count(first, "-") != 4 || len(first) != 36 {
		t.Errorf("after %s came %s; kept %v", first, second, s.ends)
	}
	s.close(second)
	if s.lives(second, ends) {
		t.Error("a closed session lives")
	}
}

func TestSessionsAreOffUnlessSwitchedOn(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "false", "1"} {
		if s := readSessions(map[string]string{"SAGEMAKER_ENABLE_STATEFUL_SESSIONS": value}); s != nil {
			t.Errorf("%q switches sessions on", value)
		}
	}
	if s := readSessions(map[string]string{"SAGEMAKER_ENABLE_STATEFUL_SESSIONS": "true", "SAGEMAKER_SESSIONS_EXPIRATION": "soon"}); s.life != defaultSessionLife {
		t.Errorf("an unreadable life became %v", s.life)
	}
}
