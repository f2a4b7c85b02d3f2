//go:build !linux

package scenarios

func runSelftest(*call) error { return errGuests }
