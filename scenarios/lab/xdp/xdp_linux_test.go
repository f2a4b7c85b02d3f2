package xdp

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"nicsim.dev/scenarios/need"
)

var _ = need.Add("xdp", func() error { return features.HaveProgramType(ebpf.XDP) })

// packet has different bytes everywhere that matters.
func packet(t *testing.T) []byte {
	buf := gopacket.NewSerializeBuffer()
	eth := &layers.Ethernet{
		SrcMAC: []byte{2, 1, 2, 3, 4, 5}, DstMAC: []byte{6, 7, 8, 9, 10, 11}, EthernetType: layers.EthernetTypeLLC,
	}
	require.NoError(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{}, eth, gopacket.Payload(bytes.Repeat([]byte{0xA5}, 50))))
	return buf.Bytes()
}

// The kernel takes each program, and runs it on a packet.
func TestProgramsDecide(t *testing.T) {
	need.Test(t, "root", "xdp")
	in := packet(t)
	swapped := bytes.Clone(in)
	copy(swapped, in[6:12])
	copy(swapped[6:], in[:6])
	for what, want := range map[action]struct {
		verdict uint32
		out     []byte
	}{
		pass: {xdpPass, in}, drop: {xdpDrop, in}, tx: {xdpTx, swapped},
		redirect: {xdpAborted, in}, // the other interface is not there
		copied:   {xdpPass, in},    // nor is a socket
		zeroCopy: {xdpPass, in},
	} {
		t.Run(string(what), func(t *testing.T) {
			counters, err := newCounters()
			require.NoError(t, err)
			defer counters.Close()
			target, err := newTarget(what)
			require.NoError(t, err)
			defer target.Close()
			p, err := load(what, counters, target)
			require.NoError(t, err)
			defer p.Close()
			for i := range uint64(3) {
				got, out, err := p.Test(in)
				require.NoError(t, err)
				require.Equal(t, want.verdict, got)
				require.Equal(t, want.out, out)
				packets, octets, err := read(counters)
				require.NoError(t, err)
				require.Equal(t, i+1, packets)
				require.Equal(t, (i+1)*uint64(len(in)), octets)
			}
		})
	}
}

// A ring holds as many entries as it has slots, in order, whatever its indices are.
func TestRingsWrap(t *testing.T) {
	const offset = ^uint32(0) - 10 // the indices are about to wrap
	producer, consumer, flags := offset, offset, uint32(unix.XDP_RING_NEED_WAKEUP)
	r := &ring[uint64]{producer: &producer, consumer: &consumer, flags: &flags, slots: make([]uint64, ringSlots)}
	require.True(t, r.sleeps())
	for round := range uint64(3) {
		_, ok := r.take()
		require.False(t, ok, "it is empty")
		for i := range uint64(ringSlots) {
			require.True(t, r.put(round<<32|i))
		}
		require.False(t, r.put(0), "it is full")
		for i := range uint64(ringSlots) {
			v, ok := r.take()
			require.True(t, ok)
			require.Equal(t, round<<32|i, v)
		}
	}
}

// Each chunk is in one place only, and comes back wherever a packet begins in it.
func TestChunksComeBack(t *testing.T) {
	u, err := newUMEM()
	require.NoError(t, err)
	seen := map[uint64]bool{}
	for range chunks {
		at, ok := u.take()
		require.True(t, ok)
		require.False(t, seen[at])
		require.Less(t, at, uint64(len(u.memory)))
		seen[at] = true
	}
	_, ok := u.take()
	require.False(t, ok)
	u.give(3*chunkBytes + 256)
	at, ok := u.take()
	require.True(t, ok)
	require.EqualValues(t, 3*chunkBytes, at)
}

func TestWhatIsNotUnderstoodIsAnError(t *testing.T) {
	for _, args := range []string{"", "pass", "fly lo", "redirect lo", "redirect lo lo lo"} {
		require.ErrorContains(t, run(strings.Fields(args), strings.NewReader(""), &bytes.Buffer{}), "expected: guest-xdp", args)
	}
	require.ErrorContains(t, run([]string{"copy", "lo:64"}, strings.NewReader(""), &bytes.Buffer{}), "a queue below 64")
	s := &session{out: &bytes.Buffer{}}
	require.ErrorContains(t, s.do("receive", []string{"eth"}), "there is no socket")
	s.sockets = []*socket{{}}
	for _, line := range []string{"", "fly", "count 1", "receive", "echo", "forward 1"} {
		verb, rest, _ := strings.Cut(line, " ")
		require.ErrorContains(t, s.do(verb, strings.Fields(rest)), "expected: guest-xdp", line)
	}
	for _, line := range []string{"send eth many", "send eth 0", "send eth 1000000", "send eth 1 2", "echo 1.5"} {
		verb, rest, _ := strings.Cut(line, " ")
		require.ErrorContains(t, s.do(verb, strings.Fields(rest)), "a number up to", line)
	}
	require.ErrorContains(t, s.do("send", []string{"eht"}), "expected a layer")
}
