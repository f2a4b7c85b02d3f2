//go:build !linux

package scenarios

import (
	"context"
	"errors"
	"io"
)

var errGuests = errors.New("guests need Linux")

// Boot needs Linux.
func Boot(context.Context, BootOptions) (int, error) { return 0, errGuests }

// Serve needs Linux.
func Serve(context.Context, io.Writer, ServeOptions) error { return errGuests }

// PrintVirtme needs Linux.
func PrintVirtme(io.Writer, VirtmeOptions) error { return errGuests }

// LabSetup needs Linux.
func LabSetup(context.Context, io.Writer, LabSetupOptions) error { return errGuests }
