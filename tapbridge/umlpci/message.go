//go:build linux

package umlpci

import (
	"encoding/binary"
	"fmt"

	"nicsim.dev/tapbridge/guest"
)

var le = binary.LittleEndian

// A vhost-user message is its request, its flags and the size of the payload, 32
// bits each in the host's order, then the payload (vhost-user, "Message
// Specification").
const (
	headerBytes = 12

	flagVersion     = 1
	flagVersionMask = 3
	flagReply       = 1 << 2
	flagNeedReply   = 1 << 3

	// maxPayloadBytes is that of the longest message: device configuration with
	// its header, or a table of as many regions as there may be.
	maxPayloadBytes = 12 + maxConfigBytes
	maxConfigBytes  = 256
)

// Requests of the guest, and the one that we make.
const (
	getFeatures         = 1
	setFeatures         = 2
	setOwner            = 3
	setMemTable         = 5
	setVringNum         = 8
	setVringAddr        = 9
	setVringBase        = 10
	getProtocolFeatures = 15
	setProtocolFeatures = 16
	setVringEnable      = 18
	setSlaveChannel     = 21
	getConfig           = 24
	setConfig           = 25
	vringKick           = 35

	slaveVringCall = 4
)

// request is how one kind of message is handled.
type request struct {
	name string
	// size of the payload; -1 if the handler checks it
	size int
	// fds is how many file descriptors come with it; -1 if the handler checks
	fds int
	do  func(s *session, payload []byte, fds []int) error
	// get, in place of do, answers with a payload of its own.
	get func(s *session, payload []byte) ([]byte, error)
}

var requests = map[uint32]request{
	getFeatures:         {name: "GET_FEATURES", get: (*session).getFeatures},
	setFeatures:         {name: "SET_FEATURES", size: 8, do: (*session).setFeatures},
	setOwner:            {name: "SET_OWNER", do: (*session).setOwner},
	setMemTable:         {name: "SET_MEM_TABLE", size: -1, fds: -1, do: (*session).setMemTable},
	setVringNum:         {name: "SET_VRING_NUM", size: 8, do: (*session).setVringNum},
	setVringAddr:        {name: "SET_VRING_ADDR", size: 40, do: (*session).setVringAddr},
	setVringBase:        {name: "SET_VRING_BASE", size: 8, do: (*session).setVringBase},
	getProtocolFeatures: {name: "GET_PROTOCOL_FEATURES", get: (*session).getProtocolFeatures},
	setProtocolFeatures: {name: "SET_PROTOCOL_FEATURES", size: 8, do: (*session).setProtocolFeatures},
	setVringEnable:      {name: "SET_VRING_ENABLE", size: 8, do: (*session).setVringEnable},
	setSlaveChannel:     {name: "SET_SLAVE_REQ_FD", fds: 1, do: (*session).setSlaveChannel},
	getConfig:           {name: "GET_CONFIG", size: -1, get: (*session).getConfig},
	setConfig:           {name: "SET_CONFIG", size: -1, do: (*session).setConfig},
	vringKick:           {name: "VRING_KICK", size: 8, do: (*session).vringKick},
}

// messageBytes tells the length of the message that begins with header.
func messageBytes(header []byte) (int, error) {
	n := le.Uint32(header[8:])
	if n > maxPayloadBytes {
		return 0, fmt.Errorf("a message with %d bytes of payload", n)
	}
	return headerBytes + int(n), nil
}

// messages handles what has come over the socket, at most budget of it.
func (s *session) messages(budget int) (work int, err error) {
	for work < budget {
		m, fds, err := s.conn.Next(headerBytes, messageBytes)
		if err != nil || m == nil {
			guest.CloseAll(fds)
			return work, err
		}
		work++
		err = s.message(le.Uint32(m), le.Uint32(m[4:]), m[headerBytes:], fds)
		guest.CloseAll(fds) // who needs one for longer has made it its own
		work, s.kicked = work+s.kicked, 0
		if err != nil {
			return work, err
		}
	}
	return work, nil
}

func (s *session) message(number, flags uint32, payload []byte, fds []int) error {
	r, ok := requests[number]
	if !ok {
		return fmt.Errorf("message %d, which was not offered", number)
	}
	switch {
	case flags&^flagNeedReply != flagVersion:
		return fmt.Errorf("%s has flags %#x", r.name, flags)
	case r.size >= 0 && len(payload) != r.size:
		return fmt.Errorf("%s has %d bytes of payload, not %d", r.name, len(payload), r.size)
	case r.fds >= 0 && len(fds) != r.fds:
		return fmt.Errorf("%s came with %d file descriptors, not %d", r.name, len(fds), r.fds)
	}
	var answer []byte
	var err error
	if r.get != nil {
		answer, err = r.get(s, payload)
	} else {
		err = r.do(s, payload, fds)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", r.name, err)
	case r.get != nil:
		return s.reply(number, answer)
	case flags&flagNeedReply == 0:
		return nil
	case s.protocol&protocolReplyAck == 0:
		return fmt.Errorf("%s asks for an acknowledgement, which was not agreed on", r.name)
	}
	if number == vringKick && s.order != nil {
		s.order.held++
		return nil
	}
	return s.acknowledge(number)
}

// acknowledge says that a message has been acted upon: 0 is no error.
func (s *session) acknowledge(number uint32) error { return s.reply(number, make([]byte, 8)) }

func (s *session) reply(number uint32, payload []byte) error {
	return s.conn.Send(header(number, flagVersion|flagReply, len(payload)), payload)
}

func header(number, flags uint32, size int) []byte {
	return appendHeader(make([]byte, 0, headerBytes), number, flags, size)
}

func appendHeader(h []byte, number, flags uint32, size int) []byte {
	h = le.AppendUint32(h, number)
	h = le.AppendUint32(h, flags)
	return le.AppendUint32(h, uint32(size))
}

func uint64Bytes(v uint64) []byte { return le.AppendUint64(nil, v) }
