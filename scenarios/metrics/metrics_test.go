package metrics

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
)

type device struct{ nicsim.Device }

func (device) Counters(yield func(nicsim.Counter)) {
	for _, c := range []nicsim.Counter{
		{Name: "rx-packets", Side: nicsim.Rx, Queue: -1, Value: 7},
		{Name: "rx-packets", Side: nicsim.Rx, Queue: 3, Value: 5},
		{Name: "drop-dmac_filter", Side: nicsim.Rx, Queue: -1, Value: 2},
		{Name: "drop-tail_drop", Side: nicsim.Rx, Queue: -1, Value: 4},
		{Name: "drop-tx_dma_fault", Side: nicsim.Tx, Queue: -1, Value: 1},
	} {
		yield(c)
	}
}

func TestPrometheusReadsCounters(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	asked := 0
	at, ended, err := Serve(ctx, "127.0.0.1:0", NewCollector(func(f func()) error { asked++; f(); return nil }, Adapter{"A", device{}}))
	require.NoError(t, err)
	r, err := http.Get("http://" + at + "/metrics")
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	for _, line := range []string{
		`nicsim_received_packets_total{device="A"} 7`,
		`nicsim_queue_rx_packets_total{device="A",queue="3"} 5`,
		`nicsim_drop_dmac_filter_total{device="A"} 2`,
		`nicsim_received_dropped_total{device="A"} 6`,
		`nicsim_transmitted_dropped_total{device="A"} 1`,
	} {
		require.Contains(t, string(body), line+"\n")
	}
	require.Equal(t, 1, asked, "counters are read on their owner's goroutine, once a scrape")
	cancel()
	require.NoError(t, <-ended)
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	c := NewCollector(func(f func()) error { f(); return nil })
	at, _, err := Serve(t.Context(), "127.0.0.1:0", c)
	require.NoError(t, err)
	_, _, err = Serve(t.Context(), at, c)
	require.ErrorContains(t, err, "metrics: ")
}
