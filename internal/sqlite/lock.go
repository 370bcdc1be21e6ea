package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"loradeck/internal/lora"
)

// Lock gives the data directory dir, made when missing, to this process until unlock is called or the process ends, however
// it ends. When another one has it the error is a Conflict that says which. The lock is the operating system's on the file
// "lock"; the process id written there is only for people.
func Lock(dir string) (unlock func() error, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "The data directory %s cannot be made. Choose one that you may write to with --data.", dir)
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "The data directory %s cannot be written. Choose another with --data.", dir)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(refusal(dir, file, err), file.Close())
	}
	if err := sign(file); err != nil {
		return nil, errors.Join(fmt.Errorf("sign lock of %s: %w", dir, err), file.Close())
	}
	return func() error {
		// Closing alone would not do: a child that is just being started holds the file too for a moment, and with it the lock.
		return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
	}, nil
}

// refusal says who holds the directory, or that the file system knows no locks.
func refusal(dir string, file io.Reader, cause error) error {
	if !errors.Is(cause, syscall.EWOULDBLOCK) {
		return lora.Wrap(cause, lora.Invalid, "The data directory %s cannot be locked. Choose one on a local disk with --data.", dir)
	}
	who := "Another process"
	if id, err := io.ReadAll(io.LimitReader(file, 20)); err == nil && len(id) > 0 {
		who = "Process " + strings.TrimSpace(string(id))
	}
	return lora.Wrap(cause, lora.Conflict, "%s already uses the data directory %s. Stop it, or choose another directory with --data.", who, dir)
}

func sign(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}
