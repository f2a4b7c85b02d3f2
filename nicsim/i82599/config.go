package i82599

import "nicsim.dev/nicsim/pci"

// Offsets of capabilities in configuration space (9.3.7 and 9.4). SR-IOV has
// its place at 0x160.
const (
	atPM           = 0x40
	atMSI          = 0x50
	atMSIX         = 0x70
	atExpress      = 0xA0
	atVPD          = 0xE0
	atAER          = 0x100
	atSerialNumber = 0x140
	atARI          = 0x150
)

const (
	vendorIntel   = 0x8086
	classEthernet = 0x020000
	revisionB0    = 1

	tableBAR     = 4
	tableBytes   = 16 << 10
	tablePending = 0x2000 // bytes into the MSI-X BAR (9.3.6.1)
)

// newFunction returns the physical function of d (9.3).
func newFunction(d *Device) (*pci.Function, error) {
	subsystem := uint16(0x0003)
	if d.cfg.Variant == deviceKX4 {
		subsystem = 0x000C
	}
	return pci.New(
		pci.ID{
			Vendor: vendorIntel, Device: d.cfg.Variant, SubsystemVendor: vendorIntel, SubsystemDevice: subsystem,
			Class: classEthernet, Revision: revisionB0, Pin: 1,
		},
		[]pci.BAR{
			{Index: 0, Bytes: regSpace, Wide: true, Region: registerRegion{d}},
			{Index: tableBAR, Bytes: tableBytes, Wide: true},
		},
		// Version 3; wakes from D0 and D3hot; D3hot to D0 resets (9.3.8).
		pci.PM{At: atPM, Capabilities: 0x4823, Status: 0x2000},
		pci.MSI{At: atMSI},
		pci.MSIX{At: atMSIX, Vectors: vectors(d.cfg.Queues), TableBAR: tableBAR, PendingBAR: tableBAR, PendingOff: tablePending},
		pci.Express{
			At:                 atExpress,
			DeviceCapabilities: 0x10008CC2, // 512 bytes payload, FLR (9.3.11.4)
			DeviceControl:      0x2810,     // relaxed ordering, no snoop, 512 bytes read requests
			LinkCapabilities:   0x0001CC82, // 5 GT/s x8, L0s and L1 (9.3.11.7)
			LinkStatus:         0x1082,     // 5 GT/s x8, slot clock

			DeviceCapabilities2: 0x1F, // completion time-outs A to D
			LinkControl2:        0x2,
		},
		pci.VPD{At: atVPD, Data: productData()},
		pci.AER{At: atAER, Uncorrectable: 0x001FF010, Correctable: 0x31C1, Severity: 0x00062010},
		pci.SerialNumber{At: atSerialNumber, Serial: serialNumber(d.cfg.MAC)},
		pci.ARI{At: atARI},
	)
}

// vectors is the size of the MSI-X table, which the EEPROM sets (6.3.7): one vector
// for each pair of queues, and one for the rest.
func vectors(queues int) int {
	if queues == 0 {
		return numVectors
	}
	return min(queues+1, numVectors)
}

// serialNumber makes an EUI-64 of the MAC address (9.4.2).
func serialNumber(m [6]byte) uint64 {
	v := uint64(0xFFFF) << 24
	for i, shift := range [...]int{56, 48, 40, 16, 8, 0} {
		v |= uint64(m[i]) << shift
	}
	return v
}

// partNumber is the printed board assembly that EEPROM and vital product data
// tell of (6.4.5.2): ten characters.
const partNumber = "N82599-001"

// productData is the vital product data: an identifier, a part number, and the
// checksum over what is before it (PCI 3.0 appendix I).
func productData() []byte {
	const name = "nicsim 82599 10 GbE"
	b := append([]byte{0x82, byte(len(name)), 0}, name...)
	fields := append([]byte{'P', 'N', byte(len(partNumber))}, partNumber...)
	fields = append(fields, 'R', 'V', 1)
	b = append(b, 0x90, byte(len(fields)+1), 0)
	b = append(b, fields...)
	var sum byte
	for _, c := range b {
		sum += c
	}
	return append(b, -sum, 0x78)
}
