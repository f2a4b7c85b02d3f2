//go:build linux

package vfiouser

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// What this server speaks (vfio-user, VFIO_USER_VERSION).
const (
	majorVersion = 0
	minorVersion = 1

	versionBytes = 4 // less the data
)

// What it can do, in terms of the specification's defaults, on which a client relies
// that does not mention them. QEMU takes no more than 16 descriptors for sense.
const (
	maxMessageFDs = 16
	maxDataBytes  = 1 << 20
	pageBytes     = 4096
)

// capabilities are what the peers tell each other of themselves. Those that a client
// leaves out have a default, and are left out of the reply, which must be a subset.
type capabilities struct {
	MaxMessageFDs *uint64 `json:"max_msg_fds,omitempty"`
	MaxDataBytes  *uint64 `json:"max_data_xfer_size,omitempty"`
	MaxDMAMaps    *uint64 `json:"max_dma_maps,omitempty"`
	PageSizes     *uint64 `json:"pgsizes,omitempty"`
	WriteMultiple *bool   `json:"write_multiple,omitempty"`
}

type versionData struct {
	Capabilities *capabilities `json:"capabilities,omitempty"`
}

// negotiate answers a client's VERSION, and returns how many bytes of data it takes
// in one message.
func negotiate(request []byte) (reply []byte, clientData int, err error) {
	major, minor := le.Uint16(request), le.Uint16(request[2:])
	if major != majorVersion {
		return nil, 0, fmt.Errorf("it speaks version %d.%d, this server %d.%d", major, minor, majorVersion, minorVersion)
	}
	reply = le.AppendUint16(nil, majorVersion)
	reply = le.AppendUint16(reply, min(minor, minorVersion))
	data := request[versionBytes:]
	clientData = maxDataBytes
	if len(data) == 0 {
		return reply, clientData, nil
	}
	text, ok := bytes.CutSuffix(data, []byte{0})
	if !ok || bytes.IndexByte(text, 0) >= 0 {
		return nil, 0, fmt.Errorf("its version data does not end with a zero byte")
	}
	var v versionData
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, 0, fmt.Errorf("its version data: %w", err)
	}
	if c := v.Capabilities; c != nil {
		if n := c.MaxDataBytes; n != nil {
			if *n == 0 {
				return nil, 0, fmt.Errorf("it takes no data (max_data_xfer_size)")
			}
			clientData = int(min(*n, maxDataBytes))
		}
		if p := c.PageSizes; p != nil && *p&pageBytes == 0 {
			return nil, 0, fmt.Errorf("its memory has no pages of %d bytes, but of %#x (pgsizes)", pageBytes, *p)
		}
		c.answer()
	}
	text, err = json.Marshal(v)
	return append(append(reply, text...), 0), clientData, err
}

// answer puts what the server has in place of what the client said.
func (c *capabilities) answer() {
	for _, f := range [...]struct {
		at    *uint64
		value uint64
	}{
		{c.MaxMessageFDs, maxMessageFDs}, {c.MaxDataBytes, maxDataBytes}, {c.MaxDMAMaps, maxDMAMaps}, {c.PageSizes, pageBytes},
	} {
		if f.at != nil {
			*f.at = f.value
		}
	}
}
