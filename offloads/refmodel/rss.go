package refmodel

// Toeplitz is Microsoft's hash, a bit at a time: for each bit of the input that
// is set, the 32 key bits that start there.
func Toeplitz(key [40]byte, input []byte) uint32 {
	bit := func(b []byte, n int) uint32 { return uint32(b[n/8]>>(7-n%8)) & 1 }
	var hash uint32
	for i := range len(input) * 8 {
		if bit(input, i) == 0 {
			continue
		}
		var window uint32
		for j := range 32 {
			window = window<<1 | bit(key[:], i+j)
		}
		hash ^= window
	}
	return hash
}
