package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"nicsim.dev/scenarios/lab"
	"nicsim.dev/scenarios/lab/agent"
)

// maxSaidBytes bounds what a program's output holds that nobody asks for.
const maxSaidBytes = 1 << 20

// programSize is the terminal of a program: wide enough for no line to be broken.
var programSize = agent.Size{Rows: 50, Columns: 250}

// program is one that runs in a guest beside the script.
type program struct {
	prompt *regexp.Regexp
	keys   io.Writer
	more   chan struct{} // has one when there is more to look at
	ended  chan struct{}
	err    error // why it has ended; nil for a success

	mu   sync.Mutex
	said []byte
}

func newProgram(prompt *regexp.Regexp, keys io.Writer) *program {
	return &program{prompt: prompt, keys: keys, more: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Write takes what the program prints.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	p.said = append(p.said, b...)
	p.said = p.said[max(0, len(p.said)-maxSaidBytes):]
	p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

// end says how the program ended, after the last Write.
func (p *program) end(err error) {
	p.err = err
	close(p.ended)
}

// answer waits for the prompt, or the end, and returns what was printed before.
func (p *program) answer(ctx context.Context) (string, error) {
	for {
		select {
		case <-p.ended:
			if text, ok := p.taken(); ok {
				return text, nil
			}
			return p.rest(), p.err
		default:
		}
		if text, ok := p.taken(); ok {
			return text, nil
		}
		select {
		case <-p.more:
		case <-p.ended:
		case <-ctx.Done():
			return p.rest(), fmt.Errorf("no prompt came: %w", ctx.Err())
		}
	}
}

// taken takes what was printed ahead of the first prompt, if there is one.
func (p *program) taken() (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.prompt.FindIndex(p.said)
	if at == nil {
		return "", false
	}
	text := string(p.said[:at[0]])
	p.said = p.said[at[1]:]
	return asLines(text), true
}

// rest takes all that was printed.
func (p *program) rest() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := string(p.said)
	p.said = nil
	return asLines(text)
}

// asLines ends lines as files do, not as terminals.
func asLines(text string) string { return strings.ReplaceAll(text, "\r", "") }

func runStart(c *call) error {
	g, err := c.findGuest()
	if err != nil {
		return err
	}
	name := c.args[1]
	if c.guests.programs[name] != nil {
		return c.wrong("%q: a new name was expected", name)
	}
	prompt, err := regexp.Compile("(?m)" + c.args[2])
	if err != nil {
		return c.wrong("%q: %v", c.args[2], err)
	}
	in, keys := io.Pipe()
	p := newProgram(prompt, keys)
	c.guests.programs[name] = p
	what := agent.Command{Args: c.args[3:], Dir: c.ts.MkAbs("."), Terminal: &programSize}
	ctx, cancel := context.WithCancel(context.Background())
	c.atEnd(cancel)
	go func() {
		code, err := g.Run(ctx, what, lab.IO{Stdin: in, Stdout: p})
		if err == nil && code != 0 {
			err = fmt.Errorf("exit code %d", code)
		}
		in.Close()
		p.end(err)
	}()
	return c.hear(p)
}

func runTell(c *call) error {
	if _, err := c.findGuest(); err != nil {
		return err
	}
	p := c.guests.programs[c.args[1]]
	if p == nil {
		return c.wrong("%q: a program that was started was expected", c.args[1])
	}
	if _, err := io.WriteString(p.keys, strings.Join(c.args[2:], " ")+"\n"); err != nil {
		return errors.Join(errors.New("the program has ended"), p.err)
	}
	return c.hear(p)
}

// hear waits for a program's prompt and prints what it says.
func (c *call) hear(p *program) error {
	ctx, cancel := context.WithTimeout(context.Background(), guestPatience)
	defer cancel()
	text, err := p.answer(ctx)
	io.WriteString(c.ts.Stdout(), text)
	return err
}
