package refmodel

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"hash"
)

// TLSKeys derives what protects the data of a connection from what crypto/tls wrote to its
// key log, and the server's first record, its hello.
func TLSKeys(suite uint16, keyLog, serverHello []byte) (client, server TLSKey, err error) {
	secrets, random := map[string][]byte{}, []byte(nil)
	for line := range bytes.Lines(keyLog) {
		var label string
		var secret []byte
		if _, err := fmt.Sscanf(string(line), "%s %x %x", &label, &random, &secret); err != nil {
			return client, server, err
		}
		secrets[label] = secret
	}
	newHash, keyBytes, chacha := sha256.New, 16, false
	switch suite {
	case tls.TLS_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:
		newHash, keyBytes = sha512.New384, 32
	case tls.TLS_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		keyBytes, chacha = 32, true
	case tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:
	default:
		return client, server, fmt.Errorf("refmodel: no keys for %s", tls.CipherSuiteName(suite))
	}
	client.ChaCha20, server.ChaCha20 = chacha, chacha
	if master, ok := secrets["CLIENT_RANDOM"]; ok {
		serverRandom := serverHello[5+4+2:][:32] // behind header, type and length, version
		ivBytes := 4                             // RFC 5288 3
		if chacha {
			ivBytes = 12 // RFC 7905 2
		}
		// RFC 5246 6.3
		block := prf(newHash, master, "key expansion", append(append([]byte{}, serverRandom...), random...), 2*keyBytes+2*ivBytes)
		client.Secret, server.Secret = block[:keyBytes], block[keyBytes:2*keyBytes]
		copy(client.IV[:], block[2*keyBytes:][:ivBytes])
		copy(server.IV[:], block[2*keyBytes+ivBytes:])
		return client, server, nil
	}
	for label, k := range map[string]*TLSKey{"CLIENT_TRAFFIC_SECRET_0": &client, "SERVER_TRAFFIC_SECRET_0": &server} {
		k.TLS13 = true
		// RFC 8446 7.3
		if k.Secret, err = expandLabel(newHash, secrets[label], "key", keyBytes); err != nil {
			return client, server, err
		}
		iv, err := expandLabel(newHash, secrets[label], "iv", len(k.IV))
		if err != nil {
			return client, server, err
		}
		copy(k.IV[:], iv)
	}
	return client, server, nil
}

// expandLabel is HKDF-Expand-Label without a context (RFC 8446 7.1).
func expandLabel(newHash func() hash.Hash, secret []byte, label string, n int) ([]byte, error) {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 "+label)))
	info = append(info, "tls13 "+label...)
	info = append(info, 0)
	return hkdf.Expand(newHash, secret, string(info), n)
}

// prf is the pseudo-random function of TLS 1.2 (RFC 5246 5).
func prf(newHash func() hash.Hash, secret []byte, label string, seed []byte, n int) (out []byte) {
	mac := func(b []byte) []byte {
		h := hmac.New(newHash, secret)
		h.Write(b)
		return h.Sum(nil)
	}
	seed = append([]byte(label), seed...)
	for a := mac(seed); len(out) < n; a = mac(a) {
		out = append(out, mac(append(append([]byte{}, a...), seed...))...)
	}
	return out[:n]
}
