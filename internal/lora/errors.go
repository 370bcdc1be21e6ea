// Package lora holds the nouns that two or more rooms of the house share — place, endpoint, component, adapter, version,
// deployment — and the one error type whose message a user may read.
//
// It knows no wire protocol, no database and no page: it imports the standard library only, so every floor can stand on it.
package lora

import (
	"errors"
	"fmt"
)

// Kind says what sort of thing went wrong, in the caller's terms. The handlers map it to an HTTP status in one table;
// jobs decide by it whether trying again can help.
type Kind string

// The kinds of error. Their order is the order in which handlers list their statuses.
const (
	Invalid      Kind = "invalid"      // the request or file is wrong; the message says what to change
	Unauthorized Kind = "unauthorized" // nobody we know, or credentials have expired
	Forbidden    Kind = "forbidden"    // known, but not allowed
	NotFound     Kind = "not found"    // the thing named does not exist
	Conflict     Kind = "conflict"     // the name is taken, or the thing is in a state that forbids the action
	TooLarge     Kind = "too large"    // over a limit that the message names
	Limit        Kind = "limit"        // an account quota or a capacity is exhausted
	Throttled    Kind = "throttled"    // asked too often; the same request may go through later
	Unavailable  Kind = "unavailable"  // the other side did not answer or is not ready; trying again may help
	Internal     Kind = "internal"     // our own fault; the message shown says no more than that
)

// Error is the one error a user may read. Message is a sentence that says what is wrong and what to do next; Err, when
// present, is the cause for the log and for errors.Is, and is never shown.
type Error struct {
	Kind    Kind
	Message string
	Err     error
}

// Error gives the message followed by the cause, for logs.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap gives the cause, or nil.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of the given kind whose message is the formatted sentence.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error of the given kind with a sentence for the user and err as its hidden cause.
func Wrap(err error, kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Err: err}
}

// KindOf gives the kind of the first Error in err's chain, Internal when there is none, and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Message gives the sentence a user may read: that of the first Error in err's chain, or a plain apology that leaks
// nothing when there is none.
func Message(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Kind != Internal {
		return e.Message
	}
	return "Something went wrong on our side. The log has the details; nothing you entered was lost."
}

// Temporary reports whether the same request may succeed later without being changed.
func Temporary(err error) bool {
	switch KindOf(err) {
	case Throttled, Unavailable:
		return true
	}
	return false
}
