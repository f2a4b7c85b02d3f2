//go:build !linux

package scenarios

import "errors"

// bridge needs Linux.
func (w *world) bridge(*Adapter, string) error {
	return errors.New("TAP interfaces need Linux")
}
