package checksum

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A sum that carried out of 64 bits just once more than it can hold is not 0.
func TestRight(t *testing.T) {
	const all = ^uint64(0)
	for _, c := range []struct {
		acc, carry uint64
		want       bool
	}{{0xFFFF, 0, true}, {0xFFFE, 1, true}, {0xFFFF, 1, false}, {all, 0, true}, {all, 1, false}, {all - 1, 1, true}, {1, 0, false}} {
		require.Equal(t, c.want, right(c.acc, c.carry), "%#x and %d", c.acc, c.carry)
	}
}
