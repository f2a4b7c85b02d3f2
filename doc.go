// Package root holds the project's embedded test data and the tests of the
// house's own rules. It imports nothing of ours.
package root
