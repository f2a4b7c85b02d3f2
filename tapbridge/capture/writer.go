package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrFull is what the destination of NewLive returns when it has no room for a
// block and has taken nothing of it.
var ErrFull = errors.New("capture: no room for the block")

// flushBytes is how much a Writer collects before it writes.
const flushBytes = 64 << 10

// Writer writes pcapng: little-endian, times in nanoseconds, the same bytes
// for the same calls. It holds at most flushBytes and one block, and allocates
// nothing per packet. The first error ends it: later calls do nothing, and
// Flush and Close return it with the name of the capture.
type Writer struct {
	out    io.Writer
	closer io.Closer // nil if the destination is not ours to close
	name   string
	live   bool // one block, one Write
	err    error
	closed bool

	buf        []byte
	interfaces []writtenInterface
	described  uint32 // interface blocks written
	startNS    int64
	endNS      int64 // the latest time seen
}

type writtenInterface struct {
	Interface
	id        uint32 // in the section, if described
	described bool
	pending   uint64 // drops not yet told by an epb_dropcount
	missed    uint64 // of these, packets that a live destination had no room for
	received  uint64
	dropped   uint64
	comments  []string
}

// NewWriter starts a capture on w, which the Writer does not close. The name
// stands in errors.
func NewWriter(w io.Writer, name string, s Section) *Writer {
	return start(&Writer{out: w, name: name, buf: make([]byte, 0, flushBytes)}, s)
}

// NewLive starts a capture on w that someone may be watching: every packet is
// written at once, with one call of w.Write that holds whole blocks only. If w
// returns ErrFull the packet is lost and counted: the next one that finds room
// tells it in DropCount and in a comment.
func NewLive(w io.Writer, name string, s Section) *Writer {
	return start(&Writer{out: w, name: name, live: true}, s)
}

// Create starts a capture in a new file, which Close closes.
func Create(path string, s Section) (*Writer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	w := NewWriter(f, path, s)
	w.closer = f
	return w, nil
}

func start(w *Writer, s Section) *Writer {
	w.startNS, w.endNS = s.StartNS, s.StartNS
	w.buf = appendSection(w.buf, &s)
	if !w.settle() {
		w.fail(ErrFull) // a destination that cannot even take the head
	}
	return w
}

// AddInterface adds an interface and returns its number for Packet.Interface.
// It may be called at any time before the first packet of the interface.
func (w *Writer) AddInterface(i Interface) int {
	if len(w.interfaces) == maxInterfaces {
		w.fail(fmt.Errorf("more than %d interfaces", maxInterfaces))
		return 0
	}
	if i.LinkType == 0 {
		i.LinkType = LinkEthernet
	}
	if i.SnapBytes == 0 || i.SnapBytes > MaxPacketBytes {
		i.SnapBytes = MaxPacketBytes
	}
	w.interfaces = append(w.interfaces, writtenInterface{Interface: i})
	n := len(w.interfaces) - 1
	if w.usable() {
		w.describe(&w.interfaces[n])
		w.settleOn(&w.interfaces[n])
	}
	return n
}

// WritePacket writes one packet and keeps nothing of it. Its DropCount, which
// is 1 for a recorded frame that the adapter dropped, is added to what Drop has
// counted since the last packet of the interface.
func (w *Writer) WritePacket(p *Packet) {
	if !w.usable() {
		return
	}
	i := w.at(p.Interface)
	if i == nil {
		return
	}
	w.endNS = max(w.endNS, p.TimeNS)
	i.received++
	i.dropped += p.DropCount
	i.pending += p.DropCount
	w.describe(i)

	q := *p
	q.DropCount = i.pending
	if i.missed > 0 {
		q.Comments = append([]string{fmt.Sprintf("%d packets were not captured: the reader was too slow", i.missed)}, p.Comments...)
	}
	w.buf = appendPacket(w.buf, i.id, &q, int(i.SnapBytes))
	if w.settleOn(i) {
		i.pending, i.missed = 0, 0
		return
	}
	// The packet itself was lost, on top of the drops that it was to tell.
	if p.DropCount == 0 {
		i.dropped++
		i.pending++
	}
	i.missed++
}

// Drop counts n frames of an interface that were lost without a record.
func (w *Writer) Drop(iface int, n uint64) {
	if !w.usable() {
		return
	}
	if i := w.at(iface); i != nil {
		i.received += n
		i.dropped += n
		i.pending += n
	}
}

// Comment adds a comment to the statistics of an interface, written by Close.
// Beyond the 16 comments that a block may have they are ignored.
func (w *Writer) Comment(iface int, text string) {
	if !w.usable() {
		return
	}
	if i := w.at(iface); i != nil && len(i.comments) < maxComments {
		i.comments = append(i.comments, text)
	}
}

// Err returns the error that ended the Writer.
func (w *Writer) Err() error {
	if w.err == nil {
		return nil
	}
	return fmt.Errorf("capture: %s: %w", w.name, w.err)
}

// Flush writes what is buffered and returns the first error.
func (w *Writer) Flush() error {
	w.write()
	return w.Err()
}

// Close writes the statistics of each interface and what is buffered, closes
// the file if Create opened it, and returns the first error. Later calls
// return the same.
func (w *Writer) Close() error {
	if w.closed {
		return w.Err()
	}
	for n := range w.interfaces {
		i := &w.interfaces[n]
		if !w.usable() {
			break
		}
		w.describe(i)
		w.buf = appendStats(w.buf, i.id, &Stats{
			StartNS: w.startNS, EndNS: w.endNS,
			Received: i.received, Dropped: i.dropped,
			Comments: i.comments,
		})
		w.settleOn(i)
	}
	w.write()
	w.closed = true
	if w.closer != nil {
		if err := w.closer.Close(); err != nil {
			w.fail(err)
		}
	}
	w.buf = nil
	return w.Err()
}

func (w *Writer) usable() bool { return w.err == nil && !w.closed }

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *Writer) at(iface int) *writtenInterface {
	if iface < 0 || iface >= len(w.interfaces) {
		w.fail(fmt.Errorf("no interface %d, there are %d", iface, len(w.interfaces)))
		return nil
	}
	return &w.interfaces[iface]
}

// describe appends the interface's block if it has not been written yet. Its
// number in the section is its place among the blocks that were.
func (w *Writer) describe(i *writtenInterface) {
	if i.described {
		return
	}
	i.id = w.described
	w.buf = appendInterface(w.buf, &i.Interface)
}

// settleOn is settle for blocks that began with describe(i).
func (w *Writer) settleOn(i *writtenInterface) bool {
	if !w.settle() {
		return false
	}
	if !i.described {
		i.described = true
		w.described++
	}
	return true
}

// settle decides on the blocks just appended: a buffering Writer keeps them
// until there are enough, a live one writes them. It reports false if there
// was no room for them, and then they are as if they had never been.
func (w *Writer) settle() bool {
	if !w.live && len(w.buf) < flushBytes {
		return true
	}
	return w.write()
}

func (w *Writer) write() bool {
	if w.err != nil || len(w.buf) == 0 {
		return w.err == nil
	}
	n, err := w.out.Write(w.buf)
	if err == nil && n < len(w.buf) {
		err = io.ErrShortWrite
	}
	w.buf = w.buf[:0]
	switch {
	case err == nil:
		return true
	case w.live && errors.Is(err, ErrFull):
		return false
	}
	w.fail(err)
	return false
}
