package metrics

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
)

func scrape(t *testing.T, b *Board) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	at, done, err := b.Serve(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	r, err := http.Get("http://" + at.String() + "/metrics")
	require.NoError(t, err)
	defer r.Body.Close()
	require.Equal(t, http.StatusOK, r.StatusCode)
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	cancel()
	<-done
	return string(text)
}

// The names are those of node_exporter's collector/ethtool_linux.go, with its
// prefix replaced.
func TestCountersHaveTheNamesOfNodeExporter(t *testing.T) {
	var b Board
	b.Keep(Device{Name: "A", Counters: []nicsim.Counter{
		{Name: "rx-packets", Side: nicsim.Rx, Queue: -1, Value: 9},
		{Name: "rx-packets", Side: nicsim.Rx, Queue: 0, Value: 4},
		{Name: "rx-packets", Side: nicsim.Rx, Queue: 1, Value: 3},
		{Name: "rx-csum-bad", Side: nicsim.Rx, Queue: 0, Value: 1},
		{Name: "rx-csum-bad", Side: nicsim.Rx, Queue: 1, Value: 1},
		{Name: "tx-hw-gso-wire-packets", Side: nicsim.Tx, Queue: 0, Value: 7},
		{Name: "drop-rx_crc_error", Side: nicsim.Rx, Queue: -1, Value: 2},
		{Name: "drop-dmac_filter", Side: nicsim.Rx, Queue: -1, Value: 5},
		{Name: "drop-rx_flow_control", Side: nicsim.Rx, Queue: -1, Value: 70},
	}})
	text := scrape(t, &b)
	for _, line := range []string{
		`nicsim_received_packets_total{device="A",scenario=""} 9`,
		`nicsim_queue_received_packets_total{device="A",queue="1",scenario=""} 3`,
		`nicsim_received_csum_bad{device="A",scenario=""} 2`,
		`nicsim_transmitted_hw_gso_wire_packets{device="A",scenario=""} 7`,
		`nicsim_received_errors_total{device="A",scenario=""} 2`,
		`nicsim_received_dropped_total{device="A",scenario=""} 5`,
		`nicsim_dropped_total{device="A",reason="dmac_filter",scenario="",side="rx"} 5`,
		`nicsim_dropped_total{device="A",reason="rx_flow_control",scenario="",side="rx"} 70`,
	} {
		require.Contains(t, text, line+"\n")
	}
}

func TestLiveSourcesEnd(t *testing.T) {
	var b Board
	asked := 0
	end := b.Live(func() ([]Device, error) {
		asked++
		return []Device{{Name: "live", Counters: []nicsim.Counter{{Name: "tx-bytes", Queue: -1, Value: 1}}}}, nil
	})
	require.Contains(t, scrape(t, &b), `nicsim_transmitted_bytes_total{device="live",scenario=""} 1`)
	end()
	require.NotContains(t, scrape(t, &b), "live")
	require.Equal(t, 1, asked)
}
