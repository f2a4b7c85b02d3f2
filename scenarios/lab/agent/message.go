// Package agent is what runs inside a guest of the lab: its init, which puts the
// host's files and the network in place and runs commands. Host and guest exchange
// messages over one channel, a serial line or a virtio port.
package agent

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Kind says what a message is.
type Kind byte

// From the host:
const (
	KindSetup  Kind = 's' // Setup, once
	KindRun    Kind = 'r' // Command
	KindStdin  Kind = 'i' // bytes for a command; none: end of file
	KindKill   Kind = 'k' // ends a command and its children
	KindResize Kind = 'w' // Size
	KindHalt   Kind = 'h' // switches the guest off
	KindReboot Kind = 'b'
)

// From the guest:
const (
	KindHello  Kind = 'H' // the agent runs, and wants its Setup
	KindReady  Kind = 'R' // Ready, when everything is in place
	KindStdout Kind = 'O'
	KindStderr Kind = 'E'
	KindExit   Kind = 'X' // Exit
	KindBeat   Kind = 'B' // the guest is alive
)

// Message is one of them. Command is 0 for what belongs to none.
type Message struct {
	Kind    Kind
	Command uint16
	Data    []byte
}

const (
	headerBytes = 8
	// mark begins a message, so that a channel out of step is noticed at once.
	mark = 0xA5
	// MaxData bounds the data of a message.
	MaxData = 1 << 16
)

// Setup is what a guest is to be.
type Setup struct {
	Hostname string
	NICs     []NIC
	// Writable are folders of the host that the guest may change. Share is the
	// 9p tag of each, none on a kernel with hostfs.
	Writable []Writable
	// Path is appended to PATH: the lab's own programs.
	Path string
	// Self is this program on the host. Guests know it as nicsim.
	Self string
	Env  []string
	// Command, if there is one, is run as the guest's first and last, without a word
	// from the host, which would come at any time.
	Command *Command
	// Modules is the folder of the kernel's modules on the host, none for a kernel
	// without; Busybox is the program that loads them where the host has no other.
	Modules, Busybox string
	// Driver is a module that takes the adapters instead of their own driver. They
	// are no interfaces then.
	Driver string
}

// Writable is a folder of the host.
type Writable struct{ Path, Share string }

// NIC is an adapter as the guest is to present it.
type NIC struct {
	MAC   string
	Name  string
	NetNS string // none for the guest's first namespace
	Addrs []string
	// Link says that a carrier is waited for.
	Link bool
}

// Ready is what the guest has to say once it is.
type Ready struct {
	Release  string // of the kernel
	Problems []string
}

// Command is a program to run.
type Command struct {
	Args []string
	Dir  string
	Env  []string
	// Terminal asks for a terminal of this size, which the output of both kinds
	// comes from.
	Terminal *Size
}

// Size is a terminal's.
type Size struct{ Rows, Columns uint16 }

// Exit is what became of a command.
type Exit struct {
	Code  int    // 128 and the signal's number if one killed it
	Error string // why it did not start
}

// Encoder writes messages to a channel. Goroutines may share it.
type Encoder struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

// NewEncoder returns an encoder onto w.
func NewEncoder(w io.Writer) *Encoder { return &Encoder{w: w} }

// Send writes a message whose data is at most MaxData long.
func (e *Encoder) Send(k Kind, command uint16, data []byte) error {
	if len(data) > MaxData {
		return fmt.Errorf("agent: a message of %d bytes, at most %d fit", len(data), MaxData)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.buf = append(e.buf[:0], mark, byte(k))
	e.buf = binary.LittleEndian.AppendUint16(e.buf, command)
	e.buf = binary.LittleEndian.AppendUint32(e.buf, uint32(len(data)))
	e.buf = append(e.buf, data...)
	_, err := e.w.Write(e.buf)
	return err
}

// SendJSON writes a message whose data is v.
func (e *Encoder) SendJSON(k Kind, command uint16, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.Send(k, command, data)
}

// Decoder reads messages from a channel.
type Decoder struct{ r *bufio.Reader }

// NewDecoder returns a decoder of r.
func NewDecoder(r io.Reader) *Decoder { return &Decoder{bufio.NewReaderSize(r, MaxData)} }

// Next reads a message.
func (d *Decoder) Next() (Message, error) {
	var h [headerBytes]byte
	if _, err := io.ReadFull(d.r, h[:]); err != nil {
		return Message{}, err
	}
	n := binary.LittleEndian.Uint32(h[4:])
	if h[0] != mark || n > MaxData {
		return Message{}, fmt.Errorf("agent: the channel is out of step: %x", h)
	}
	m := Message{Kind: Kind(h[1]), Command: binary.LittleEndian.Uint16(h[2:]), Data: make([]byte, n)}
	_, err := io.ReadFull(d.r, m.Data)
	return m, err
}

// Decode reads the data of a message into v.
func (m Message) Decode(v any) error {
	if err := json.Unmarshal(m.Data, v); err != nil {
		return fmt.Errorf("agent: message %c: %w", m.Kind, err)
	}
	return nil
}
