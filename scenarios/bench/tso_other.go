//go:build !linux

package bench

// wireguard is the benchmark against wireguard-go, whose segmentation is built
// for Linux alone.
var wireguard []benchmark
