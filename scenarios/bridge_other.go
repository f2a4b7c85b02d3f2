//go:build !linux

package scenarios

import (
	"context"
	"io"
)

// Bridge needs the TAP interfaces of Linux.
func Bridge(context.Context, io.Writer, io.Writer, BridgeOptions) error { return errNoTAP }
