package bench

import (
	"encoding/binary"
	"fmt"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/nicsim/sim"
)

// model is the adapter that is measured.
const model = "82599"

// adapter is one that a benchmark drives itself, by the names of its registers.
type adapter struct {
	model nicsim.Model
	dev   nicsim.Device
	fn    *pci.Function
	mem   []byte // guest memory from address 0 on
	err   error  // the first register that has no such name
}

// newAdapter powers an adapter on whose guest has memory at address 0.
func newAdapter(clock *sim.Clock, pool *nicsim.Pool, name string, mac [6]byte, memory []byte) (*adapter, error) {
	m, err := nicsim.Find(model)
	if err != nil {
		return nil, err
	}
	dev, err := m.New(nicsim.Config{Name: name, MAC: mac, Clock: clock, Pool: pool})
	if err != nil {
		return nil, err
	}
	a := &adapter{model: m, dev: dev, fn: dev.Functions()[0], mem: memory}
	if err := a.fn.Memory.Map(0, a.mem, dma.Read|dma.Write); err != nil {
		return nil, err
	}
	var command [2]byte
	binary.LittleEndian.PutUint16(command[:], pci.CommandMemory|pci.CommandMaster)
	a.fn.ConfigWrite(command[:], 4)
	a.fn.SetInterrupter(nobody{})
	return a, nil
}

// nobody takes interrupts, as a driver that polls.
type nobody struct{}

func (nobody) Message(int, uint64, uint32) bool { return true }
func (nobody) Line(bool)                        {}

// offset returns where register name[i] is.
func (a *adapter) offset(name string, i int) uint32 {
	off, ok := a.model.Register(name, i)
	if !ok && a.err == nil {
		a.err = fmt.Errorf("the %s has no register %s[%d]", a.model.Name, name, i)
	}
	return off
}

func (a *adapter) write(name string, i int, v uint32) { a.fn.Write32(0, a.offset(name, i), v) }

func (a *adapter) set(name string, i int, bits uint32) {
	off := a.offset(name, i)
	a.fn.Write32(0, off, a.fn.Read32(0, off)|bits)
}

// Bits of registers that benchmarks set (82599 datasheet 8.2.3.7.5, 8.2.3.7.12,
// 8.2.3.8.6, 8.2.3.8.7).
const (
	queueEnable  = 1 << 25 // RXDCTL, TXDCTL
	oneBuffer    = 1 << 25 // SRRCTL.DESCTYPE: advanced, one buffer
	headerSplit  = 2 << 25 // SRRCTL.DESCTYPE: advanced, header split
	hashReported = 1 << 13 // RXCSUM.PCSD
	rssOn        = 1       // MRQC.MRQE
	rssTCPv4     = 1 << 16 // MRQC
	rssUDPv4     = 1 << 22 // MRQC
)

// transmitRing programs transmit queue i.
func (a *adapter) transmitRing(i int, at uint32, descriptors int) {
	a.write("TDBAL", i, at)
	a.write("TDBAH", i, 0)
	a.write("TDLEN", i, uint32(descriptors*descriptorBytes))
	a.write("DMATXCTL", 0, 1)
	a.write("TXDCTL", i, queueEnable)
}

// receiveRing programs receive queue i for buffers of 2 KiB.
func (a *adapter) receiveRing(i int, at uint32, descriptors int, srrctl uint32) {
	a.write("RDBAL", i, at)
	a.write("RDBAH", i, 0)
	a.write("RDLEN", i, uint32(descriptors*descriptorBytes))
	a.write("SRRCTL", i, bufferBytes>>10|srrctl)
	a.write("RXDCTL", i, queueEnable)
}

// spread turns RSS on, with key and the hash in descriptors; every flow goes to
// queue 0.
func (a *adapter) spread(key [40]byte) {
	for i := range 10 {
		a.write("RSSRK", i, binary.LittleEndian.Uint32(key[4*i:]))
	}
	for i := range 32 {
		a.write("RETA", i, 0)
	}
	a.set("RXCSUM", 0, hashReported)
	a.write("MRQC", 0, rssOn|rssTCPv4|rssUDPv4)
}

// counter returns the sum of a counter of the whole adapter.
func (a *adapter) counter(name string) (sum uint64) {
	a.dev.Counters(func(c nicsim.Counter) {
		if c.Name == name && c.Queue < 0 {
			sum += c.Value
		}
	})
	return sum
}

// drops returns what the adapter dropped, by reason.
func (a *adapter) drops() error {
	var err error
	a.dev.Counters(func(c nicsim.Counter) {
		if len(c.Name) > 5 && c.Name[:5] == "drop-" && c.Value > 0 {
			err = fmt.Errorf("%d frames dropped: %s", c.Value, c.Name[5:])
		}
	})
	return err
}

const (
	descriptorBytes = 16
	bufferBytes     = 2048
)

// desc is descriptor i of the ring at address at.
func (a *adapter) desc(at uint32, i int) *[16]byte {
	return (*[16]byte)(a.mem[int(at)+i*descriptorBytes:])
}
