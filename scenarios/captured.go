package scenarios

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	root "nicsim.dev"
	"nicsim.dev/scenarios/frame"
	"nicsim.dev/tapbridge/capture"
)

// captures is where the captures that are built in lie.
const captures = "testdata/captures"

// capturedFrame is captured(FILE,N): frame N, from 1 on, of a capture.
var capturedFrame = regexp.MustCompile(`^captured\(([^,()]+),(\d+)\)$`)

// layers reads the text of a frame: layers, or a frame of a capture. The file is
// one of the script's own, with a frame in hexadecimal on each line, or a pcap or
// pcapng, which may be one of testdata/captures.
func (c *call) layers(text string) ([]frame.Layer, error) {
	m := capturedFrame.FindStringSubmatch(text)
	if m == nil {
		return frame.Parse(text, c.names())
	}
	n, err := strconv.Atoi(m[2])
	if err != nil || n < 1 {
		return nil, c.wrong("%q: a frame's number, from 1 on, was expected", m[2])
	}
	file, err := os.ReadFile(c.ts.MkAbs(m[1]))
	if errors.Is(err, fs.ErrNotExist) {
		file, err = root.Testdata.ReadFile(path.Join(captures, m[1]))
	}
	if err != nil {
		return nil, c.wrong("%q: a file of the script's or of %s was expected", m[1], captures)
	}
	data, err := frameOf(file, n)
	if err != nil {
		return nil, fmt.Errorf("%s: frame %d: %w", m[1], n, err)
	}
	return frame.Parse("hex("+hex.EncodeToString(data)+")", nil)
}

// frameOf returns frame n of a capture, or of lines in hexadecimal.
func frameOf(file []byte, n int) ([]byte, error) {
	if lines := strings.Fields(string(file)); len(lines) > 0 && !bytes.ContainsRune(file, 0) {
		if n > len(lines) {
			return nil, io.EOF
		}
		return hex.DecodeString(lines[n-1])
	}
	r, err := capture.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	var p capture.Packet
	for range n {
		if err := r.Next(&p); err != nil {
			return nil, err
		}
	}
	return p.Data, nil
}
