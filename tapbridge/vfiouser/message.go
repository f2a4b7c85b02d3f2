//go:build linux

package vfiouser

// This file is what follows the header of messages, in the order of the
// specification. Each format has its length, parse and put; parse wants that many
// bytes, which the session has seen to.

// dmaMap is the request of DMA_MAP.
type dmaMap struct {
	argsz, flags        uint32
	offset, addr, bytes uint64
}

const (
	dmaMapBytes = 32

	dmaReadable  = 1 << 0
	dmaWriteable = 1 << 1
)

func (m *dmaMap) parse(b []byte) {
	*m = dmaMap{le.Uint32(b), le.Uint32(b[4:]), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])}
}

func (m *dmaMap) put(b []byte) {
	le.PutUint32(b, m.argsz)
	le.PutUint32(b[4:], m.flags)
	le.PutUint64(b[8:], m.offset)
	le.PutUint64(b[16:], m.addr)
	le.PutUint64(b[24:], m.bytes)
}

// dmaUnmap is the request of DMA_UNMAP, and its reply.
type dmaUnmap struct {
	argsz, flags uint32
	addr, bytes  uint64
}

const (
	dmaUnmapBytes = 24

	// As in <linux/vfio.h>; QEMU sends the second one.
	unmapDirtyBitmap = 1 << 0
	unmapAll         = 1 << 1
)

func (m *dmaUnmap) parse(b []byte) {
	*m = dmaUnmap{le.Uint32(b), le.Uint32(b[4:]), le.Uint64(b[8:]), le.Uint64(b[16:])}
}

func (m *dmaUnmap) put(b []byte) {
	le.PutUint32(b, m.argsz)
	le.PutUint32(b[4:], m.flags)
	le.PutUint64(b[8:], m.addr)
	le.PutUint64(b[16:], m.bytes)
}

// deviceInfo is DEVICE_GET_INFO.
type deviceInfo struct{ argsz, flags, regions, irqs uint32 }

const (
	deviceInfoBytes = 16

	deviceReset = 1 << 0
	devicePCI   = 1 << 1
)

func (m *deviceInfo) parse(b []byte) {
	*m = deviceInfo{le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])}
}

func (m *deviceInfo) put(b []byte) {
	le.PutUint32(b, m.argsz)
	le.PutUint32(b[4:], m.flags)
	le.PutUint32(b[8:], m.regions)
	le.PutUint32(b[12:], m.irqs)
}

// regionInfo is DEVICE_GET_REGION_INFO.
type regionInfo struct {
	argsz, flags, index, capOffset uint32
	bytes, offset                  uint64
}

const (
	regionInfoBytes = 32

	regionReadable  = 1 << 0
	regionWriteable = 1 << 1
)

func (m *regionInfo) parse(b []byte) {
	*m = regionInfo{le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:]), le.Uint64(b[16:]), le.Uint64(b[24:])}
}

func (m *regionInfo) put(b []byte) {
	le.PutUint32(b, m.argsz)
	le.PutUint32(b[4:], m.flags)
	le.PutUint32(b[8:], m.index)
	le.PutUint32(b[12:], m.capOffset)
	le.PutUint64(b[16:], m.bytes)
	le.PutUint64(b[24:], m.offset)
}

// indexInfo is DEVICE_GET_IRQ_INFO, and DEVICE_GET_REGION_IO_FDS without
// sub-regions.
type indexInfo struct{ argsz, flags, index, count uint32 }

const (
	indexInfoBytes = 16

	irqEventFD    = 1 << 0
	irqMaskable   = 1 << 1
	irqAutoMasked = 1 << 2
	irqNoResize   = 1 << 3
)

func (m *indexInfo) parse(b []byte) {
	*m = indexInfo{le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])}
}

func (m *indexInfo) put(b []byte) {
	le.PutUint32(b, m.argsz)
	le.PutUint32(b[4:], m.flags)
	le.PutUint32(b[8:], m.index)
	le.PutUint32(b[12:], m.count)
}

// irqSet is the request of DEVICE_SET_IRQS, less its data.
type irqSet struct{ argsz, flags, index, start, count uint32 }

const (
	irqSetBytes = 20

	irqDataNone      = 1 << 0
	irqDataBool      = 1 << 1
	irqDataEventFD   = 1 << 2
	irqData          = irqDataNone | irqDataBool | irqDataEventFD
	irqActionMask    = 1 << 3
	irqActionUnmask  = 1 << 4
	irqActionTrigger = 1 << 5
	irqAction        = irqActionMask | irqActionUnmask | irqActionTrigger
)

func (m *irqSet) parse(b []byte) {
	*m = irqSet{le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:]), le.Uint32(b[16:])}
}

func (m *irqSet) put(b []byte) {
	le.PutUint32(b, m.argsz)
	le.PutUint32(b[4:], m.flags)
	le.PutUint32(b[8:], m.index)
	le.PutUint32(b[12:], m.start)
	le.PutUint32(b[16:], m.count)
}

// regionAccess is REGION_READ, REGION_WRITE and, with at most 8 bytes of data in a
// field of 8, an entry of REGION_WRITE_MULTI; less the data.
type regionAccess struct {
	offset        uint64
	region, count uint32
}

const (
	regionAccessBytes = 16
	multiEntryBytes   = regionAccessBytes + multiDataBytes
	multiDataBytes    = 8
	multiCountBytes   = 8
)

func (m *regionAccess) parse(b []byte) {
	*m = regionAccess{le.Uint64(b), le.Uint32(b[8:]), le.Uint32(b[12:])}
}

func (m *regionAccess) put(b []byte) {
	le.PutUint64(b, m.offset)
	le.PutUint32(b[8:], m.region)
	le.PutUint32(b[12:], m.count)
}

// dmaAccess is DMA_READ and DMA_WRITE, less the data.
type dmaAccess struct{ addr, count uint64 }

const (
	dmaAccessBytes = 16
	// dmaWrittenBytes is the reply of DMA_WRITE, whose count has 4 bytes in the
	// specification and 8 in libvfio-user.
	dmaWrittenBytes = 12
)

func (m *dmaAccess) parse(b []byte) { *m = dmaAccess{le.Uint64(b), le.Uint64(b[8:])} }

func (m *dmaAccess) put(b []byte) {
	le.PutUint64(b, m.addr)
	le.PutUint64(b[8:], m.count)
}
