//go:build linux

package umlpci

import (
	"errors"
	"fmt"
)

// Feature bits, of the device and of the protocol.
const (
	featureProtocol = 1 << 30 // VHOST_USER_F_PROTOCOL_FEATURES
	featureVersion1 = 1 << 32 // VIRTIO_F_VERSION_1

	protocolReplyAck = 1 << 3
	protocolSlave    = 1 << 5  // a channel for our requests
	protocolConfig   = 1 << 9  // device configuration, of which there is none
	protocolInBand   = 1 << 14 // notifications are messages

	// offered leaves out indirect descriptors, for which the guest would allocate
	// a table for each access, and the event index, which says less than a flag
	// when rings are polled.
	offered         = featureProtocol | featureVersion1
	offeredProtocol = protocolReplyAck | protocolSlave | protocolConfig | protocolInBand
	// requiredProtocol is what there is no other way for: eventfds are not known
	// here, since their order among the messages is not.
	requiredProtocol = protocolSlave | protocolInBand
)

func (s *session) setOwner(_ []byte, _ []int) error {
	if s.owned {
		return errors.New("the device has its owner")
	}
	s.owned = true
	return nil
}

func (s *session) getFeatures(_ []byte) ([]byte, error) { return uint64Bytes(offered), nil }

func (s *session) getProtocolFeatures(_ []byte) ([]byte, error) {
	return uint64Bytes(offeredProtocol), nil
}

func (s *session) setProtocolFeatures(p []byte, _ []int) error {
	v := le.Uint64(p)
	switch {
	case !s.owned:
		return errors.New("ahead of SET_OWNER")
	case v&^offeredProtocol != 0:
		return fmt.Errorf("%#x has bits that were not offered", v)
	case v&requiredProtocol != requiredProtocol:
		return fmt.Errorf("%#x lacks in-band notifications or the channel for them", v)
	case s.running():
		return errors.New("while a ring is enabled")
	}
	s.protocol = v
	return nil
}

func (s *session) setFeatures(p []byte, _ []int) error {
	v := le.Uint64(p)
	switch {
	case s.protocol == 0:
		return errors.New("ahead of SET_PROTOCOL_FEATURES")
	case v&^uint64(offered) != 0:
		return fmt.Errorf("%#x has bits that were not offered", v)
	case v&featureVersion1 == 0:
		return fmt.Errorf("%#x lacks VIRTIO_F_VERSION_1", v)
	case s.running():
		return errors.New("while a ring is enabled")
	}
	s.features = v
	return nil
}

// getConfig answers with zeroes: the device has no configuration, but the message
// says how much is asked for (offset, size, flags, then the bytes).
func (s *session) getConfig(p []byte) ([]byte, error) {
	if err := checkConfig(p); err != nil {
		return nil, err
	}
	answer := make([]byte, len(p))
	copy(answer, p[:12])
	return answer, nil
}

func (s *session) setConfig(p []byte, _ []int) error { return checkConfig(p) }

func checkConfig(p []byte) error {
	if len(p) < 12 || int64(len(p)-12) != int64(le.Uint32(p[4:])) {
		return fmt.Errorf("%d bytes of payload do not hold what they announce", len(p))
	}
	return nil
}
