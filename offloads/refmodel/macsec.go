package refmodel

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
)

// MACsec is the receiving half of a SecY (IEEE 802.1AE-2018 10.6). It has one secure channel
// with one association.
type MACsec struct {
	Validate      string // "strict", "check" or "disabled"
	ReplayProtect bool
	ReplayWindow  uint64
	Offset, Clear int // bytes of the text in clear; bytes of tags ahead of the SecTAG

	SCI      [8]byte
	AN       int
	Key      []byte
	Extended bool
	Salt     [12]byte
	SSCI     uint32
	Next     *big.Int // one more than the highest packet number

	Counts map[string]uint64 // by the names of clause 10.7
}

// Receive takes a frame apart in the order of figure 10-5. It returns the frame that is
// handed on, nil if none is.
func (m *MACsec) Receive(frame []byte) []byte {
	addresses, rest := 12+m.Clear, []byte(nil)
	if len(frame) >= addresses {
		rest = frame[addresses:]
	}
	if len(rest) < 2 || rest[0] != 0x88 || rest[1] != 0xE5 {
		if m.Validate == "strict" {
			return m.drop("InPktsNoTag")
		}
		return m.deliver("InPktsUntagged", frame)
	}
	if len(rest) < 8 {
		return m.drop("InPktsBadTag")
	}
	bits := fmt.Sprintf("%08b", rest[2]) // V ES SC SCB E C AN
	v, es, sc, scb, e, c := bits[0] == '1', bits[1] == '1', bits[2] == '1', bits[3] == '1', bits[4] == '1', bits[5] == '1'
	an, sl, low := int(rest[2])%4, int(rest[3]), rest[4:8]
	tag := 8
	if sc {
		tag = 16
	}
	text := len(rest) - tag - 16
	if text < 0 || v || sc && (es || scb) || e && !c || sl >= 48 || sl > text || sl == 0 && text < 48 {
		return m.drop("InPktsBadTag")
	}
	if sl > 0 {
		text = sl
	}
	inner := slices.Concat(frame[:addresses], rest[tag:tag+text])

	sci := m.SCI // of the one channel there is
	switch {
	case sc:
		sci = [8]byte(rest[8:16])
	case scb:
		sci = [8]byte(slices.Concat(frame[6:12], []byte{0, 0}))
	case es:
		sci = [8]byte(slices.Concat(frame[6:12], []byte{0, 1}))
	}
	must := c || m.Validate == "strict"
	if sci != m.SCI {
		if must {
			return m.drop("InPktsNoSAError")
		}
		return m.deliver("InPktsNoSA", inner)
	}
	if an != m.AN {
		if must {
			return m.drop("InPktsNotUsingSA")
		}
		return m.deliver("InPktsUnusedSA", inner)
	}
	if !m.Extended && string(low) == "\x00\x00\x00\x00" {
		return m.drop("InPktsBadTag")
	}

	lowest := new(big.Int).Sub(m.Next, new(big.Int).SetUint64(m.ReplayWindow))
	if lowest.Sign() <= 0 {
		lowest.SetInt64(1)
	}
	pn := new(big.Int).SetBytes(low)
	if m.Extended { // 10.6.2
		high := new(big.Int).Rsh(lowest, 32)
		if lowest.Bit(31) == 1 && pn.Bit(31) == 0 {
			high.Add(high, big.NewInt(1))
		}
		pn.Add(pn, high.Lsh(high, 32))
	}
	late := pn.Cmp(lowest) < 0 || pn.BitLen() > 64
	if late && m.ReplayProtect {
		return m.drop("InPktsLate")
	}
	if m.Validate == "disabled" {
		if c {
			return m.drop("InPktsNotValid")
		}
		if late {
			return m.deliver("InPktsDelayed", inner)
		}
		return m.deliver("InPktsUnchecked", inner)
	}

	if e {
		m.Counts["InOctetsDecrypted"] += uint64(text)
	} else {
		m.Counts["InOctetsValidated"] += uint64(text)
	}
	clearText := text
	if e {
		clearText = min(text, m.Offset)
	}
	aad := slices.Concat(frame[:12], rest[:tag+clearText])
	opened, err := m.aead().Open(nil, m.iv(pn), rest[tag+clearText:tag+text+16], aad)
	if err != nil || c && !e || pn.Sign() == 0 || pn.BitLen() > 64 {
		if must {
			return m.drop("InPktsNotValid")
		}
		return m.deliver("InPktsInvalid", inner)
	}
	if pn.Cmp(m.Next) >= 0 {
		m.Next = pn.Add(pn, big.NewInt(1))
	}
	inner = slices.Concat(frame[:addresses], rest[tag:tag+clearText], opened)
	if late {
		return m.deliver("InPktsDelayed", inner)
	}
	return m.deliver("InPktsOK", inner)
}

func (m *MACsec) drop(counter string) []byte {
	m.Counts[counter]++
	return nil
}

func (m *MACsec) deliver(counter string, frame []byte) []byte {
	m.Counts[counter]++
	return frame
}

func (m *MACsec) aead() cipher.AEAD {
	block, err := aes.NewCipher(m.Key)
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

// iv is SCI and packet number (14.5), or SSCI and packet number with the salt over it (14.7).
func (m *MACsec) iv(pn *big.Int) []byte {
	if !m.Extended {
		return binary.BigEndian.AppendUint32(m.SCI[:], uint32(pn.Uint64()))
	}
	iv := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, m.SSCI), pn.Uint64())
	for i := range iv {
		iv[i] ^= m.Salt[i]
	}
	return iv
}
