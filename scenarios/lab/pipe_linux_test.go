package lab

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed testdata/peer.py
var peerProgram string

// pipe is the link of a guest: what is put into it the guest's kernel receives.
type pipe struct{ in bytes.Buffer }

func (p *pipe) put(b []byte) {
	p.in.Write(binary.BigEndian.AppendUint16(nil, uint16(len(b))))
	p.in.Write(b)
}

// run boots the guest, and returns what its kernel sent and what the last command printed.
func (p *pipe) run(t *testing.T, kind, last string) (out [][]byte, log string) {
	var stdout, stderr bytes.Buffer
	g := boot(t, UML)
	code := run(t, g, IO{Stdin: &p.in, Stdout: &stdout, Stderr: &stderr}, "python3", "-c", peerProgram, kind, last)
	require.Zero(t, code, stderr.String())
	for stdout.Len() > 0 {
		out = append(out, bytes.Clone(stdout.Next(int(binary.BigEndian.Uint16(stdout.Next(2))))))
	}
	return out, strings.TrimSpace(stderr.String())
}
