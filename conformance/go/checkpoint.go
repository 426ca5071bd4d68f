package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// checkpoint is the text of a C2SP tlog-checkpoint: a tree and whose it is.
type checkpoint struct {
	origin string
	tlog.Tree
	cosigners []string
}

// trusted is whom to believe: one ledger, and a number of witnesses.
type trusted struct {
	log       note.Verifier
	witnesses []note.Verifier
	quorum    int
	ignored   []string // what is said of keys that this build cannot use
}

func newTrusted(vkey string, witnesses []string, quorum int) (*trusted, error) {
	log, kind, err := newVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("-vkey: %w", err)
	}
	if kind == typeCosignature {
		return nil, errors.New("-vkey: a key of type 0x04 is a witness's, not a ledger's")
	}
	t := &trusted{log: log, quorum: quorum}
	for _, text := range witnesses {
		witness, kind, err := newVerifier(text)
		if errors.Is(err, errNoMLDSA) {
			t.ignored = append(t.ignored, fmt.Sprintf("%s: %v", strings.SplitN(text, "+", 2)[0], err))
			continue
		}
		if err == nil && kind == typeEd25519 {
			err = errors.New("a witness's key is of type 0x04 or 0x06")
		}
		if err != nil {
			return nil, fmt.Errorf("-witness: %w", err)
		}
		for _, other := range t.witnesses {
			if other.Name() == witness.Name() && other.KeyHash() == witness.KeyHash() {
				return nil, errors.New("-witness: the same key is given twice")
			}
		}
		t.witnesses = append(t.witnesses, witness)
	}
	if quorum < 0 {
		t.quorum = len(witnesses)
	}
	if t.quorum > len(t.witnesses) {
		return nil, fmt.Errorf("%d witnesses are to have cosigned, and %d of those given can be checked here%s",
			t.quorum, len(t.witnesses), strings.Join(append([]string{""}, t.ignored...), "; "))
	}
	return t, nil
}

// open opens a checkpoint that the ledger signed and enough witnesses cosigned.
func (t *trusted) open(signed []byte) (*checkpoint, error) {
	if err := checkSignatureLines(string(signed)); err != nil {
		return nil, err
	}
	opened, err := note.Open(signed, note.VerifierList(append([]note.Verifier{t.log}, t.witnesses...)...))
	if err != nil {
		return nil, err
	}
	head, err := parseCheckpoint(opened.Text)
	if err != nil {
		return nil, err
	}
	byLog := false
	for _, signature := range opened.Sigs {
		if signature.Name == t.log.Name() && signature.Hash == t.log.KeyHash() {
			byLog = true
		} else {
			head.cosigners = append(head.cosigners, signature.Name)
		}
	}
	switch {
	case !byLog:
		return nil, errors.New("the ledger has not signed this checkpoint")
	case head.origin != t.log.Name():
		return nil, fmt.Errorf("the checkpoint is of %q, not of %q", head.origin, t.log.Name())
	case len(head.cosigners) < t.quorum:
		return nil, fmt.Errorf("cosigned by %d witnesses, not by %d", len(head.cosigners), t.quorum)
	}
	return head, nil
}

// checkSignatureLines refuses Base 64 that is not the one text of its bytes, which note.Open lets pass.
func checkSignatureLines(signed string) error {
	lines := strings.Split(signed[strings.LastIndex(signed, "\n\n")+1:], "\n")
	for _, line := range lines {
		if line == "" {
			continue
		}
		encoded := line[strings.LastIndex(line, " ")+1:]
		if _, err := base64.StdEncoding.Strict().DecodeString(encoded); err != nil {
			return errors.New("a signature is not Base 64")
		}
	}
	return nil
}

// parseCheckpoint reads the note text of a checkpoint.
func parseCheckpoint(text string) (*checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[len(lines)-1] != "" || lines[0] == "" {
		return nil, errors.New("not the text of a checkpoint")
	}
	for _, extension := range lines[3 : len(lines)-1] {
		if extension == "" {
			return nil, errors.New("a checkpoint has no empty line")
		}
	}
	size, err := parseDecimal(lines[1])
	if err != nil {
		return nil, fmt.Errorf("tree size: %w", err)
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	if size == 0 && root != sha256.Sum256(nil) {
		return nil, errors.New("the empty tree has another root")
	}
	return &checkpoint{origin: lines[0], Tree: tlog.Tree{N: size, Hash: root}}, nil
}

// parseDecimal reads a number as C2SP texts write it: no sign, no leading zero, below 2^63.
func parseDecimal(text string) (int64, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(number, 10) != text || number < 0 {
		return 0, fmt.Errorf("%q is not a decimal number", text)
	}
	return number, nil
}

// parseHash reads the Base 64 of 32 bytes.
func parseHash(text string) (hash tlog.Hash, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != tlog.HashSize || strings.ContainsAny(text, "\r\n") {
		return hash, errors.New("not the Base 64 of 32 bytes")
	}
	copy(hash[:], raw)
	return hash, nil
}

// keyHash returns the key id that signed-note recommends: SHA-256(name || 0x0A || type || key)[:4].
func keyHash(name string, material []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), material...))
	return binary.BigEndian.Uint32(sum[:])
}
