//go:build linux

package tap

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netns"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	_ "nicsim.dev/nicsim/i82599"
	"nicsim.dev/scenarios/need"
)

// missing skips a test for what the host will not give, or fails it when nothing
// may be skipped.
func missing(t testing.TB, what error) {
	if need.Required() {
		t.Fatalf("%v, and NICSIM_REQUIRE=all", what)
	}
	t.Skip(what)
}

// inside runs f on a thread in a network namespace. The thread ends with it.
func inside(ns string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		h, err := netns.GetFromName(ns)
		if err == nil {
			defer h.Close()
			err = netns.Set(h)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

func in(t testing.TB, ns string, f func() error) {
	t.Helper()
	require.NoError(t, inside(ns, f))
}

// namespaces makes two network namespaces.
func namespaces(t testing.TB) [2]string {
	var names [2]string
	for i := range names {
		names[i] = fmt.Sprintf("nicsim-%d-%c", os.Getpid(), 'a'+i)
		done := make(chan error, 1)
		go func() {
			runtime.LockOSThread()
			h, err := netns.NewNamed(names[i])
			if err == nil {
				err = h.Close()
			}
			done <- err
		}()
		if err := <-done; err != nil {
			missing(t, fmt.Errorf("no network namespace: %w", err))
		}
		t.Cleanup(func() { require.NoError(t, netns.DeleteNamed(names[i])) })
		patientTCP(t, names[i])
	}
	return names
}

// patientTCP keeps TCP from sending again after mere silence, which on a busy
// machine proves nothing: no tail loss probes, and seconds until a time-out
// where the kernel has a setting for it. What is missing it still sends again.
func patientTCP(t testing.TB, ns string) {
	in(t, ns, func() error {
		const dir = "/proc/sys/net/ipv4/"
		if err := os.WriteFile(dir+"tcp_early_retrans", []byte("0"), 0); err != nil {
			return err
		}
		err := os.WriteFile(dir+"tcp_rto_min_us", []byte("5000000"), 0)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
}

// running is a link with its ends in two namespaces.
type running struct {
	*Link
	ns           [2]string
	addrs, addr6 [2]netip.Addr
	status       atomic.Pointer[Status]
	cancel       func()
	ended        chan error
}

// stop ends Run, as cancelling its context does.
func (r *running) stop(t testing.TB) {
	r.cancel()
	require.NoError(t, <-r.ended)
}

func start(t testing.TB, cfg LinkConfig) *running {
	need.Test(t, "tap", "netns")
	r := &running{ns: namespaces(t), ended: make(chan error, 1)}
	cfg.Model = "82599"
	for i := range cfg.Ends {
		r.addrs[i] = netip.AddrFrom4([4]byte{10, 9, 0, byte(i + 1)})
		r.addr6[i] = netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(i + 1)})
		cfg.Ends[i] = End{Name: fmt.Sprintf("nic%d%c", os.Getpid(), 'a'+i), NetNS: r.ns[i], Addrs: []netip.Prefix{
			netip.PrefixFrom(r.addrs[i], 24), netip.PrefixFrom(r.addr6[i], 64),
		}}
	}
	l, err := NewLink(cfg)
	if errors.Is(err, ErrUnavailable) {
		missing(t, err)
	}
	require.NoError(t, err)
	r.Link = l
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	go func() {
		r.ended <- l.Run(ctx, 100*time.Millisecond, func(s Status) { r.status.Store(&s) })
		close(r.ended)
	}()
	t.Cleanup(func() {
		r.stop(t)
		if t.Failed() {
			r.explain(t)
		}
		require.NoError(t, l.Close())
	})
	return r
}

// explain logs where packets may have gone.
func (r *running) explain(t testing.TB) {
	for i, d := range r.Devices {
		t.Logf("%s: %+v", r.ns[i], r.Bridges[i].Stats())
		d.Counters(func(c nicsim.Counter) {
			if c.Value > 0 && c.Queue < 0 {
				t.Logf("adapter %d: %v %s %d", i, c.Side, c.Name, c.Value)
			}
		})
		if link, err := handle(t, r.ns[i]).LinkByName(r.Bridges[i].dev.Name()); err == nil {
			t.Logf("interface %d: %+v", i, *link.Attrs().Statistics)
		}
		for name, v := range tcpCounters(t, r.ns[i]) {
			if v > 0 {
				t.Logf("kernel %d: %s %d", i, name, v)
			}
		}
	}
}

func (r *running) drivers(t testing.TB) (s [2]driver.Stats) {
	require.NoError(t, r.Loop.Do(func() { s = [2]driver.Stats{r.Drivers[0].Stats(), r.Drivers[1].Stats()} }))
	return s
}

// tcpCounters reads the kernel's TCP counters of a namespace.
func tcpCounters(t testing.TB, ns string) map[string]uint64 {
	out := map[string]uint64{}
	in(t, ns, func() error {
		for _, file := range []string{"snmp", "netstat"} {
			f, err := os.Open("/proc/thread-self/net/" + file)
			if err != nil {
				return err
			}
			lines := bufio.NewScanner(f)
			for lines.Scan() {
				names := strings.Fields(lines.Text())
				if !lines.Scan() {
					break
				}
				for i, v := range strings.Fields(lines.Text()) {
					if n, err := strconv.ParseUint(v, 10, 64); err == nil {
						out[names[0]+names[i]] = n
					}
				}
			}
			f.Close()
		}
		return nil
	})
	return out
}

// patience bounds a transfer: 1 GiB at 100 Mbit/s.
const patience = 90 * time.Second

// transfer sends size random bytes from the first namespace to an address of
// the second.
func (r *running) transfer(t testing.TB, size int64, to netip.Addr) {
	start := time.Now()
	require.NoError(t, r.move(0, size, to))
	t.Logf("%.2f Gbit/s", float64(size)*8/time.Since(start).Seconds()/1e9)
}

// move sends size random bytes from one namespace to an address of the other,
// and compares their SHA-256.
func (r *running) move(from int, size int64, to netip.Addr) error {
	var ln net.Listener
	if err := inside(r.ns[1-from], func() (err error) {
		ln, err = net.Listen("tcp", netip.AddrPortFrom(to, 0).String())
		return err
	}); err != nil {
		return err
	}
	defer ln.Close()
	got := make(chan []byte, 1)
	failed := make(chan error, 1)
	go func() {
		sum, err := receive(ln)
		failed <- err
		got <- sum
	}()
	var conn net.Conn
	if err := inside(r.ns[from], func() (err error) {
		conn, err = net.DialTimeout("tcp", ln.Addr().String(), patience)
		return err
	}); err != nil {
		return err
	}
	sum, err := send(conn, size)
	if err := errors.Join(err, <-failed); err != nil {
		return err
	}
	if other := <-got; !bytes.Equal(sum, other) {
		return fmt.Errorf("sent bytes with the sum %x, received %x", sum, other)
	}
	return nil
}

const chunkBytes = 256 << 10

func receive(ln net.Listener) ([]byte, error) {
	conn, err := ln.Accept()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	sum := sha256.New()
	// The wrappers keep the copy in this process.
	_, err = io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{conn}, make([]byte, chunkBytes))
	return sum.Sum(nil), err
}

func send(conn net.Conn, size int64) ([]byte, error) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	rng, sum := rand.NewChaCha8([32]byte{1}), sha256.New()
	chunk := make([]byte, chunkBytes)
	for size > 0 {
		chunk = chunk[:min(size, chunkBytes)]
		// Neither of the two fails.
		_, _ = rng.Read(chunk)
		_, _ = sum.Write(chunk)
		if _, err := conn.Write(chunk); err != nil {
			return nil, err
		}
		size -= int64(len(chunk))
	}
	return sum.Sum(nil), nil
}
