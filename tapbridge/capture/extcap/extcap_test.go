package extcap

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/tapbridge/capture"
	"nicsim.dev/tapbridge/control"
)

// asExtcap makes this program behave as nicsim does for Wireshark.
const asExtcap = "NICSIM_TEST_AS_EXTCAP"

func TestMain(m *testing.M) {
	if os.Getenv(asExtcap) != "" && Wanted(os.Args[1:]) {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := Run(ctx, "1.2", os.Args[1:], os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// adapter is one whose packets come from the test.
type adapter struct {
	nicsim.Device // nil: the parts that are not needed here
	mu            sync.Mutex
	probe         nicsim.Probe
}

func (a *adapter) do(f func()) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	return nil
}

func (a *adapter) SetProbe(p nicsim.Probe) { a.probe = p }

// emit lets a watcher, if there is one, see an event.
func (a *adapter) emit(e nicsim.Event) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.probe != nil {
		a.probe.Observe(&e)
	}
	return a.probe != nil
}

func serve(t *testing.T) (*adapter, *control.Server) {
	dir, err := os.MkdirTemp("", "nicsim") // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	a := &adapter{}
	s, err := control.Listen(control.Config{
		Topology: "pair",
		Adapters: []control.Adapter{{
			Name: "A", Model: "82599", Device: a, Queues: func() (int, int) { return 1, 2 },
		}},
		Do:      a.do,
		EpochNS: time.Now().UnixNano(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return a, s
}

// run returns what Run prints.
func run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Run(context.Background(), "1.2", args, &out, &errs)
	return code, out.String(), errs.String()
}

func name(at string) string { return fmt.Sprintf("nicsim-%d-pair-%s", os.Getpid(), at) }

func TestQueries(t *testing.T) {
	serve(t)
	listing := `extcap {version=1.2}{display=nicsim}
interface {value=nicsim-PID-pair-A}{display=nicsim: A, all of it (pair, process PID)}
interface {value=nicsim-PID-pair-A_wire}{display=nicsim: A wire (pair, process PID)}
interface {value=nicsim-PID-pair-A_tx_queue_0}{display=nicsim: A tx queue 0 (pair, process PID)}
interface {value=nicsim-PID-pair-A_rx_queue_0}{display=nicsim: A rx queue 0 (pair, process PID)}
interface {value=nicsim-PID-pair-A_rx_queue_1}{display=nicsim: A rx queue 1 (pair, process PID)}
`
	listing = strings.ReplaceAll(listing, "PID", fmt.Sprint(os.Getpid()))
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"--extcap-interfaces"}, 0, listing, ""},
		{[]string{"--extcap-interfaces", "--extcap-version=4.0"}, 0, listing, ""},
		{[]string{"--extcap-version"}, 0, "extcap {version=1.2}", ""},
		{[]string{"--extcap-dlts", "--extcap-interface", name("A")}, 0, "dlt {number=1}{name=EN10MB}{display=Ethernet}\n", ""},
		{[]string{"--extcap-config", "--extcap-interface", name("A")}, 0, "arg {number=0}{call=--direction}", ""},
		{[]string{"--extcap-interface", name("A"), "--extcap-capture-filter", "tcp port 80"}, 0, "", ""},
		{[]string{"--extcap-interface", name("A"), "--extcap-capture-filter", "port http"}, 0, `expected a port, found "http"`, ""},
		{[]string{"--extcap-interface", name("A"), "--extcap-cleanup-postkill"}, 0, "", ""},
		{[]string{"--capture", "--extcap-interface", name("B"), "--fifo", "f"}, 1, "", "there is no interface " + name("B")},
		{[]string{"--capture", "--extcap-interface", name("A"), "--fifo", "f", "--direction", "up"}, 1, "", `found "up"`},
		{[]string{"--capture", "--extcap-interface", name("A")}, 2, "", "needs --extcap-interface and --fifo"},
		{[]string{"--nonsense"}, 2, "", "-nonsense"},
		{[]string{"--extcap-interfaces", "eth0"}, 2, "", `found "eth0"`},
		{nil, 2, "", "this is run by Wireshark"},
	} {
		code, stdout, stderr := run(c.args...)
		require.Equal(t, c.code, code, "%q: %s", c.args, stderr)
		require.Contains(t, stdout, c.stdout)
		require.Contains(t, stderr, c.stderr)
		require.Equal(t, c.stdout == "", stdout == "", "%q: %q", c.args, stdout)
		require.Equal(t, c.stderr == "", stderr == "", "%q: %q", c.args, stderr)
	}
	require.True(t, Wanted([]string{"--extcap-interfaces"}))
	require.False(t, Wanted([]string{"run", "-v"}))
}

// frame is what adapter A receives, made by gopacket.
func frame(t *testing.T, port layers.UDPPort) []byte {
	ip := &layers.IPv4{
		Version: 4, TTL: 9, Protocol: layers.IPProtocolUDP, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2},
	}
	udp := &layers.UDP{SrcPort: 5000, DstPort: port}
	require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
	buf := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(buf,
		gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4},
		ip, udp, gopacket.Payload("payload")))
	return buf.Bytes()
}

func TestCapture(t *testing.T) {
	a, s := serve(t)
	fifo := filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.WriteFile(fifo, nil, 0o600)) // a file does as well as a pipe
	var stderr bytes.Buffer
	code := make(chan int)
	go func() {
		code <- Run(context.Background(), "1.2", []string{
			"--capture", "--extcap-interface", name("A_rx_queue_1"), "--fifo", fifo,
			"--extcap-capture-filter", "udp port 9", "--drops-only",
		}, io.Discard, &stderr)
	}()
	require.Eventually(t, func() bool { return a.emit(nicsim.Event{}) }, 5*time.Second, time.Millisecond)
	for _, port := range []layers.UDPPort{9, 10} {
		for _, drop := range []nicsim.Drop{nicsim.DropNone, nicsim.DropRxNoDescriptor} {
			for queue := range 2 {
				a.emit(nicsim.Event{
					Kind: nicsim.PacketQueue, Device: "A", Side: nicsim.Rx, Queue: queue, Drop: drop, Data: frame(t, port),
				})
			}
		}
	}
	require.NoError(t, s.Close())
	require.Zero(t, <-code, stderr.String())

	f, err := os.Open(fifo)
	require.NoError(t, err)
	defer f.Close()
	r, err := capture.NewReader(f)
	require.NoError(t, err)
	var p capture.Packet
	require.NoError(t, r.Next(&p))
	require.Equal(t, frame(t, 9), p.Data)
	require.EqualValues(t, 1, p.Queue)
	require.Contains(t, p.Comments[0], "rx_no_descriptor")
	require.Equal(t, io.EOF, r.Next(&p))
}

func TestCaptureStops(t *testing.T) {
	a, _ := serve(t)
	fifo := filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.WriteFile(fifo, nil, 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int)
	go func() {
		code <- Run(ctx, "1.2", []string{"--capture", "--extcap-interface", name("A"), "--fifo", fifo}, io.Discard, io.Discard)
	}()
	require.Eventually(t, func() bool { return a.emit(nicsim.Event{}) }, 5*time.Second, time.Millisecond)
	cancel()
	require.Zero(t, <-code)
	require.Eventually(t, func() bool { return !a.emit(nicsim.Event{}) }, 5*time.Second, time.Millisecond)
}
