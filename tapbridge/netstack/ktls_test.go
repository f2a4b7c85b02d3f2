package netstack

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/offloads/ktls"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/tapbridge/live"
	"nicsim.dev/tapbridge/pair"
)

const tlsPort = 443

// crypto is a TLS engine between an adapter's port and the wire: what the port sends in plain it
// encrypts, and what comes from the wire it decrypts, for one connection.
type crypto struct {
	port nicsim.Port
	wire nicsim.Wire
	pool *nicsim.Pool

	// mu guards what the driver and the stack have in common. The rest is of the loop.
	mu     sync.Mutex
	isn    [2]uint32 // of the port's end and of the other
	ready  bool
	tx     *ktls.Transmitter
	rx     *ktls.Receiver
	writer *ktls.Writer
	reader *ktls.Reader
	copies copies
	hints  bool // the stack tells where records begin, and is not asked
	detour bool // now and then packets come another way, past the engine
	came   int
	acked  uint32
	stale  int // segments that were dropped, as they were acknowledged meanwhile
	drops  int // and for other reasons
}

func (c *crypto) Attach(w nicsim.Wire) {
	c.wire = w
	if w == nil {
		c.port.Attach(nil)
		return
	}
	c.port.Attach(c)
}

func (c *crypto) SetCarrier(up bool) { c.port.SetCarrier(up) }

func (c *crypto) SetSignal(on bool) {
	if w, ok := c.wire.(nicsim.SignalWire); ok {
		w.SetSignal(on)
	}
}

func (c *crypto) Room() int { return c.wire.Room() }

// segment is a segment of the connection.
type segment struct {
	ip      header.IPv4
	tcp     header.TCP
	payload []byte
}

func parse(f *nicsim.Frame) (s segment, ok bool) {
	b := f.Data
	if f.Flags&nicsim.BadFCS != 0 || len(b) < 54 || header.Ethernet(b).Type() != header.IPv4ProtocolNumber {
		return s, false
	}
	s.ip = header.IPv4(b[14:])
	if s.ip.TransportProtocol() != header.TCPProtocolNumber || !s.ip.IsValid(len(b)-14) {
		return s, false
	}
	s.tcp = header.TCP(s.ip.Payload())
	if len(s.tcp) < header.TCPMinimumSize || int(s.tcp.DataOffset()) > len(s.tcp) || s.tcp.SourcePort() != tlsPort && s.tcp.DestinationPort() != tlsPort {
		return s, false
	}
	s.payload = s.tcp.Payload()
	return s, true
}

// sum writes the checksum.
func (s segment) sum() {
	s.tcp.SetChecksum(0)
	s.tcp.SetChecksum(^s.tcp.CalculateChecksum(checksum.Combine(
		header.PseudoHeaderChecksum(header.TCPProtocolNumber, s.ip.SourceAddress(), s.ip.DestinationAddress(), uint16(len(s.tcp))),
		checksum.Checksum(s.payload, 0))))
}

func (s segment) good() bool {
	return s.tcp.IsChecksumValid(s.ip.SourceAddress(), s.ip.DestinationAddress(), checksum.Checksum(s.payload, 0), uint16(len(s.payload)))
}

// Send encrypts.
func (c *crypto) Send(frames []*nicsim.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := frames[:0]
	for _, f := range frames {
		if c.send(f) {
			out = append(out, f)
		} else {
			c.pool.Put(f)
		}
	}
	c.wire.Send(out)
}

func (c *crypto) send(f *nicsim.Frame) bool {
	s, ok := parse(f)
	if !ok {
		return true
	}
	if s.tcp.Flags()&header.TCPFlagSyn != 0 {
		c.isn[0] = s.tcp.SequenceNumber()
	}
	if !c.ready || len(s.payload) == 0 {
		return true
	}
	seq := s.tcp.SequenceNumber()
	switch err := c.writer.Transmit(c.tx, seq, s.payload); {
	case err == nil:
		s.sum()
	case err == ktls.ErrEarly:
	case err == ktls.ErrNoRecord && int32(seq-c.acked) < 0:
		c.stale++
		return false
	default:
		c.drops++
		return false
	}
	return true
}

// Deliver decrypts.
func (c *crypto) Deliver(frames []*nicsim.Frame) {
	c.mu.Lock()
	for _, f := range frames {
		c.deliver(f)
	}
	c.mu.Unlock()
	c.port.Deliver(frames)
}

func (c *crypto) deliver(f *nicsim.Frame) {
	s, ok := parse(f)
	if !ok || !s.good() {
		return
	}
	if s.tcp.Flags()&header.TCPFlagSyn != 0 {
		c.isn[1] = s.tcp.SequenceNumber()
	}
	if !c.ready {
		return
	}
	if ack := s.tcp.AckNumber(); int32(ack-c.acked) > 0 {
		c.acked = ack
		c.writer.Acked(ack)
	}
	seq := s.tcp.SequenceNumber()
	var res ktls.Result
	c.came++
	if !c.detour || c.came%detourEach >= detourPackets {
		res = c.rx.Receive(seq, s.payload)
	}
	if res.Ask && !c.hints {
		c.reader.Ask(res.At)
	}
	c.copies.keep(seq, s.payload, res.Status == ktls.Decrypted)
	s.sum()
}

// A detour is longer than a record, so that the place of the next one is lost.
const (
	detourEach    = 3000
	detourPackets = 30
)

// copies is what Linux has in its socket buffers and gVisor has not: whether a byte came
// decrypted. It keeps the first copy of each byte until it is read, and has those that come
// later say the same, as it does not know which one TCP takes.
type copies struct {
	next  uint32 // the first byte that was not read
	bytes [copiesBytes]byte
	state [copiesBytes]uint8
}

const (
	copiesBytes = 16 << 20 // more than a receive window

	cipherByte = 1
	plainByte  = 2
)

func (c *copies) keep(seq uint32, payload []byte, decrypted bool) {
	state := uint8(cipherByte)
	if decrypted {
		state = plainByte
	}
	for i := range payload {
		if int32(seq+uint32(i)-c.next) < 0 {
			continue
		}
		at := (seq + uint32(i)) % copiesBytes
		if c.state[at] == 0 {
			c.bytes[at], c.state[at] = payload[i], state
		}
		payload[i] = c.bytes[at]
	}
}

// run returns how many of the next n bytes came alike, and how they came.
func (c *copies) run(n int) (int, bool) {
	first := c.state[c.next%copiesBytes]
	k := 0
	for k < n && c.state[(c.next+uint32(k))%copiesBytes] == first {
		k++
	}
	return k, first == plainByte
}

// read forgets the next n bytes.
func (c *copies) read(n int) {
	for range n {
		c.state[c.next%copiesBytes] = 0
		c.next++
	}
}

// counted is a connection that knows what went through it, and how it began.
type counted struct {
	net.Conn
	read, written int
	begin         [2][]byte // of what was read and what was written
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read += n
	c.begin[0] = append(c.begin[0], b[:n]...)
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written += n
	c.begin[1] = append(c.begin[1], b[:n]...)
	return n, err
}

// fastKey is a refmodel's key for the engine.
func fastKey(r refmodel.TLSKey) ktls.Key {
	k := ktls.Key{Secret: r.Secret, IV: r.IV}
	switch {
	case r.ChaCha20:
		k.Cipher = ktls.ChaCha20Poly1305
	case len(r.Secret) == 32:
		k.Cipher = ktls.AES256GCM
	}
	if r.TLS13 {
		k.Version = ktls.TLS13
	}
	return k
}

func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// offloaded is the end of a TLS connection behind the engine, after the handshake.
type offloaded struct {
	conn  *counted
	c     *crypto
	loop  *live.Loop
	turns chan<- struct{} // is told of each turnBytes that were read
}

// install hands the keys over.
func (o *offloaded) install(suite uint16, keyLog []byte, server bool, hints bool) error {
	hello := o.conn.begin[0]
	if server {
		hello = o.conn.begin[1]
	}
	rx, tx, err := refmodel.TLSKeys(suite, keyLog, hello)
	if err != nil {
		return err
	}
	if !server {
		rx, tx = tx, rx
	}
	number := uint64(1) // the Finished messages of TLS 1.2 are protected
	if rx.TLS13 {
		number = 0
	}
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	out, in := c.isn[0]+1+uint32(o.conn.written), c.isn[1]+1+uint32(o.conn.read)
	c.writer = ktls.NewWriter(fastKey(tx), out, number)
	c.tx, err = ktls.NewTransmitter(fastKey(tx), out, number)
	if err != nil {
		return err
	}
	if c.rx, err = ktls.NewReceiver(fastKey(rx), in, number); err != nil {
		return err
	}
	c.reader, err = ktls.NewReader(fastKey(rx), in, number)
	c.acked, c.copies.next, c.ready, c.hints = out, in, true, hints
	return err
}

// Write sends content in plain records: the engine does the rest.
func (o *offloaded) Write(b []byte) (n int, err error) {
	for n < len(b) {
		k := min(len(b)-n, ktls.MaxContentBytes)
		if err = o.frame(ktls.ApplicationData, b[n:n+k]); err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

func (o *offloaded) frame(typ uint8, content []byte) error {
	o.c.mu.Lock()
	record := o.c.writer.Frame(typ, content)
	o.c.mu.Unlock()
	_, err := o.conn.Conn.Write(record)
	return err
}

const turnBytes = 64 << 10

// receive reads records to the end of the stream.
func (o *offloaded) receive(sum hash.Hash) (total int64, err error) {
	buf := make([]byte, chunkBytes)
	turn := 0
	for {
		n, err := o.conn.Conn.Read(buf)
		if err != nil {
			return total, err
		}
		for b := buf[:n]; len(b) > 0; {
			o.c.mu.Lock()
			k, decrypted := o.c.copies.run(len(b))
			k = o.c.reader.Take(b[:k], decrypted)
			o.c.copies.read(k)
			b = b[k:]
			typ, content, err := o.c.reader.Next()
			seq, number, tell := o.c.reader.Answer()
			if o.c.hints && len(b) == 0 && n < len(buf) && err == nil {
				seq, number, tell = o.c.reader.Hint()
			}
			o.c.mu.Unlock()
			if tell {
				if err := o.loop.Do(func() { o.c.rx.Resync(seq, number) }); err != nil {
					return total, err
				}
			}
			switch {
			case err == ktls.ErrShort:
			case err != nil:
				return total, err
			case typ == ktls.Alert:
				if !bytes.Equal(content, []byte{1, 0}) {
					return total, fmt.Errorf("alert %x", content)
				}
				return total, nil
			case typ != ktls.ApplicationData:
				return total, fmt.Errorf("a record of type %d", typ)
			default:
				sum.Write(content)
				total += int64(len(content))
				turn += len(content)
				for ; turn >= turnBytes && o.turns != nil; turn -= turnBytes {
					o.turns <- struct{}{}
				}
			}
		}
	}
}

// TestTLSByTheAdapter has an unmodified crypto/tls talk to an end whose records an engine
// beside the adapter encrypts and decrypts, over a wire that loses, doubles and reorders.
func TestTLSByTheAdapter(t *testing.T) {
	size := int64(256 << 20)
	if testing.Short() {
		size = 32 << 20
	}
	const small = 16 << 20
	poor := pair.Impairment{Loss: 0.0005, Duplicate: 0.0005, Corrupt: 0.0002, Reorder: 0.001}
	for name, c := range map[string]struct {
		version uint16
		suites  []uint16 // of TLS 1.2
		server  bool     // the end behind the engine
		hints   bool     // the stack tells by itself where records begin, while the peer waits
		detour  bool
		imp     pair.Impairment
		bytes   int64
	}{
		"TLS 1.3, server":          {version: tls.VersionTLS13, server: true, detour: testing.Short(), imp: poor, bytes: size},
		"TLS 1.2, client":          {version: tls.VersionTLS12, suites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}, detour: true, imp: poor, bytes: small},
		"TLS 1.2, ChaCha20, hints": {version: tls.VersionTLS12, suites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}, server: true, hints: true, detour: true, imp: poor, bytes: small},
		"TLS 1.3, a perfect wire":  {version: tls.VersionTLS13, bytes: small},
	} {
		t.Run(name, func(t *testing.T) {
			loop := live.New()
			e := &crypto{detour: c.detour}
			drv := newCryptoAdapters(t, loop, e, c.imp)
			sa, sb := twoStacks(t, loop, drv[0], drv[1], EndpointConfig{Offloads: driver.AllOffloads})

			server, client := sa, sb
			if !c.server {
				server, client = sb, sa
			}
			at := netip.AddrPortFrom(server.Addr4(), tlsPort)
			ln, err := server.Listen(at)
			require.NoError(t, err)
			defer ln.Close()
			ctx := deadline(t)
			dialled, err := client.Dial(ctx, at)
			require.NoError(t, err)
			accepted, err := ln.Accept()
			require.NoError(t, err)
			for _, conn := range []net.Conn{dialled, accepted} {
				defer conn.Close()
				require.NoError(t, conn.SetDeadline(time.Now().Add(2*time.Minute)))
			}

			var keyLog bytes.Buffer
			near, far := &counted{Conn: accepted}, dialled
			if !c.server {
				near, far = &counted{Conn: dialled}, accepted
			}
			config := &tls.Config{
				Certificates: []tls.Certificate{selfSigned(t)}, InsecureSkipVerify: true, SessionTicketsDisabled: true,
				MinVersion: c.version, MaxVersion: c.version, CipherSuites: c.suites,
			}
			logged := config.Clone()
			logged.KeyLogWriter = &keyLog
			nearTLS, farTLS := tls.Server(near, logged), tls.Client(far, config)
			if !c.server {
				nearTLS, farTLS = tls.Client(near, logged), tls.Server(far, config)
			}
			shaken := make(chan error)
			go func() { shaken <- farTLS.HandshakeContext(ctx) }()
			require.NoError(t, nearTLS.HandshakeContext(ctx))
			require.NoError(t, <-shaken)

			turns := make(chan struct{}, 1<<20)
			o := &offloaded{conn: near, c: e, loop: loop}
			if c.hints {
				o.turns = turns
			}
			require.NoError(t, o.install(nearTLS.ConnectionState().CipherSuite, keyLog.Bytes(), c.server, c.hints))

			sums := map[string]hash.Hash{}
			for _, k := range []string{"near sent", "near got", "far sent", "far got"} {
				sums[k] = sha256.New()
			}
			var got [2]int64
			done := make(chan error, 4)
			begun := time.Now()
			go func() { // near sends
				err := newContent(1, 0).writeTo(io.MultiWriter(sums["near sent"], o), c.bytes)
				done <- errors.Join(err, o.frame(ktls.Alert, []byte{1, 0}))
			}()
			go func() { // far reads
				var err error
				got[1], err = io.CopyBuffer(sums["far got"], farTLS, make([]byte, chunkBytes))
				done <- err
			}()
			go func() { // far sends
				w := io.MultiWriter(sums["far sent"], farTLS)
				if !c.hints {
					err := newContent(2, 0).writeTo(w, c.bytes)
					done <- errors.Join(err, farTLS.CloseWrite())
					return
				}
				stream := newContent(2, 0)
				var err error
				for sent := int64(0); sent < c.bytes && err == nil; sent += turnBytes {
					err = stream.writeTo(w, turnBytes)
					select {
					case <-turns:
					case <-ctx.Done():
						err = errors.Join(err, ctx.Err())
					}
				}
				done <- errors.Join(err, farTLS.CloseWrite())
			}()
			go func() { // near reads
				var err error
				got[0], err = o.receive(sums["near got"])
				done <- err
			}()
			for range 4 {
				require.NoError(t, <-done)
			}
			elapsed := time.Since(begun)
			require.Equal(t, [2]int64{c.bytes, c.bytes}, got)
			require.Equal(t, sums["near sent"].Sum(nil), sums["far got"].Sum(nil))
			require.Equal(t, sums["far sent"].Sum(nil), sums["near got"].Sum(nil))

			e.mu.Lock()
			defer e.mu.Unlock()
			tx, rx, rd := e.tx.Stats(), e.rx.Stats(), e.reader.Stats()
			t.Logf("%d MiB each way in %v", c.bytes>>20, elapsed.Round(time.Millisecond))
			t.Logf("sent: %d packets encrypted, %d out of order, %d times resumed over %d KiB, %d dropped that were acknowledged",
				tx.EncryptedPackets, tx.OutOfOrder, tx.Resumes, tx.Replayed>>10, e.stale)
			var packets strings.Builder
			for s, n := range rx.Packets {
				packets.WriteString(fmt.Sprintf("%d %v, ", n, ktls.Status(s)))
			}
			t.Logf("received: packets %s%d searches, %d asked, %d resynced, %d answers too late",
				packets.String(), rx.Searches, rx.Asked, rx.Resynced, rx.ResyncSkipped)
			t.Logf("records: %d by the engine, %d mixed, %d by software", rd.Offloaded, rd.Mixed, rd.Software)
			require.Zero(t, e.drops)
			require.Zero(t, tx.Errors+rx.Errors)
			if c.imp == (pair.Impairment{}) {
				require.Zero(t, rd.Mixed+rd.Software)
				return
			}
			require.Positive(t, tx.Resumes)
			require.Positive(t, rx.Searches)
			require.Positive(t, rx.Resynced)
			require.Positive(t, rd.Mixed)
			require.Positive(t, rd.Software)
			require.Greater(t, rd.Offloaded, (rd.Mixed+rd.Software)/4)
		})
	}
}

// newCryptoAdapters returns two adapters back to back, with an engine at the first one's port.
func newCryptoAdapters(t testing.TB, loop *live.Loop, e *crypto, imp pair.Impairment) (drv [2]driver.Driver) {
	model, err := nicsim.Find("82599")
	require.NoError(t, err)
	e.pool = new(nicsim.Pool)
	var dev [2]nicsim.Device
	for i := range dev {
		dev[i], err = model.New(nicsim.Config{
			Name: string(rune('A' + i)), MAC: [6]byte{2, 0, 0, 0, 0, byte(i + 1)}, Clock: loop.Sim.Clock, Pool: e.pool,
		})
		require.NoError(t, err)
	}
	e.port = dev[0].Port()
	wire, err := pair.New(loop.Sim.Clock, e.pool, e, dev[1].Port(), imp, imp, 1)
	require.NoError(t, err)
	for i, d := range dev {
		fn := d.Functions()[0]
		drv[i], err = model.NewDriver(fn, fn.Memory, driver.Config{
			Queues: 2, RingSize: 1024, MTU: 1500, Offloads: driver.AllOffloads, FlowControl: true,
		})
		require.NoError(t, err)
	}
	loop.Sim.Add(wire, dev[0], dev[1])
	return drv
}
