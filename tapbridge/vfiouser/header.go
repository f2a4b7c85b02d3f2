//go:build linux

package vfiouser

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

var le = binary.LittleEndian // "the endianness of the host system" (vfio-user, Protocol Specification)

// command says what a message is about (vfio-user, Commands).
type command uint16

const (
	cmdVersion          command = 1
	cmdDMAMap           command = 2
	cmdDMAUnmap         command = 3
	cmdGetInfo          command = 4
	cmdGetRegionInfo    command = 5
	cmdGetRegionIOFDs   command = 6
	cmdGetIRQInfo       command = 7
	cmdSetIRQs          command = 8
	cmdRegionRead       command = 9
	cmdRegionWrite      command = 10
	cmdDMARead          command = 11
	cmdDMAWrite         command = 12
	cmdReset            command = 13
	cmdRegionWriteMulti command = 15
)

var commandNames = map[command]string{
	cmdVersion: "VERSION", cmdDMAMap: "DMA_MAP", cmdDMAUnmap: "DMA_UNMAP", cmdGetInfo: "DEVICE_GET_INFO",
	cmdGetRegionInfo: "DEVICE_GET_REGION_INFO", cmdGetRegionIOFDs: "DEVICE_GET_REGION_IO_FDS",
	cmdGetIRQInfo: "DEVICE_GET_IRQ_INFO", cmdSetIRQs: "DEVICE_SET_IRQS", cmdRegionRead: "REGION_READ",
	cmdRegionWrite: "REGION_WRITE", cmdDMARead: "DMA_READ", cmdDMAWrite: "DMA_WRITE", cmdReset: "DEVICE_RESET",
	cmdRegionWriteMulti: "REGION_WRITE_MULTI",
}

func (c command) String() string {
	if name, ok := commandNames[c]; ok {
		return name
	}
	return fmt.Sprintf("command %d", uint16(c))
}

// Flags of a message.
const (
	typeBits  = 0xF
	typeReply = 0x1 // 0 is a command
	noReply   = 1 << 4
	errorFlag = 1 << 5
)

// headerBytes is what every message begins with (vfio-user, Header).
const headerBytes = 16

type header struct {
	id    uint16
	cmd   command
	bytes uint32 // of the message, with the header
	flags uint32
	errno unix.Errno // of a reply with errorFlag
}

func parseHeader(b []byte) header {
	_ = b[headerBytes-1]
	return header{le.Uint16(b), command(le.Uint16(b[2:])), le.Uint32(b[4:]), le.Uint32(b[8:]), unix.Errno(le.Uint32(b[12:]))}
}

func (h header) put(b []byte) {
	_ = b[headerBytes-1]
	le.PutUint16(b, h.id)
	le.PutUint16(b[2:], uint16(h.cmd))
	le.PutUint32(b[4:], h.bytes)
	le.PutUint32(b[8:], h.flags)
	le.PutUint32(b[12:], uint32(h.errno))
}

// messageBytes tells a message's length from its first bytes.
func messageBytes(b []byte) (int, error) {
	h := parseHeader(b)
	if h.bytes < headerBytes {
		return 0, fmt.Errorf("a message of %d bytes, less than its header", h.bytes)
	}
	if t := h.flags & typeBits; t > typeReply {
		return 0, fmt.Errorf("a message of type %d", t)
	}
	return int(h.bytes), nil
}
