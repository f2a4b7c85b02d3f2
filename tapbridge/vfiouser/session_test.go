//go:build linux

package vfiouser

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestNegotiation(t *testing.T) {
	all := `{"capabilities":{"max_msg_fds":16,"max_data_xfer_size":1048576,"max_dma_maps":8192,"pgsizes":4096,"write_multiple":true}}`
	for _, c := range []struct {
		name, data, want string
		minor, wantMinor uint16
		piece            int
	}{
		{"QEMU", qemuCapabilities, all, 0, 0, maxDataBytes},
		{"newer", qemuCapabilities, all, 7, 1, maxDataBytes},
		{"no data", "", "", 1, 1, maxDataBytes},
		{"no capabilities", "{}", "{}", 1, 1, maxDataBytes},
		{"a subset", `{"capabilities":{"max_msg_fds":2,"twin_socket":{"supported":true}},"x":1}`, `{"capabilities":{"max_msg_fds":16}}`, 1, 1, maxDataBytes},
		{"small pieces", `{"capabilities":{"max_data_xfer_size":512}}`, `{"capabilities":{"max_data_xfer_size":1048576}}`, 1, 1, 512},
		{"no multiple writes", `{"capabilities":{"write_multiple":false}}`, `{"capabilities":{"write_multiple":false}}`, 1, 1, maxDataBytes},
	} {
		t.Run(c.name, func(t *testing.T) {
			reply, piece, err := negotiate(versionRequest(0, c.minor, c.data))
			require.NoError(t, err)
			require.Equal(t, string(versionRequest(0, c.wantMinor, c.want)), string(reply))
			require.Equal(t, c.piece, piece)
		})
	}
}

func TestNegotiationFails(t *testing.T) {
	for name, request := range map[string][]byte{
		"major version":  versionRequest(1, 0, ""),
		"malformed":      versionRequest(0, 0, `{"capabilities":`),
		"not an object":  versionRequest(0, 0, `[1]`),
		"wrong type":     versionRequest(0, 0, `{"capabilities":{"max_msg_fds":"many"}}`),
		"negative":       versionRequest(0, 0, `{"capabilities":{"max_data_xfer_size":-1}}`),
		"no data":        versionRequest(0, 0, `{"capabilities":{"max_data_xfer_size":0}}`),
		"no small pages": versionRequest(0, 0, `{"capabilities":{"pgsizes":2097152}}`),
		"unterminated":   append(versionRequest(0, 0, "{}"), '{'),
		"two texts":      append(versionRequest(0, 0, "{}"), versionRequest(0, 0, "{}")[4:]...),
		"too short":      {0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			_, path := r.serve("nic0")
			r.run()
			c := dial(t, path)
			_, errno := c.call(cmdVersion, request)
			require.Equal(t, unix.EINVAL, errno)
			c.ended()
			r.logged("client cut off")
			connect(t, path)
		})
	}
}

func TestDeviceInfo(t *testing.T) {
	_, _, c := rigged(t)
	require.Equal(t, put(&deviceInfo{16, 3, 9, 5}, 16), c.must(cmdGetInfo, put(&deviceInfo{argsz: 16}, 16)))
	require.Equal(t, put(&deviceInfo{16, 3, 9, 5}, 16), c.must(cmdGetInfo, put(&deviceInfo{argsz: 4096}, 16)))
	_, errno := c.call(cmdGetInfo, put(&deviceInfo{argsz: 15}, 16))
	require.Equal(t, unix.EINVAL, errno)
}

func TestErrorsOfRequestsAreReplies(t *testing.T) {
	r, _, c := rigged(t)
	for name, q := range map[string]struct {
		cmd     command
		payload []byte
		want    unix.Errno
	}{
		"region info: small":        {cmdGetRegionInfo, put(&regionInfo{argsz: 31}, 32), unix.EINVAL},
		"region info: none":         {cmdGetRegionInfo, put(&regionInfo{argsz: 32, index: 9}, 32), unix.EINVAL},
		"I/O fds: small":            {cmdGetRegionIOFDs, put(&indexInfo{argsz: 15}, 16), unix.EINVAL},
		"I/O fds: none":             {cmdGetRegionIOFDs, put(&indexInfo{argsz: 16, index: 9}, 16), unix.EINVAL},
		"I/O fds: flags":            {cmdGetRegionIOFDs, put(&indexInfo{argsz: 16, flags: 1}, 16), unix.EINVAL},
		"IRQ info: small":           {cmdGetIRQInfo, put(&indexInfo{argsz: 15}, 16), unix.EINVAL},
		"IRQ info: none":            {cmdGetIRQInfo, put(&indexInfo{argsz: 16, index: 5}, 16), unix.EINVAL},
		"read: region":              {cmdRegionRead, put(&regionAccess{0, 9, 4}, 16), unix.EINVAL},
		"read: no ROM":              {cmdRegionRead, put(&regionAccess{0, 6, 4}, 16), unix.EINVAL},
		"read: upper half":          {cmdRegionRead, put(&regionAccess{0, 1, 4}, 16), unix.EINVAL},
		"read: beyond":              {cmdRegionRead, put(&regionAccess{4093, 0, 4}, 16), unix.EINVAL},
		"read: wraps":               {cmdRegionRead, put(&regionAccess{^uint64(0), 0, 4}, 16), unix.EINVAL},
		"read: huge":                {cmdRegionRead, put(&regionAccess{0, 0, ^uint32(0)}, 16), unix.EINVAL},
		"write: beyond":             {cmdRegionWrite, put(&regionAccess{4096, 0, 4}, 16, 1, 2, 3, 4), unix.EINVAL},
		"write: more data":          {cmdRegionWrite, put(&regionAccess{0, 0, 4}, 16, 1, 2, 3, 4, 5), unix.EINVAL},
		"multi: region":             {cmdRegionWriteMulti, append(le.AppendUint64(nil, 1), put(&regionAccess{0, 9, 4}, 24)...), unix.EINVAL},
		"multi: long":               {cmdRegionWriteMulti, append(le.AppendUint64(nil, 1), put(&regionAccess{0, 0, 9}, 24)...), unix.EINVAL},
		"IRQs: small":               {cmdSetIRQs, put(&irqSet{19, irqDataNone | irqActionTrigger, 0, 0, 1}, 20), unix.EINVAL},
		"IRQs: index":               {cmdSetIRQs, irqRequestOf(5, 0, 1, irqDataNone|irqActionTrigger), unix.EINVAL},
		"IRQs: range":               {cmdSetIRQs, irqRequestOf(2, copierVectors, 1, irqDataNone|irqActionTrigger), unix.EINVAL},
		"IRQs: range wraps":         {cmdSetIRQs, irqRequestOf(2, ^uint32(0), 2, irqDataNone|irqActionTrigger), unix.EINVAL},
		"IRQs: two data":            {cmdSetIRQs, irqRequestOf(2, 0, 1, irqDataNone|irqDataBool|irqActionTrigger), unix.EINVAL},
		"IRQs: two actions":         {cmdSetIRQs, irqRequestOf(0, 0, 1, irqDataNone|irqActionMask|irqActionTrigger), unix.EINVAL},
		"IRQs: no action":           {cmdSetIRQs, irqRequestOf(0, 0, 1, irqDataNone), unix.EINVAL},
		"IRQs: unknown flag":        {cmdSetIRQs, irqRequestOf(0, 0, 1, 1<<6|irqDataNone|irqActionTrigger), unix.EINVAL},
		"IRQs: none to mask":        {cmdSetIRQs, irqRequestOf(0, 0, 0, irqDataNone|irqActionMask), unix.EINVAL},
		"IRQs: none from 1":         {cmdSetIRQs, irqRequestOf(2, 1, 0, irqDataNone|irqActionTrigger), unix.EINVAL},
		"IRQs: MSI-X mask":          {cmdSetIRQs, irqRequestOf(2, 0, 1, irqDataNone|irqActionMask), unix.ENOTSUP},
		"IRQs: unmask eventfd":      {cmdSetIRQs, irqRequestOf(0, 0, 1, irqDataEventFD|irqActionUnmask), unix.ENOTSUP},
		"map: argsz":                {cmdDMAMap, put(&dmaMap{31, 3, 0, 0, 4096}, 32), unix.EINVAL},
		"map: no access":            {cmdDMAMap, put(&dmaMap{32, 0, 0, 0, 4096}, 32), unix.EINVAL},
		"map: flags":                {cmdDMAMap, put(&dmaMap{32, 7, 0, 0, 4096}, 32), unix.EINVAL},
		"map: nothing":              {cmdDMAMap, put(&dmaMap{32, 3, 0, 0, 0}, 32), unix.EINVAL},
		"map: parts of pages":       {cmdDMAMap, put(&dmaMap{32, 3, 0, 4097, 4096}, 32), unix.EINVAL},
		"map: offset in no file":    {cmdDMAMap, put(&dmaMap{32, 3, 4096, 0, 4096}, 32), unix.EINVAL},
		"unmap: argsz":              {cmdDMAUnmap, put(&dmaUnmap{23, 0, 0, 4096}, 24), unix.EINVAL},
		"unmap: not mapped":         {cmdDMAUnmap, put(&dmaUnmap{24, 0, 0, 4096}, 24), unix.ENOENT},
		"unmap: dirty bitmap":       {cmdDMAUnmap, put(&dmaUnmap{24, 1, 0, 4096}, 24), unix.ENOTSUP},
		"unmap: flags":              {cmdDMAUnmap, put(&dmaUnmap{24, 4, 0, 4096}, 24), unix.EINVAL},
		"unmap: all and some":       {cmdDMAUnmap, put(&dmaUnmap{24, 2, 0, 4096}, 24), unix.EINVAL},
		"the server's own command":  {cmdDMARead, make([]byte, 16), unix.ENOTSUP},
		"DIRTY_PAGES":               {14, make([]byte, 16), unix.ENOTSUP},
		"DEVICE_FEATURE":            {16, make([]byte, 16), unix.ENOTSUP},
		"a command that is not one": {999, nil, unix.ENOTSUP},
	} {
		_, errno := c.call(q.cmd, q.payload)
		require.Equal(t, q.want, errno, name)
	}
	c.must(cmdGetInfo, put(&deviceInfo{argsz: 16}, 16))
	require.Equal(t, maxRefusalsLogged, strings.Count(r.log.String(), "request refused"), "a client cannot fill the log")
	c.conn.Close()
	r.logged("more requests were refused")
}

// What breaks the protocol ends the session, with the reason in the log.
func TestViolationsEndTheSession(t *testing.T) {
	raw := func(h header, payload ...byte) func(*client) {
		return func(c *client) {
			b := make([]byte, headerBytes)
			h.put(b)
			c.raw(append(b, payload...))
		}
	}
	command := func(cmd command, payload []byte, fds ...int) func(*client) {
		return func(c *client) { c.send(cmd, 0, payload, fds...) }
	}
	null, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer null.Close()
	_, memfd := sharedMemory(t, 8192)
	var pipe [2]int
	require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	events := eventFDs(t, 17, unix.EFD_NONBLOCK)
	mapping := func(offset, addr, bytes uint64) []byte {
		return put(&dmaMap{32, 3, offset, addr, bytes}, 32)
	}
	for name, v := range map[string]struct {
		do   func(*client)
		want string
	}{
		"a header too short":      {raw(header{1, cmdGetInfo, 15, 0, 0}), "less than its header"},
		"a message too long":      {raw(header{1, cmdGetInfo, 1 << 30, 0, 0}), "a message of 1073741824 bytes"},
		"a type that is none":     {raw(header{1, cmdGetInfo, 16, 2, 0}), "a message of type 2"},
		"a reply to nothing":      {raw(header{1, cmdGetInfo, 16, 1, 0}), "was not asked"},
		"an error in a command":   {raw(header{1, cmdReset, 16, errorFlag, 0}), "error flag"},
		"half a header":           {func(c *client) { c.raw([]byte{1, 2, 3}); c.conn.CloseWrite() }, "amid a message"},
		"half a message":          {func(c *client) { raw(header{1, cmdGetInfo, 32, 0, 0})(c); c.conn.CloseWrite() }, "amid a message"},
		"truncated":               {command(cmdGetInfo, make([]byte, 15)), "truncated: 15 bytes"},
		"truncated map":           {command(cmdDMAMap, make([]byte, 31)), "truncated: 31 bytes"},
		"truncated data":          {command(cmdRegionWrite, put(&regionAccess{0, 0, 4}, 16, 1, 2, 3)), "truncated: 3 bytes of data"},
		"truncated writes":        {command(cmdRegionWriteMulti, append(le.AppendUint64(nil, 2), make([]byte, 47)...)), "truncated: 47 bytes"},
		"countless writes":        {command(cmdRegionWriteMulti, le.AppendUint64(nil, 1<<61)), "truncated"},
		"truncated booleans":      {command(cmdSetIRQs, irqRequestOf(2, 0, 3, irqDataBool|irqActionTrigger, 1, 1)), "truncated: 2 booleans"},
		"a second VERSION":        {command(cmdVersion, versionRequest(0, 0, "")), "comes once"},
		"fds nobody wants":        {command(cmdReset, nil, memfd), "takes none"},
		"too many fds":            {command(cmdSetIRQs, irqRequestOf(2, 0, 17, irqDataEventFD|irqActionTrigger), events...), "more than 16"},
		"fds for fewer vectors":   {command(cmdSetIRQs, irqRequestOf(2, 0, 2, irqDataEventFD|irqActionTrigger), events[:1]...), "1 file descriptors for 2"},
		"fds and no flag":         {command(cmdSetIRQs, irqRequestOf(2, 0, 1, irqDataNone|irqActionTrigger), events[:1]...), "without the flag"},
		"a pipe for an eventfd":   {command(cmdSetIRQs, irqRequestOf(2, 0, 2, irqDataEventFD|irqActionTrigger), events[0], pipe[1]), "needs an eventfd"},
		"a file for an eventfd":   {command(cmdSetIRQs, irqRequestOf(0, 0, 1, irqDataEventFD|irqActionTrigger), memfd), "needs an eventfd"},
		"a pipe for memory":       {command(cmdDMAMap, mapping(0, 0, 4096), pipe[0]), "regular file or a memfd"},
		"a device for memory":     {command(cmdDMAMap, mapping(0, 0, 4096), int(null.Fd())), "regular file or a memfd"},
		"an eventfd for memory":   {command(cmdDMAMap, mapping(0, 0, 4096), events[0]), "regular file or a memfd"},
		"two fds for memory":      {command(cmdDMAMap, mapping(0, 0, 4096), memfd, memfd), "not one"},
		"more than the file":      {command(cmdDMAMap, mapping(4096, 0, 8192), memfd), "more than the file has"},
		"an offset that wraps":    {command(cmdDMAMap, mapping(^uint64(4095), 0, 8192), memfd), "more than the file has"},
		"addresses that wrap":     {command(cmdDMAMap, mapping(0, ^uint64(4095), 8192), memfd), "no range of addresses"},
		"a huge map":              {command(cmdDMAMap, mapping(0, 0, 1<<63), memfd), "no range of addresses"},
		"a huge map without file": {command(cmdDMAMap, mapping(0, 0, 1<<63)), "no range of addresses"},
		"a part of a page":        {command(cmdDMAMap, mapping(1, 0, 4096), memfd), "not whole pages"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			_, path := r.serve("nic0")
			_, other := r.serve("nic1")
			r.run()
			bystander := connect(t, other)
			c := connect(t, path)
			v.do(c)
			c.ended()
			r.logged("client cut off")
			r.logged(v.want)
			require.NotContains(t, r.log.String(), `off" adapter=nic1`, "the other client is left alone")
			bystander.must(cmdGetInfo, put(&deviceInfo{argsz: 16}, 16))
			connect(t, path)
		})
	}
}

func TestVersionComesFirst(t *testing.T) {
	r := newRig(t)
	_, path := r.serve("nic0")
	r.run()
	c := dial(t, path)
	_, errno := c.call(cmdGetInfo, put(&deviceInfo{argsz: 16}, 16))
	require.Equal(t, unix.EINVAL, errno)
	c.ended()
	r.logged("VERSION is the first message")
}

func TestOverlapIsAnErrorAndTheEnd(t *testing.T) {
	r, _, c := rigged(t)
	c.memory(0x10000, 0x10000)
	_, fd := sharedMemory(t, 0x10000)
	_, errno := c.call(cmdDMAMap, put(&dmaMap{32, 3, 0, 0x1F000, 0x2000}, 32), fd)
	require.Equal(t, unix.EEXIST, errno)
	c.ended()
	r.logged("overlaps")
}

func TestNoReplyMeansNone(t *testing.T) {
	_, _, c := rigged(t)
	c.send(cmdRegionRead, noReply, put(&regionAccess{0, 9, 4}, 16)) // fails
	c.send(cmdRegionRead, noReply, put(&regionAccess{0, 7, 4}, 16))
	c.send(cmdGetInfo, noReply, put(&deviceInfo{argsz: 16}, 16))
	c.must(cmdGetInfo, put(&deviceInfo{argsz: 16}, 16)) // the next reply is its
}

func TestReset(t *testing.T) {
	r, d, c := rigged(t)
	c.master()
	c.write32(0, cpFrom, 77)
	fd := eventFDs(t, 1, unix.EFD_NONBLOCK)[0]
	c.assign(irqMSIX, 3, fd)
	require.Empty(t, c.must(cmdReset, nil))
	require.Equal(t, uint16(0), le.Uint16(must(c.regionRead(regionConfig, 4, 2))(t)))
	c.master()
	require.Zero(t, c.read32(0, cpFrom))
	c.config16(0x72, 0x8000)
	c.write32(0, cpRaise, 3)
	require.EqualValues(t, 1, fired(t, fd), "an eventfd outlives a reset")
	r.do(func() { require.Equal(t, 1, d.resets) })
	// A function-level reset by the driver keeps it too.
	c.config16(0xA8, 0x8000)
	r.do(func() { require.Equal(t, 2, d.resets) })
	c.master()
	c.config16(0x72, 0x8000)
	c.write32(0, cpRaise, 3)
	fired(t, fd)
}

func must[T any](v T, errno unix.Errno) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		require.Zero(t, errno)
		return v
	}
}
