//go:build linux

package umlpci

import (
	"runtime"
	"testing"

	"nicsim.dev/nicsim/pci"
)

// BenchmarkRead is a register read by a guest whose memory is shared, beside one by
// a driver in this process: what the transport costs. The loop and the guest need a
// core each.
func BenchmarkRead(b *testing.B) {
	regs := new(registers)
	fn := newFunction(b, regs)
	stop, c := liveRig(b, fn, new(reasons))
	defer stop()
	c.start()
	c.writeConfig(0x04, pci.CommandMemory, 2)
	ring := &c.rings[commandRing]
	at, to := c.alloc(commandHeaderBytes), c.alloc(4)
	copy(c.ram[at:], append([]byte{mmioRead, 0, 0, 0}, words(4, 8, 0)...))
	b.Run("polled", func(b *testing.B) {
		kicks := c.kicks
		for b.Loop() {
			ring.descriptor(0, guestBase+uint64(at), commandHeaderBytes, descriptorNext, 1)
			ring.descriptor(1, guestBase+uint64(to), 4, descriptorWrite, 0)
			ring.post(0)
			c.kick(commandRing)
			for uint16(ring.usedWord()>>16) == ring.used {
				runtime.Gosched()
			}
			ring.used++
		}
		b.ReportMetric(float64(c.kicks-kicks)/float64(b.N), "kicks/op")
	})
	b.Run("in process", func(b *testing.B) {
		local := newFunction(b, regs)
		local.ConfigWrite([]byte{pci.CommandMemory, 0}, 4)
		for b.Loop() {
			local.Read32(0, 8)
		}
	})
}
