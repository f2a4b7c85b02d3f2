//go:build linux

package timetravel

import (
	"encoding/binary"
	"fmt"
)

// A message is its operation, a sequence number that its acknowledgement repeats, 32
// bits each in the host's order, and a time in nanoseconds (Linux
// include/uapi/linux/um_timetravel.h).
const messageBytes = 16

const (
	opAck       = 0
	opStart     = 1 // its time is a number that the guest chose
	opRequest   = 2 // to run at a time
	opWait      = 3 // for the time requested
	opGet       = 4 // the acknowledgement has the time
	opUpdate    = 5 // the guest's time, ahead of a notification
	opRun       = 6 // ours: the time has come
	opTimeOfDay = 8
	opBroadcast = 9
)

var opNames = map[uint32]string{
	opAck: "ACK", opStart: "START", opRequest: "REQUEST", opWait: "WAIT", opGet: "GET", opUpdate: "UPDATE",
	opTimeOfDay: "GET_TOD", opBroadcast: "BROADCAST",
}

type message struct {
	op, sequence uint32
	time         uint64
}

func (m message) String() string {
	name, ok := opNames[m.op]
	if !ok {
		name = fmt.Sprintf("operation %d", m.op)
	}
	return fmt.Sprintf("%s of %d", name, m.time)
}

func parse(b *[messageBytes]byte) message {
	return message{binary.NativeEndian.Uint32(b[:]), binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint64(b[8:])}
}

func (m message) put(b *[messageBytes]byte) {
	binary.NativeEndian.PutUint32(b[:], m.op)
	binary.NativeEndian.PutUint32(b[4:], m.sequence)
	binary.NativeEndian.PutUint64(b[8:], m.time)
}
