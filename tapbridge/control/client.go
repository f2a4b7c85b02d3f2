package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"time"
)

// Client is a connection to a control socket. List and Counters may be called
// again and again; Capture or Trace is the last call before Close, which ends
// it from any goroutine.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
}

// replyTimeout bounds the wait for a line, which the adapter's goroutine makes.
const replyTimeout = 10 * time.Second

// Dial connects to the socket at path.
func Dial(path string) (*Client, error) {
	conn, err := net.DialTimeout("unix", path, dialTimeout)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return &Client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// List returns what the process runs.
func (c *Client) List() (Listing, error) {
	var l Listing
	return l, c.ask("list", &l)
}

// Counters returns the counters of each adapter.
func (c *Client) Counters() ([]Counters, error) {
	var all []Counters
	return all, c.ask("counters", &all)
}

// Capture asks for packets and returns pcapng as it comes, until the process
// ends or Close is called.
func (c *Client) Capture(r CaptureRequest) (io.Reader, error) {
	if err := c.send(request{Cmd: "capture", CaptureRequest: r}); err != nil {
		return nil, err
	}
	c.conn.SetReadDeadline(time.Now().Add(replyTimeout))
	first, err := c.in.Peek(1)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	if first[0] == '{' {
		if err := c.reply(&struct{}{}); err != nil {
			return nil, err
		}
		return nil, errors.New("control: expected pcapng, found a line")
	}
	c.conn.SetReadDeadline(time.Time{})
	return c.in, nil
}

// Trace asks for events and yields them as they come, until the process ends or
// Close is called. An error is the last that it yields.
func (c *Client) Trace(f TraceFilter) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := c.send(request{Cmd: "trace", Filter: &f}); err != nil {
			yield(Event{}, err)
			return
		}
		c.conn.SetReadDeadline(time.Time{})
		for {
			line, err := c.line()
			if err == io.EOF || errors.Is(err, net.ErrClosed) {
				return
			}
			var e Event
			if err == nil {
				e, err = parseEvent(line)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (c *Client) ask(cmd string, reply any) error {
	if err := c.send(request{Cmd: cmd}); err != nil {
		return err
	}
	c.conn.SetReadDeadline(time.Now().Add(replyTimeout))
	return c.reply(reply)
}

func (c *Client) send(r request) error {
	c.conn.SetWriteDeadline(time.Now().Add(replyTimeout))
	_, err := c.conn.Write(mustMarshal(r))
	if err == nil {
		return nil
	}
	// A server that turns a client away says why before it hangs up.
	c.conn.SetReadDeadline(time.Now().Add(replyTimeout))
	if line, readErr := c.line(); readErr == nil {
		if why := refusal(line); why != nil {
			return why
		}
	}
	return fmt.Errorf("control: %w", err)
}

// refusal returns the error that a line tells, if it does.
func refusal(line []byte) error {
	var f failure
	if json.Unmarshal(line, &f) != nil || f.Error == "" {
		return nil
	}
	return fmt.Errorf("control: %s", f.Error)
}

// reply reads a line into v, or the error that it tells.
func (c *Client) reply(v any) error {
	line, err := c.line()
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	if why := refusal(line); why != nil {
		return why
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("control: the reply: %w", err)
	}
	return nil
}

// line reads a line. At the end of the connection it returns io.EOF.
func (c *Client) line() ([]byte, error) {
	var line []byte
	for {
		part, err := c.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case len(line) > maxReplyBytes:
			return nil, fmt.Errorf("expected a line of at most %d bytes", maxReplyBytes)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
}
