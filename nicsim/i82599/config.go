package i82599

import "nicsim.dev/nicsim/pci"

func newFunction(d *Device) (*pci.Function, error) {
	return pci.New(pci.ID{Vendor: 0x8086, Device: 0x10FB, Class: 0x020000, Pin: 1},
		[]pci.BAR{{Index: 0, Bytes: regSpace, Wide: true, Region: registerRegion{d}}, {Index: 4, Bytes: 16 << 10, Wide: true}},
		pci.MSIX{At: 0x70, Vectors: 64, TableBAR: 4, PendingBAR: 4, PendingOff: 0x2000})
}
