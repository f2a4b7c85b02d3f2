package i82599

import "encoding/binary"

// What software shares with the firmware: semaphores (8.2.3.4.9 to 8.2.3.4.11,
// 10.5.4) and the host interface (10.5). The firmware of this model holds no
// semaphore and answers at once.

const (
	swsmTaken = 1 << 0 // SWSM.SMBI

	hicrCommand = 1 << 1 // HICR.C: a command is there
	hicrValid   = 1 << 2 // HICR.SV: the answer is there

	hostHeader   = 4
	hostMaxBytes = 256 // of a command with its header

	hostDriverInfo = 0xDD // the driver tells its version
	hostSuccess    = 0x01
	hostUnknown    = 0x04
	hostChecksum   = 0x05
)

// readSWSM takes the semaphore between drivers: reading sets it, and whoever
// read zero has it.
func (d *Device) readSWSM(int) uint32 {
	v := d.reg.Get(atSWSM)
	d.reg.Set(atSWSM, v|swsmTaken)
	return v
}

// wroteHICR carries out the command in the host interface's memory: a header of
// code, length, status and checksum, and its data.
func (d *Device) wroteHICR(_ int, _, v uint32) {
	if v&hicrCommand == 0 {
		return
	}
	var b [hostMaxBytes]byte
	for i := 0; i < len(b); i += 4 {
		binary.LittleEndian.PutUint32(b[i:], d.reg.Get(atFLEXMNG+uint32(i)))
	}
	var sum byte
	n := min(int(b[1])+hostHeader, len(b))
	for _, c := range b[:n] {
		sum += c
	}
	status := byte(hostUnknown)
	switch {
	case sum != 0:
		status = hostChecksum
	case b[0] == hostDriverInfo:
		status = hostSuccess
	}
	answer := [hostHeader]byte{b[0], 0, status, -(b[0] + status)}
	d.reg.Set(atFLEXMNG, binary.LittleEndian.Uint32(answer[:]))
	d.reg.Set(atHICR, d.reg.Get(atHICR)&^hicrCommand|hicrValid)
}
