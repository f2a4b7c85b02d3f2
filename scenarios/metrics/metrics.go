// Package metrics serves adapters' counters to Prometheus, under the names that
// node_exporter's ethtool collector gives the same counters of real adapters,
// with nicsim in the place of node_ethtool.
package metrics

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"nicsim.dev/nicsim"
)

// Device is an adapter's counters at one moment.
type Device struct {
	Scenario string // empty outside scenarios
	Name     string
	Counters []nicsim.Counter
}

// maxKept bounds the adapters of ended scenarios that a board remembers.
const maxKept = 4096

// Board collects counters: of adapters that run, by asking, and of those that
// have ended, by remembering. Any goroutine may use it.
type Board struct {
	mu   sync.Mutex
	live []*source
	kept []Device
}

type source struct{ read func() ([]Device, error) }

// Live asks read for counters from now on, from any goroutine, until the
// returned function is called.
func (b *Board) Live(read func() ([]Device, error)) (end func()) {
	s := &source{read}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.live = append(b.live, s)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.live = slices.DeleteFunc(b.live, func(x *source) bool { return x == s })
	}
}

// Keep remembers the counters of an adapter that ends.
func (b *Board) Keep(d Device) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.kept) < maxKept {
		b.kept = append(b.kept, d)
	}
}

// Read copies a device's counters. It must run where the device may be touched.
func Read(scenario, name string, d nicsim.Device) Device {
	out := Device{Scenario: scenario, Name: name}
	d.Counters(func(c nicsim.Counter) { out.Counters = append(out.Counters, c) })
	return out
}

// Describe says nothing: counters depend on what runs.
func (b *Board) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (b *Board) Collect(out chan<- prometheus.Metric) {
	b.mu.Lock()
	live, all := slices.Clone(b.live), slices.Clone(b.kept)
	b.mu.Unlock()
	for _, s := range live {
		if devices, err := s.read(); err == nil { // one that has just ended has nothing to say
			all = append(all, devices...)
		}
	}
	for _, d := range all {
		d.collect(out)
	}
}

// Totals of node_exporter that are not sums of one counter of ours.
const (
	receivedDropped   = "received_dropped_total"
	receivedErrors    = "received_errors_total"
	transmittedErrors = "transmitted_errors_total"
)

func (d *Device) collect(out chan<- prometheus.Metric) {
	totals := map[string]float64{receivedDropped: 0, receivedErrors: 0, transmittedErrors: 0}
	whole := map[string]bool{}
	for _, c := range d.Counters {
		name, v := metricName(c.Name), float64(c.Value)
		if reason, ok := strings.CutPrefix(c.Name, "drop-"); ok {
			d.put(out, "dropped_total", v, "side", c.Side.String(), "reason", reason)
			switch {
			case c.Side == nicsim.Tx:
				totals[transmittedErrors] += v
			case reason == nicsim.DropRxPause.String(): // it was for the MAC
			case damaged[reason]:
				totals[receivedErrors] += v
			default:
				totals[receivedDropped] += v
			}
			continue
		}
		switch {
		case c.Queue < 0:
			totals[name], whole[name] = v, true
			continue
		case !whole[name]:
			totals[name] += v
		}
		d.put(out, "queue_"+name, v, "queue", strconv.Itoa(c.Queue))
	}
	for name, v := range totals {
		d.put(out, name, v)
	}
}

// damaged are the reasons that the kernel counts as errors rather than drops
// (rx_errors of struct rtnl_link_stats64).
var damaged = map[string]bool{
	nicsim.DropRxCRC.String():      true,
	nicsim.DropRxTooShort.String(): true,
	nicsim.DropRxTooLong.String():  true,
}

// metricName is what node_exporter makes of a counter's name: rx and tx become
// words, and those that it knows end in _total.
func metricName(counter string) string {
	words := strings.FieldsFunc(counter, func(r rune) bool { return r == '-' || r == '_' })
	for i, w := range words {
		switch w {
		case "rx":
			words[i] = "received"
		case "tx":
			words[i] = "transmitted"
		}
	}
	name := strings.Join(words, "_")
	switch name {
	case "received_bytes", "received_packets", "transmitted_bytes", "transmitted_packets":
		name += "_total"
	}
	return name
}

func (d *Device) put(out chan<- prometheus.Metric, name string, v float64, labels ...string) {
	names, values := []string{"device", "scenario"}, []string{d.Name, d.Scenario}
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	kind := prometheus.UntypedValue
	if strings.HasSuffix(name, "_total") {
		kind = prometheus.CounterValue
	}
	desc := prometheus.NewDesc("nicsim_"+name, "Adapter counter "+name+".", names, nil)
	if m, err := prometheus.NewConstMetric(desc, kind, v, values...); err == nil {
		out <- m
	}
}

// shutdownTimeout bounds the wait for requests that are being answered.
const shutdownTimeout = time.Second

// Serve answers at http://addr/metrics until ctx ends, and returns where.
func (b *Board) Serve(ctx context.Context, addr string) (at net.Addr, done <-chan struct{}, err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(b)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: shutdownTimeout}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(l)
	}()
	context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		server.Shutdown(late)
	})
	return l.Addr(), ended, nil
}
