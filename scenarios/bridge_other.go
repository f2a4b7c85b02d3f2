//go:build !linux

package scenarios

import (
	"context"
	"errors"
	"io"
)

// Bridge needs the TAP interfaces of Linux.
func Bridge(context.Context, io.Writer, io.Writer, BridgeOptions) error {
	return errors.New("nicsim tap needs Linux")
}
