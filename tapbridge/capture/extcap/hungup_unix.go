//go:build unix

package extcap

import (
	"errors"
	"syscall"
)

// hungUp says whether an error means that the reader of a pipe has gone.
func hungUp(err error) bool { return errors.Is(err, syscall.EPIPE) }
