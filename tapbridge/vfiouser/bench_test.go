//go:build linux

package vfiouser

import (
	"io"
	"net"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// blocking is a connection outside Go's poller, as another process would use it.
func blocking(b *testing.B, c net.Conn) *os.File {
	f, err := c.(*net.UnixConn).File()
	require.NoError(b, err)
	require.NoError(b, unix.SetNonblock(int(f.Fd()), false))
	b.Cleanup(func() { f.Close() })
	return f
}

// roundTrips measures sending request and reading reply bytes.
func roundTrips(b *testing.B, conn net.Conn, request []byte, reply int) {
	fd := int(blocking(b, conn).Fd())
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	in := make([]byte, reply)
	for b.Loop() {
		unix.Write(fd, request)
		if n, err := unix.Read(fd, in); n != reply {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
}

// bareRoundTrips is what a round trip costs on this machine: the same bytes through a
// socket and back, with nothing behind it.
func bareRoundTrips(b *testing.B, request, reply int) {
	l, err := net.Listen("unix", b.TempDir()+"/s")
	require.NoError(b, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		in, out := make([]byte, request), make([]byte, reply)
		for {
			if _, err := io.ReadFull(c, in); err != nil {
				return
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}()
	c, err := net.Dial("unix", l.Addr().String())
	require.NoError(b, err)
	defer c.Close()
	roundTrips(b, c, make([]byte, request), reply)
}

func BenchmarkReads(b *testing.B) {
	b.Run("served", func(b *testing.B) {
		_, _, c := rigged(b)
		c.master()
		request := make([]byte, headerBytes)
		header{1, cmdRegionRead, 32, 0, 0}.put(request)
		request = append(request, put(&regionAccess{cpDone, 0, 4}, 16)...)
		roundTrips(b, c.conn, request, 36)
	})
	b.Run("reference", func(b *testing.B) { bareRoundTrips(b, 32, 36) })
}

// BenchmarkPostedWrites is of writes that nobody waits for, sent as QEMU does, each with
// a system call, and in one piece.
func BenchmarkPostedWrites(b *testing.B) {
	write := make([]byte, headerBytes)
	header{1, cmdRegionWrite, 36, noReply, 0}.put(write)
	write = append(write, put(&regionAccess{cpTo, 0, 4}, 16, 1, 2, 3, 4)...)
	for name, batch := range map[string]int{"single": 1, "batched": 64} {
		b.Run(name, func(b *testing.B) {
			_, _, c := rigged(b)
			c.master()
			var buf []byte
			for range batch {
				buf = append(buf, write...)
			}
			n := 0
			for b.Loop() {
				c.conn.Write(buf)
				n += batch
			}
			c.read32(0, cpTo)
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}

// BenchmarkAccess is the server's own share: no socket.
func BenchmarkAccess(b *testing.B) {
	s := &session{fn: newCopier(b).fn, agreed: true}
	s.fn.ConfigWrite([]byte{6, 0}, 4)
	p := put(&regionAccess{cpTo, 0, 4}, 16, 1, 2, 3, 4)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.dispatch(header{cmd: cmdRegionWrite}, p); err != nil {
			b.Fatal(err)
		}
		if _, err := s.dispatch(header{cmd: cmdRegionRead}, p[:16]); err != nil {
			b.Fatal(err)
		}
	}
}
