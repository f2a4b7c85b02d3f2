package scenarios

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a program prints ends at its prompt, in however many pieces it comes, and
// what follows belongs to the next answer.
func TestAnswersEndAtThePrompt(t *testing.T) {
	p := newProgram(regexp.MustCompile(`> `), io.Discard)
	go func() {
		for _, b := range []byte("hello\r\n> one\r\ntwo\r\n> late\r\n") {
			p.Write([]byte{b})
		}
		p.end(errors.New("exit code 3"))
	}()
	for _, want := range []string{"hello\n", "one\ntwo\n"} {
		text, err := p.answer(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, text)
	}
	text, err := p.answer(t.Context())
	require.EqualError(t, err, "exit code 3", "no prompt is to come")
	require.Equal(t, "late\n", text)
}

func TestAnswersAreNotWaitedForForever(t *testing.T) {
	p := newProgram(regexp.MustCompile(`> `), io.Discard)
	p.Write([]byte("hello"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	text, err := p.answer(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "hello", text, "what it said helps to see why")
}

func TestOutputIsBounded(t *testing.T) {
	p := newProgram(regexp.MustCompile(`> `), io.Discard)
	for range 3 {
		p.Write([]byte(strings.Repeat("x", maxSaidBytes/2+1)))
	}
	p.Write([]byte("> "))
	text, err := p.answer(t.Context())
	require.NoError(t, err)
	require.Len(t, text, maxSaidBytes-len("> "))
}
