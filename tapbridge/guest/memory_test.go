//go:build linux

package guest

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/sim"
)

const page = 4096

func memfd(t testing.TB, n int64) int {
	fd, err := unix.MemfdCreate("shared", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	require.NoError(t, unix.Ftruncate(fd, n))
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func mappings(t testing.TB) int {
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return bytes.Count(maps, []byte("memfd:shared"))
}

func TestMap(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	conn := r.last.conn
	fd := memfd(t, 4*page)
	b, err := conn.Map(fd, page, 2*page, true)
	require.NoError(t, err)
	copy(b, "shared")
	got := make([]byte, 6)
	_, err = unix.Pread(fd, got, page)
	require.NoError(t, err)
	require.Equal(t, "shared", string(got))
	read, err := conn.Map(fd, page, page, false)
	require.NoError(t, err)
	require.Equal(t, "shared", string(read[:6]))
	require.Equal(t, 2, r.host.mappings)
	require.Equal(t, 2, mappings(t))
	conn.Unmap(read)
	conn.Unmap(read) // it is gone already
	require.Equal(t, 1, mappings(t))
	c.Close()
	r.until(func() bool { return !r.server.Connected() })
	require.Zero(t, mappings(t))
	require.Zero(t, r.host.mappings)
}

func TestMapRefuses(t *testing.T) {
	r := newRig(t)
	r.connect()
	conn := r.last.conn
	fd := memfd(t, 4*page)
	for _, bad := range []struct {
		fd     int
		off, n uint64
		want   string
	}{
		{-1, 0, page, "bad file descriptor"},
		{eventFD(t), 0, page, "regular file"},
		{fd, 0, 0, "not whole pages"},
		{fd, 1, page, "not whole pages"},
		{fd, 0, page + 1, "not whole pages"},
		{fd, 0, 5 * page, "more than the file has"},
		{fd, ^uint64(page - 1), 2 * page, "more than the file has"},
		{fd, page, ^uint64(page - 1), "more than the file has"},
	} {
		_, err := conn.Map(bad.fd, bad.off, bad.n, true)
		require.ErrorContains(t, err, bad.want)
	}
	require.Zero(t, mappings(t))

	huge := memfd(t, 1<<41)
	for range 2 {
		_, err := conn.Map(huge, 0, 1<<41, true)
		require.NoError(t, err)
	}
	_, err := conn.Map(huge, 0, page, true)
	require.ErrorIs(t, err, ErrTooMuch)
}

func TestMapsOfAllClientsAreBounded(t *testing.T) {
	r := newRig(t)
	r.connect()
	r.host.mappings = maxMappingsOfAll - 1
	fd := memfd(t, page)
	b, err := r.last.conn.Map(fd, 0, page, true)
	require.NoError(t, err)
	_, err = r.last.conn.Map(fd, 0, page, true)
	require.ErrorIs(t, err, ErrTooMuch)
	r.last.conn.Unmap(b)
	_, err = r.last.conn.Map(fd, 0, page, true)
	require.NoError(t, err)
}

// Memory that goes from under the adapter ends the session that shared it. The session
// is closed with empty memory in that place, for the adapter may still have some to
// put in order.
func TestVanishedMemoryEndsItsSession(t *testing.T) {
	r := newRig(t)
	other := r.path + "2"
	bystander := r.listen("nic1", other)
	path := r.path
	r.path = other
	r.dial()
	r.until(bystander.Connected)
	r.path = path
	r.connect()
	fd := memfd(t, page)
	mem, err := r.last.conn.Map(fd, 0, page, true)
	require.NoError(t, err)
	turns := 0
	r.host.Add(sim.StepFunc(func(int) int {
		mem[0]++
		turns++
		return 0
	}))
	r.host.Step(1)
	require.Equal(t, 1, turns)
	r.last.closing = func() { mem[1] = 1 }
	require.NoError(t, unix.Ftruncate(fd, 0))
	closed := r.last
	require.Positive(t, r.host.Step(1), "others had no turn, so it is not idle")
	require.Equal(t, 1, closed.closed)
	require.Contains(t, r.logged(), "is gone")
	require.False(t, r.server.Connected())
	require.True(t, bystander.Connected())
	require.Zero(t, mappings(t))
	mem = make([]byte, page)
	r.host.Step(1)
	require.Equal(t, 2, turns)
}

// What is not a client's fault is a panic.
func TestOtherPanicsGoOn(t *testing.T) {
	r := newRig(t)
	r.connect()
	require.PanicsWithValue(t, "ours", func() { r.host.Guard(func() { panic("ours") }) })
	gone, err := unix.Mmap(-1, 0, page, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	require.NoError(t, unix.Mprotect(gone, unix.PROT_NONE))
	require.Panics(t, func() { r.host.Guard(func() { gone[0]++ }) })
	require.True(t, r.host.Guard(func() {}))
}
