package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Signature types of C2SP signed-note and tlog-cosignature.
const (
	typeEd25519     = 0x01
	typeCosignature = 0x04
	typeMLDSA       = 0x06
)

// errNoMLDSA says that this build cannot check a key of type 0x06.
var errNoMLDSA = errors.New("ML-DSA-44 (type 0x06) needs Go 1.27: this key's signatures are ignored")

// cosigner is a note.Verifier of timestamped cosignatures, which x/mod does not have.
type cosigner struct {
	name   string
	hash   uint32
	verify func(text, signature []byte, time uint64) bool
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

// Verify checks 8 bytes of time and the signature of what tlog-cosignature says is signed with it.
func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) < 8 {
		return false
	}
	time := binary.BigEndian.Uint64(signature)
	return time <= math.MaxInt64 && c.verify(text, signature[8:], time)
}

// newVerifier returns the verifier of a vkey of type 0x01, 0x04 or 0x06, and its type.
func newVerifier(vkey string) (note.Verifier, byte, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, 0, errors.New("a verifier key has three parts")
	}
	material, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(material) == 0 {
		return nil, 0, errors.New("a verifier key ends in Base 64")
	}
	kind, key := material[0], material[1:]
	if kind == typeEd25519 {
		verifier, err := note.NewVerifier(vkey)
		return verifier, kind, err
	}
	made := &cosigner{name: parts[0], hash: keyHash(parts[0], material)}
	if fmt.Sprintf("%08x", made.hash) != parts[1] {
		return nil, 0, errors.New("the key id is not that of the key")
	}
	switch kind {
	case typeCosignature:
		if len(key) != ed25519.PublicKeySize {
			return nil, 0, errors.New("an Ed25519 key is 32 bytes")
		}
		made.verify = func(text, signature []byte, time uint64) bool {
			message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, text)
			return ed25519.Verify(key, []byte(message), signature)
		}
	case typeMLDSA:
		check, err := newMLDSA(key)
		if err != nil {
			return nil, kind, err
		}
		made.verify = func(text, signature []byte, time uint64) bool {
			message, err := cosignedMessage(made.name, text, time)
			return err == nil && check(message, signature)
		}
	default:
		return nil, 0, fmt.Errorf("signature type %#02x is not supported", kind)
	}
	return made, kind, nil
}

// cosignedMessage returns the structure that an ML-DSA-44 cosignature of a whole checkpoint signs.
func cosignedMessage(cosigner string, text []byte, time uint64) ([]byte, error) {
	head, err := parseCheckpoint(string(text))
	if err != nil {
		return nil, err
	}
	if len(cosigner) > 255 || len(head.origin) > 255 {
		return nil, errors.New("a name has at most 255 bytes")
	}
	message := []byte("subtree/v1\n\x00")
	message = append(message, byte(len(cosigner)))
	message = append(message, cosigner...)
	message = binary.BigEndian.AppendUint64(message, time)
	message = append(message, byte(len(head.origin)))
	message = append(message, head.origin...)
	message = binary.BigEndian.AppendUint64(message, 0)
	message = binary.BigEndian.AppendUint64(message, uint64(head.N))
	return append(message, head.Hash[:]...), nil
}
