//go:build !linux

package bench

// guestBenchmarks need Linux.
var guestBenchmarks []benchmark
