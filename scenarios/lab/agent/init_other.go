//go:build !linux

package agent

// Main does nothing: guests run Linux.
func Main() {}
