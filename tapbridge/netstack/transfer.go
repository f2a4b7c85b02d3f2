package netstack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Host is a TCP/IP stack as the ends of a transfer see it: a Stack, or that of
// the host's kernel.
type Host interface {
	Listen(at netip.AddrPort) (net.Listener, error)
	Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// TransferConfig is a transfer of files over HTTP from one stack to another.
type TransferConfig struct {
	Server, Client Host
	// At is where the server listens.
	At netip.AddrPort
	// Bytes is what all streams transfer together.
	Bytes int64
	// Streams is the number of connections that share it; 0 means 1.
	Streams int
	Seed    uint64 // of the content
}

// TransferResult is what became of a transfer.
type TransferResult struct {
	Bytes   int64 // received
	Elapsed time.Duration
	Streams []StreamResult
}

// StreamResult compares what one stream was to carry with what arrived.
type StreamResult struct {
	Bytes      int64
	Sent, Got  [sha256.Size]byte
	ServerSide string // address and port, as the client dialled it
	ClientSide string
}

// Equal says whether every stream carried its bytes unharmed.
func (r *TransferResult) Equal() bool {
	for _, s := range r.Streams {
		if s.Sent != s.Got {
			return false
		}
	}
	return len(r.Streams) > 0
}

// BitsPerSecond is the rate of payload.
func (r *TransferResult) BitsPerSecond() float64 {
	return float64(r.Bytes) * 8 / r.Elapsed.Seconds()
}

// chunkBytes is what the server writes and the client reads at once.
const chunkBytes = 256 << 10

// content is an endless stream of bytes that a seed and a stream's number
// determine: a random chunk over and over, each time with its count in front,
// so that a chunk lost, doubled or moved changes the sum.
type content struct {
	chunk []byte
	count uint64
	left  []byte
}

func newContent(seed uint64, stream int) *content {
	rng := rand.New(rand.NewPCG(seed, uint64(stream)))
	c := &content{chunk: make([]byte, chunkBytes)}
	for i := 0; i < len(c.chunk); i += 8 {
		v := rng.Uint64()
		for k := range 8 {
			c.chunk[i+k] = byte(v >> (8 * k))
		}
	}
	return c
}

// next returns at most n bytes, which are valid until the next call.
func (c *content) next(n int64) []byte {
	if len(c.left) == 0 {
		c.count++
		for k := range 8 {
			c.chunk[k] = byte(c.count >> (8 * k))
		}
		c.left = c.chunk
	}
	out := c.left[:min(n, int64(len(c.left)))]
	c.left = c.left[len(out):]
	return out
}

// writeTo writes the first n bytes to w.
func (c *content) writeTo(w io.Writer, n int64) error {
	for n > 0 {
		b := c.next(n)
		if _, err := w.Write(b); err != nil {
			return err
		}
		n -= int64(len(b))
	}
	return nil
}

// Transfer serves random files over HTTP on one stack and fetches them on the
// other, and compares their SHA-256. An error means that it did not come to an
// end; check Equal besides.
func Transfer(ctx context.Context, cfg TransferConfig) (*TransferResult, error) {
	streams := max(cfg.Streams, 1)
	result := &TransferResult{Streams: make([]StreamResult, streams)}
	for i := range result.Streams {
		s := &result.Streams[i]
		s.Bytes = cfg.Bytes*int64(i+1)/int64(streams) - cfg.Bytes*int64(i)/int64(streams)
		sum := sha256.New()
		if err := newContent(cfg.Seed, i).writeTo(sum, s.Bytes); err != nil {
			return nil, err
		}
		sum.Sum(s.Sent[:0])
	}

	ln, err := cfg.Server.Listen(cfg.At)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil || i < 0 || i >= streams {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(result.Streams[i].Bytes, 10))
		// A failed write shows as a short body on the other side.
		_ = newContent(cfg.Seed, i).writeTo(w, result.Streams[i].Bytes)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()

	ctx, cancel := context.WithCancel(ctx)
	start := time.Now()
	failures := make(chan error, streams)
	for i := range streams {
		go func() {
			err := fetch(ctx, cfg.Client, cfg.At, i, &result.Streams[i])
			if err != nil {
				err = fmt.Errorf("stream %d: %w", i, err)
				cancel()
			}
			failures <- err
		}()
	}
	for range streams {
		err = errors.Join(err, <-failures)
	}
	result.Elapsed = time.Since(start)
	cancel()
	err = errors.Join(err, server.Close())
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	for _, s := range result.Streams {
		result.Bytes += s.Bytes
	}
	return result, err
}

// fetch gets one file over a connection of its own.
func fetch(ctx context.Context, client Host, at netip.AddrPort, i int, out *StreamResult) error {
	conn, err := client.Dial(ctx, at)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	out.ServerSide, out.ClientSide = conn.RemoteAddr().String(), conn.LocalAddr().String()
	transport := &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives: true,
		ReadBufferSize:    chunkBytes,
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/%d", at, i), nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	sum := sha256.New()
	buf := make([]byte, chunkBytes)
	got := int64(0)
	for {
		n, err := resp.Body.Read(buf)
		got += int64(n)
		sum.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", got, out.Bytes, err)
		}
	}
	sum.Sum(out.Got[:0])
	if got != out.Bytes {
		return fmt.Errorf("%s: %d bytes instead of %d", resp.Status, got, out.Bytes)
	}
	return nil
}
