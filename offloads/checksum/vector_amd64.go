package checksum

// blockBytes is what the functions here take at a time. They add little-endian
// words of 32 bits, which gives the sum with its bytes swapped.
const blockBytes = 32

//go:noescape
func sumBlocks(src *byte, blocks int) uint64

//go:noescape
func copyBlocks(dst, src *byte, blocks int) uint64

func cpuid(leaf, subleaf uint32) (ebx, ecx uint32)

func xgetbv() uint32

// vector says whether the processor and the operating system keep 256-bit
// registers (Intel SDM volume 1, 14.3 and 14.7).
var vector = func() bool {
	const avxAndOSXSAVE, avx2, state = 1<<28 | 1<<27, 1 << 5, 1<<2 | 1<<1
	if _, ecx := cpuid(1, 0); ecx&avxAndOSXSAVE != avxAndOSXSAVE || xgetbv()&state != state {
		return false
	}
	ebx, _ := cpuid(7, 0)
	return ebx&avx2 != 0
}()

// sumVector adds b, more than shortBytes, to acc.
func sumVector(b []byte, acc uint64) uint64 {
	n := len(b) / blockBytes
	return short(b[n*blockBytes:], acc) + sumBlocks(&b[0], n)
}

// copyVector copies src, more than shortBytes, to dst, which is as long, and
// adds it to acc.
func copyVector(dst, src []byte, acc uint64) uint64 {
	n := len(src) / blockBytes
	copy(dst[n*blockBytes:], src[n*blockBytes:])
	return short(dst[n*blockBytes:], acc) + copyBlocks(&dst[0], &src[0], n)
}
