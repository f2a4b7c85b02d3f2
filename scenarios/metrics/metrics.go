// Package metrics serves adapters' counters to Prometheus, under the names that
// node_exporter's ethtool collector gives the like, with nicsim_ in front.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"nicsim.dev/nicsim"
)

// Adapter is one whose counters are served.
type Adapter struct {
	Name   string
	Device nicsim.Device
}

// headerTimeout bounds how long a client may take to ask.
const headerTimeout = 10 * time.Second

// known are the counters of a whole adapter that node_exporter has a name for.
var known = map[string]string{
	"rx-packets": "received_packets_total",
	"rx-bytes":   "received_bytes_total",
	"tx-packets": "transmitted_packets_total",
	"tx-bytes":   "transmitted_bytes_total",
}

// Collector reads counters when Prometheus asks for them.
type Collector struct {
	adapters []Adapter
	do       func(func()) error
}

// NewCollector returns a collector for adapters. do runs a function on the
// goroutine that owns them and waits for it.
func NewCollector(do func(func()) error, adapters ...Adapter) *Collector {
	return &Collector{adapters, do}
}

// Describe sends nothing: which counters there are depends on what happened.
func (c *Collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends every counter of every adapter.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	var found []prometheus.Metric
	err := c.do(func() {
		for _, a := range c.adapters {
			found = append(found, read(a)...)
		}
	})
	if err != nil {
		return // the adapters have ended; there is nothing to tell
	}
	for _, m := range found {
		out <- m
	}
}

// read turns an adapter's counters into metrics. Drops of either direction are
// also summed up.
func read(a Adapter) (found []prometheus.Metric) {
	var dropped [2]uint64
	put := func(name, help string, v uint64, labels, values []string) {
		desc := prometheus.NewDesc("nicsim_"+name, help, labels, nil)
		found = append(found, prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), values...))
	}
	device, queue := []string{"device"}, []string{"device", "queue"}
	a.Device.Counters(func(c nicsim.Counter) {
		name, ok := known[c.Name]
		switch {
		case c.Queue >= 0:
			put("queue_"+word(c.Name)+"_total", "Counter "+c.Name+" of a queue.", c.Value, queue, []string{a.Name, strconv.Itoa(c.Queue)})
		case ok:
			put(name, "Counter "+c.Name+" of an adapter.", c.Value, device, []string{a.Name})
		default:
			put(word(c.Name)+"_total", "Counter "+c.Name+" of an adapter.", c.Value, device, []string{a.Name})
		}
		if c.Queue < 0 && strings.HasPrefix(c.Name, "drop-") {
			dropped[c.Side] += c.Value
		}
	})
	put("received_dropped_total", "Received frames that were dropped, for any reason.", dropped[nicsim.Rx], device, []string{a.Name})
	put("transmitted_dropped_total", "Packets to send that were dropped, for any reason.", dropped[nicsim.Tx], device, []string{a.Name})
	return found
}

// word makes a counter's name one that Prometheus allows.
func word(name string) string { return strings.ReplaceAll(name, "-", "_") }

// Serve answers on addr until ctx ends. It returns once it listens; ended gets
// the error, if any, that stopped it.
func Serve(ctx context.Context, addr string, c *Collector) (at string, ended <-chan error, err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("metrics: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	done := make(chan error, 1)
	go func() {
		err := server.Serve(listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		done <- err
	}()
	context.AfterFunc(ctx, func() { server.Close() })
	return listener.Addr().String(), done, nil
}
