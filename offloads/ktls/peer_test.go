package ktls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	_ "unsafe" // for the preference of suites, which has no other handle

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/refmodel"
)

//go:linkname suitesTLS13 crypto/tls.defaultCipherSuitesTLS13
var suitesTLS13 []uint16

//go:linkname suitesTLS13NoAES crypto/tls.defaultCipherSuitesTLS13NoAES
var suitesTLS13NoAES []uint16

// prefer has crypto/tls choose a suite of TLS 1.3.
func prefer(t *testing.T, suite uint16) {
	for _, list := range []*[]uint16{&suitesTLS13, &suitesTLS13NoAES} {
		before := *list
		t.Cleanup(func() { *list = before })
		*list = []uint16{suite}
	}
}

func certificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"peer"}}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// noted remembers what was read.
type noted struct {
	net.Conn
	read bytes.Buffer
}

func (n *noted) Read(b []byte) (int, error) {
	k, err := n.Conn.Read(b)
	n.read.Write(b[:k])
	return k, err
}

// fast is a refmodel's key for the engine.
func fast(r refmodel.TLSKey) Key {
	k := Key{Secret: r.Secret, IV: r.IV}
	switch {
	case r.ChaCha20:
		k.Cipher = ChaCha20Poly1305
	case len(r.Secret) == 32:
		k.Cipher = AES256GCM
	}
	if r.TLS13 {
		k.Version = TLS13
	}
	return k
}

// peer is a client of crypto/tls after the handshake, and what the other end, whose part of
// it is crypto/tls too, has to know to go on by itself.
func peer(t *testing.T, version, suite uint16) (client *tls.Conn, conn net.Conn, toClient, toServer Key, number uint64) {
	if version == tls.VersionTLS13 {
		prefer(t, suite)
	} else {
		number = 1 // the Finished messages are protected
	}
	var keyLog bytes.Buffer
	c, s := net.Pipe()
	heard := &noted{Conn: c}
	client = tls.Client(heard, &tls.Config{
		InsecureSkipVerify: true, KeyLogWriter: &keyLog,
		MinVersion: version, MaxVersion: version, CipherSuites: []uint16{suite},
	})
	server := tls.Server(s, &tls.Config{Certificates: []tls.Certificate{certificate(t)}, SessionTicketsDisabled: true})
	done := make(chan error)
	go func() { done <- server.Handshake() }()
	require.NoError(t, client.Handshake())
	require.NoError(t, <-done)
	require.Equal(t, suite, client.ConnectionState().CipherSuite)
	cl, sv, err := refmodel.TLSKeys(suite, keyLog.Bytes(), heard.read.Bytes())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); s.Close() })
	return client, s, fast(sv), fast(cl), number
}

var suites = []struct {
	version, suite uint16
}{
	{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
	{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
	{tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256},
	{tls.VersionTLS13, tls.TLS_AES_256_GCM_SHA384},
	{tls.VersionTLS13, tls.TLS_CHACHA20_POLY1305_SHA256},
}

// An unmodified crypto/tls reads what a Transmitter encrypts, in segments of all sizes.
func TestGoReadsWhatIsTransmitted(t *testing.T) {
	for _, s := range suites {
		t.Run(fmt.Sprint(tls.VersionName(s.version), " ", tls.CipherSuiteName(s.suite)), func(t *testing.T) {
			client, conn, key, _, number := peer(t, s.version, s.suite)
			rng := rand.New(rand.NewPCG(1, 3))
			w, tx := NewWriter(key, firstSeq, number), transmitter(t, key, firstSeq, number)
			var want, stream []byte
			for _, n := range sizes(rng, 200_000) {
				content := bytes.Repeat([]byte{byte(n), byte(n >> 8), 'x'}, n/3+1)[:n]
				want = append(want, content...)
				if n > 0 || len(stream) == 0 { // Go takes but 16 empty records in a row
					stream = append(stream, w.Frame(ApplicationData, content)...)
				}
			}
			stream = append(stream, w.Frame(Alert, []byte{1, 0})...) // close_notify
			go func() {
				for at := 0; at < len(stream); {
					packet := bytes.Clone(stream[at:min(at+segmentBytes(rng), len(stream))])
					if w.Transmit(tx, firstSeq+uint32(at), packet) != nil {
						break
					}
					if _, err := conn.Write(packet); err != nil {
						break
					}
					at += len(packet)
				}
				conn.Close()
			}()
			got, err := io.ReadAll(client)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
			require.Zero(t, tx.Stats().OutOfOrder)
		})
	}
}

// A Receiver decrypts what an unmodified crypto/tls sends, whole and with losses.
func TestWhatGoSendsIsReceived(t *testing.T) {
	for _, s := range suites {
		for _, lossy := range []bool{false, true} {
			t.Run(fmt.Sprint(tls.VersionName(s.version), " ", tls.CipherSuiteName(s.suite), " ", lossy), func(t *testing.T) {
				client, conn, _, key, number := peer(t, s.version, s.suite)
				var want []byte
				go func() {
					for i := range 40 {
						client.Write(bytes.Repeat([]byte{byte(i), 'y'}, 1+i*i*20))
					}
					client.Close()
				}()
				for i := range 40 {
					want = append(want, bytes.Repeat([]byte{byte(i), 'y'}, 1+i*i*20)...)
				}
				wire, err := io.ReadAll(conn)
				require.NoError(t, err)

				rng := rand.New(rand.NewPCG(2, 4))
				rx, rd := receiver(t, key, firstSeq, number), reader(t, key, firstSeq, number)
				var got []byte
				var end []byte
				for at := 0; at < len(wire); {
					packet := bytes.Clone(wire[at:min(at+segmentBytes(rng), len(wire))])
					decrypted := false
					if !lossy || rng.IntN(30) > 0 { // or it came from elsewhere
						decrypted = rx.Receive(firstSeq+uint32(at), packet).Status == Decrypted
					}
					at += len(packet)
					for rest := packet; len(rest) > 0; {
						rest = rest[rd.Take(rest, decrypted):]
						typ, content, err := rd.Next()
						if err == ErrShort {
							continue
						}
						require.NoError(t, err)
						if typ == Alert {
							end = slices.Clone(content)
						} else {
							require.EqualValues(t, ApplicationData, typ)
							got = append(got, content...)
						}
					}
				}
				require.True(t, bytes.Equal(want, got))
				require.Equal(t, []byte{1, 0}, end)
				if lossy {
					require.Positive(t, rd.Stats().Mixed)
				} else {
					require.Zero(t, rd.Stats().Mixed+rd.Stats().Software)
				}
			})
		}
	}
}
