package refmodel

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"
)

// TLSKey protects one direction of a connection.
type TLSKey struct {
	TLS13    bool // or 1.2
	ChaCha20 bool // or AES-GCM
	Secret   []byte
	IV       [12]byte // the first 4 bytes of it with AES-GCM in TLS 1.2
}

const tlsTagBytes = 16

// TLSRecords returns where the records of a stream begin, and where the last one ends (RFC
// 8446 5.1).
func TLSRecords(stream []byte) (bounds []int) {
	at := 0
	for ; at < len(stream); at += 5 + int(binary.BigEndian.Uint16(stream[at+3:])) {
		bounds = append(bounds, at)
	}
	return append(bounds, at)
}

// Seal encrypts a stream of whole records, each with room for its tag, the first of which has
// this number.
func (k TLSKey) Seal(stream []byte, number uint64) []byte {
	var a cipher.AEAD
	var err error
	if k.ChaCha20 {
		a, err = chacha20poly1305.New(k.Secret)
	} else {
		var block cipher.Block
		if block, err = aes.NewCipher(k.Secret); err == nil {
			a, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		panic(err)
	}
	var out []byte
	bounds := TLSRecords(stream)
	for i, from := range bounds[:len(bounds)-1] {
		out = append(out, k.sealRecord(a, stream[from:bounds[i+1]], number+uint64(i))...)
	}
	return out
}

func (k TLSKey) sealRecord(a cipher.AEAD, record []byte, number uint64) []byte {
	head := 5
	nonce := append([]byte{}, k.IV[:]...)
	if !k.TLS13 && !k.ChaCha20 {
		head = 13
		copy(nonce[4:], record[5:13]) // RFC 5288 3
	} else {
		counter := binary.BigEndian.AppendUint64(make([]byte, 4), number) // RFC 8446 5.3
		for i := range nonce {
			nonce[i] ^= counter[i]
		}
	}
	text := record[head : len(record)-tlsTagBytes]
	aad := append([]byte{}, record[:5]...) // RFC 8446 5.2
	if !k.TLS13 {                          // RFC 5246 6.2.3.3
		aad = binary.BigEndian.AppendUint64(nil, number)
		aad = append(aad, record[:3]...)
		aad = binary.BigEndian.AppendUint16(aad, uint16(len(text)))
	}
	return append(append([]byte{}, record[:head]...), a.Seal(nil, nonce, text, aad)...)
}

// TLSReceiver says which packets of a connection an adapter decrypts that holds back none. It
// knows where the records are, and remembers each byte that the adapter has taken note of.
type TLSReceiver struct {
	Bounds   []int        // as TLSRecords returns them
	Forged   map[int]bool // records that are not authentic
	MaxBytes int          // of a record

	seen   []bool
	next   int  // what comes next in sequence
	lost   bool // the records' places, or their numbers, are not known
	from   int  // nothing ahead of it is known
	guess  int  // while lost, the record that was asked for, or -1
	synced int  // the first record with a known number
}

// at returns the record to which a byte belongs.
func (r *TLSReceiver) at(byte int) int {
	i := 0
	for r.Bounds[i+1] <= byte {
		i++
	}
	return i
}

func (r *TLSReceiver) all(from, to int) bool {
	for _, s := range r.seen[from:to] {
		if !s {
			return false
		}
	}
	return true
}

// known says whether a record's header was seen, since the place was lost.
func (r *TLSReceiver) known(i int) bool {
	return r.Bounds[i] >= r.from && r.all(r.Bounds[i], r.Bounds[i]+5)
}

// Receive says whether the n bytes from at are decrypted, and for which record the adapter
// asks, -1 for none.
func (r *TLSReceiver) Receive(at, n int) (decrypted bool, ask int) {
	if r.seen == nil {
		r.seen = make([]bool, r.Bounds[len(r.Bounds)-1])
	}
	if at+n <= r.next {
		return false, -1
	}
	if at > r.next {
		i := r.at(r.next)
		switch {
		case r.lost && r.guess < 0:
			r.from = at
		case r.known(i) && at <= r.Bounds[i+1]:
			// the next header is not missing
		case at+n-r.next <= r.MaxBytes:
			return false, -1
		default:
			r.lost, r.guess, r.from, r.synced = true, -1, at, len(r.Bounds)
		}
	}
	from := max(at, r.next)
	for i := from; i < at+n; i++ {
		r.seen[i] = true
	}
	r.next = at + n
	ask = -1
	for i := 0; r.lost && r.guess < 0 && i < len(r.Bounds)-1; i++ {
		if r.known(i) {
			r.guess, ask = i, i
		}
	}
	decrypted = from == at
	for i := range r.Bounds[1:] {
		start, end := r.Bounds[i], r.Bounds[i+1]
		if end <= at || start >= at+n {
			continue
		}
		if i < r.synced || !r.all(start, min(end, at+n)) || end <= at+n && r.Forged[i] {
			decrypted = false
		}
	}
	return decrypted, ask
}

// Resync confirms the record that was asked for.
func (r *TLSReceiver) Resync(i int) bool {
	if !r.lost || r.guess != i {
		return false
	}
	r.lost = false
	for r.synced = 0; r.Bounds[r.synced] < r.next; r.synced++ {
	}
	return true
}
