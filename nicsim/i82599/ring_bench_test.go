package i82599

import (
	"encoding/binary"
	"testing"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/rss"
)

// BenchmarkRing64 moves 64-byte frames from a transmit ring over a wire to a
// receive ring.
func BenchmarkRing64(b *testing.B) {
	const n = 1024
	clock := sim.NewVirtual()
	pool := &nicsim.Pool{}
	var dev [2]*Device
	for i := range dev {
		dev[i], _ = newDevice(nicsim.Config{Name: "x", MAC: [6]byte{2, 0, 0, 0, 0, byte(i + 1)}, Clock: clock, Pool: pool})
		mem := make([]byte, 1<<23)
		_ = dev[i].fn.Memory.Map(0, mem, dma.Read|dma.Write)
	}
	mems := [2][]byte{dev[0].fn.Memory.Bytes(0, 1<<23, dma.Read), dev[1].fn.Memory.Bytes(0, 1<<23, dma.Read)}
	for i := range dev {
		dev[i].Port().Attach(cable{dev[1-i].Port()})
		dev[i].Port().SetCarrier(true)
		dev[i].fn.ConfigWrite([]byte{6, 0}, 4)
	}
	f := udpFrame(60)
	binary.BigEndian.PutUint16(f[24:], 0)
	binary.BigEndian.PutUint16(f[24:], ^checksum.Sum(f[14:34], 0))
	binary.BigEndian.PutUint16(f[40:], checksum.PseudoIPv4(f, 14, 17, 26))
	checksum.FillUDP(f, 34, 40, 60)
	w := func(d *Device, off, v uint32) { d.fn.Write32(0, off, v) }
	t, r := dev[0], dev[1]
	for i := range n {
		copy(mems[0][1<<20+i*2048:], f)
		mems[0][1<<20+i*2048+34] = byte(i)
	}
	w(t, 0x4A80, 1)
	w(t, 0x6000, 0)
	w(t, 0x6008, n*16)
	w(t, 0x6028, 1<<25)
	w(r, 0x1000, 0)
	w(r, 0x1008, n*16)
	w(r, 0x1014, 2|1<<25)
	w(r, 0x1028, 1<<25)
	w(r, 0x3000, 1)
	post := func(i int) {
		ixgbe.AdvRx{Addr: uint64(1<<20 + i*2048)}.Put((*[16]byte)(mems[1][i*16:]))
	}
	for i := range n {
		post(i)
	}
	rdt, tdt := uint32(n-1), uint32(0)
	w(r, 0x1018, rdt)
	b.ReportAllocs()
	done := 0
	for b.Loop() {
		const batch = 256
		for range batch {
			d := ixgbe.AdvData{Addr: uint64(1<<20 + tdt*2048), DTALEN: 60, PAYLEN: 60, Flags: ixgbe.TxEOP | ixgbe.TxIFCS | ixgbe.TxRS}
			d.Put((*[16]byte)(mems[0][tdt*16:]))
			tdt = (tdt + 1) % n
		}
		w(t, 0x6018, tdt)
		t.Step(batch)
		r.Step(batch)
		for range batch {
			rdt = (rdt + 1) % n
			post(int(rdt))
		}
		w(r, 0x1018, rdt)
		done += batch
	}
	if got := r.rx.queues[0].packets; got != uint64(done) {
		b.Fatal(got, done, r.drops)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(done), "ns/frame")
}

// BenchmarkRing64Bare is what cannot be left out: parse the descriptor, hash,
// sum, copy, write back.
func BenchmarkRing64Bare(b *testing.B) {
	const n = 1024
	var mems [2][]byte
	for i := range mems {
		mems[i] = make([]byte, 1<<23)
	}
	f := udpFrame(60)
	for i := range n {
		copy(mems[0][1<<20+i*2048:], f)
		ixgbe.AdvRx{Addr: uint64(1<<20 + i*2048)}.Put((*[16]byte)(mems[1][i*16:]))
	}
	key := rss.NewKey([40]byte{0x6d, 0x5a})
	h := parse.Headers{}
	parse.Frame(&h, f, 0)
	var acc uint32
	done := 0
	for b.Loop() {
		for i := range n {
			ixgbe.AdvData{Addr: uint64(1<<20 + i*2048), DTALEN: 60, PAYLEN: 60, Flags: ixgbe.TxEOP | ixgbe.TxIFCS | ixgbe.TxRS}.Put((*[16]byte)(mems[0][i*16:]))
			d := (*[16]byte)(mems[0][i*16:])
			td, _ := ixgbe.ParseAdvData(d)
			src := mems[0][td.Addr : td.Addr+uint64(td.DTALEN)]
			hash, ty := key.Hash(src, &h, 0xFFFF)
			acc += uint32(checksum.Sum(src[14:], 0))
			e := (*[16]byte)(mems[1][i*16:])
			rd := ixgbe.ParseAdvRx(e)
			copy(mems[1][rd.Addr:rd.Addr+2048], src)
			ixgbe.AdvRxWB{Info: ixgbe.RxInfo(ty), Param: hash, Status: 3, RxData: ixgbe.RxData{PKTLEN: 60}}.Publish(e)
			ixgbe.PublishTx(d)
			rd.Put(e)
		}
		done += n
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(done), "ns/frame")
	_ = acc
}
