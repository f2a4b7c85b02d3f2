//go:build linux

package umlpci

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/pci"
)

// FuzzMessages sends any bytes over the socket, ahead of, amid and after the
// messages of a proper guest, with file descriptors that may be wrong.
func FuzzMessages(f *testing.F) {
	f.Add(uint8(0), uint8(0), []byte{})
	f.Add(uint8(3), uint8(1), slices.Concat(header(setMemTable, 9, 40), table(ramRegion)))
	f.Add(uint8(9), uint8(0), slices.Concat(header(vringKick, 1, 8), words(0, 0), header(setVringEnable, 1, 8), words(1, 0)))
	f.Add(uint8(15), uint8(2), slices.Concat(header(setMemTable, 1, 8+64), table(ramRegion, [4]uint64{0, 4096, 0, 0})))
	f.Add(uint8(15), uint8(3), slices.Concat(header(getConfig, 1, 12), words(0, 0, 0), header(setSlaveChannel, 1, 0)))
	f.Fuzz(func(t *testing.T, done, fds uint8, b []byte) {
		r := newRig(t)
		c := r.connect()
		steps := append(c.negotiation(), c.ringSetup()...)
		c.do(steps[:int(done)%(len(steps)+1)]...)
		pass := make([]int, fds%4)
		for i := range pass {
			pass[i] = c.file
			if fds&8 != 0 {
				pass[i] = c.spare[0]
			}
		}
		if len(b) > 0 {
			c.raw(b, pass...)
		}
		for range 4 {
			r.host.Step(256)
		}
		c.close()
		r.cutOff()
	})
}

// FuzzRing lays any bytes over the rings and the commands of a running guest, and has
// the function interrupt.
func FuzzRing(f *testing.F) {
	command := append([]byte{mmioRead, 0, 0, 0}, words(4, 8, 0)...)
	ring := func(flags ...uint16) (b []byte) {
		for i, fl := range flags {
			b = le.AppendUint64(b, guestBase+dataOff+64*uint64(i))
			b = append(b, words(16)...)
			b = le.AppendUint16(b, fl)
			b = le.AppendUint16(b, uint16(i+1))
		}
		return b
	}
	f.Add(uint16(1), ring(descriptorNext, descriptorWrite), command)
	f.Add(uint16(1), ring(0), []byte{configWrite, 4, 0, 0, 32, 0, 0, 0})
	f.Add(uint16(300), ring(descriptorIndirect), command)
	f.Add(uint16(256), ring(descriptorNext, descriptorNext, descriptorNext), command)
	f.Fuzz(func(t *testing.T, avail uint16, descriptors, data []byte) {
		r := newRig(t)
		c := r.connect().start()
		c.enableMessages()
		r.regs.onWrite = func(_, v uint32) { r.fn.Raise(int(v % vectors)) }
		for i := range c.rings {
			copy(c.ram[i*ringBytes:][:availOff], descriptors)
			copy(c.ram[i*ringBytes+availOff+4:][:512], data)
		}
		copy(c.ram[dataOff:], data)
		c.rings[commandRing].avail += avail - 1
		c.rings[commandRing].post(0)
		for range 4 {
			r.host.Step(256)
			r.fn.Raise(int(avail) % vectors)
			unix.Read(c.calls, make([]byte, 4096))
		}
		if r.server.Connected() {
			r.fn.Reset(pci.FLR)
			r.host.Step(256)
		}
		c.close()
		r.cutOff()
	})
}
