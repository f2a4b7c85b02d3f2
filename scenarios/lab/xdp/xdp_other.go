//go:build !linux

package xdp

// Main does nothing: guests run Linux.
func Main([]string) int { return 1 }
