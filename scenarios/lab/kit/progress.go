package kit

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// liveInterval is how often the line of a terminal changes; on what is no
	// terminal each is a line of its own, and they are rarer.
	liveInterval = 200 * time.Millisecond
	lineInterval = 15 * time.Second
)

// progress tells a person what setup does: a line when a step of a part begins,
// one when it ends, and between them how far it is.
type progress struct {
	mu       sync.Mutex
	out      io.Writer
	live     bool
	interval time.Duration
}

func newProgress(out io.Writer) *progress {
	if out == nil {
		out = io.Discard
	}
	p := &progress{out: out, interval: lineInterval}
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.live, p.interval = true, liveInterval
		}
	}
	return p
}

// say writes a line about a part.
func (p *progress) say(part, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintf(p.out, "%-10s %s\n", part, fmt.Sprintf(format, args...))
}

// during calls work, and tells now and then what now says meanwhile.
func (p *progress) during(part string, now func() string, work func() error) error {
	ticker := time.NewTicker(p.interval)
	defer ticker.Stop()
	begun := time.Now()
	done := make(chan error, 1)
	go func() { done <- work() }()
	for {
		select {
		case err := <-done:
			p.clear()
			return err
		case <-ticker.C:
			p.tick(part, now(), time.Since(begun))
		}
	}
}

func (p *progress) tick(part, what string, elapsed time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	begin, end := "", "\n"
	if p.live {
		begin, end = "\r\x1b[K", ""
	}
	fmt.Fprintf(p.out, "%s%-10s %s, %s%s", begin, part, what, seconds(elapsed), end)
}

func (p *progress) clear() {
	if p.live {
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	if d < 2*time.Minute {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}

// size is a number of bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(bytes)/1e3)
}

// count is a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
