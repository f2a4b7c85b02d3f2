// Package root holds the project's embedded test data and the tests of the
// house's own rules. It imports nothing of ours.
package root

import "embed"

// Testdata is testdata/: scripts, captures and vectors.
//
//go:embed testdata
var Testdata embed.FS
