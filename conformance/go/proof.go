package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const proofHeader = "c2sp.org/tlog-proof@v1"

// proof is a C2SP tlog-proof: one entry's place in a signed tree.
type proof struct {
	extra  []byte // nil if there is no such line
	index  int64
	hashes tlog.RecordProof
	signed []byte
}

// verifyProof checks one proof file without the ledger and without a network.
func verifyProof(args []string, out io.Writer) error {
	o := newOptions("ledger-check verify")
	entryFile := o.String("entry", "", "file with the entry's bytes; a Lightwell receipt holds them itself")
	known, err := o.trust(args)
	if err != nil {
		return err
	}
	if o.NArg() != 1 {
		return uncheckedf("which proof? Give one file")
	}
	for _, line := range known.ignored {
		fmt.Fprintln(out, line)
	}
	text, err := os.ReadFile(o.Arg(0))
	if err != nil {
		return unchecked{err}
	}
	read, err := parseProof(string(text))
	if err != nil {
		return err
	}
	var entry []byte
	var opened string
	switch {
	case *entryFile != "":
		if entry, err = os.ReadFile(*entryFile); err != nil {
			return unchecked{err}
		}
	case read.extra == nil:
		return uncheckedf("which entry is this of? There is no extra line: give -entry FILE")
	default:
		if entry, opened, err = readReceipt(read.extra); err != nil {
			return err
		}
	}
	head, err := known.open(read.signed)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := tlog.CheckRecord(read.hashes, head.N, head.Hash, read.index, tlog.RecordHash(entry)); err != nil {
		return err
	}
	fmt.Fprintf(out, "entry %d of %s, %d entries, %s%s\n", read.index, head.origin, head.N, cosignedBy(head), opened)
	return nil
}

// parseProof reads a tlog-proof file.
func parseProof(text string) (*proof, error) {
	head, signed, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || lines[0] != proofHeader || len(lines) < 2 {
		return nil, errors.New("not a tlog-proof")
	}
	read, lines := &proof{signed: []byte(signed)}, lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		extra, err := base64.StdEncoding.Strict().DecodeString(lines[0][len("extra "):])
		if err != nil {
			return nil, errors.New("the extra line is not Base 64")
		}
		read.extra, lines = append([]byte{}, extra...), lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return nil, errors.New("there is no index line")
	}
	index, err := parseDecimal(lines[0][len("index "):])
	if err != nil {
		return nil, err
	}
	read.index = index
	for _, line := range lines[1:] {
		hash, err := parseHash(line)
		if err != nil {
			return nil, err
		}
		read.hashes = append(read.hashes, hash)
	}
	return read, nil
}

// readReceipt reads a Lightwell receipt's extra line: the entry's text and, if it has a commitment, what
// opens it. The opening is checked here; the entry is for the caller to find in the tree.
func readReceipt(extra []byte) (entry []byte, opened string, err error) {
	// A map keeps names as they are; decoding into a struct would take "Entry" for "entry".
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(extra, &fields); err != nil {
		return nil, "", errors.New("the extra line is not a receipt's")
	}
	var text, kind, opening string
	var digests []string
	wanted := map[string]any{"entry": &text, "kind": &kind, "opening": &opening, "digests": &digests}
	var content json.RawMessage
	for name, raw := range fields {
		if name == "content" {
			content = raw
		} else if target := wanted[name]; target == nil || json.Unmarshal(raw, target) != nil {
			return nil, "", fmt.Errorf("the extra line's field %q is not a receipt's", name)
		}
	}
	entry = []byte(text)
	if len(fields) == 1 && text != "" {
		return entry, "", nil
	}
	if len(fields) != len(wanted) && !(len(fields) == len(wanted)+1 && content != nil) {
		return nil, "", errors.New("a receipt with an opening has its kind, opening and digests")
	}
	if err := checkOpening(entry, kind, opening, digests, content); err != nil {
		return nil, "", err
	}
	return entry, ", commitment opened", nil
}

// checkOpening checks that an entry's commitment is HMAC-SHA256(opening, "lightwell/KIND/v1\n" + digests).
func checkOpening(entry []byte, kind, opening string, digests []string, content []byte) error {
	var fields map[string]json.RawMessage
	var committed string
	if json.Unmarshal(entry, &fields) != nil || json.Unmarshal(fields["commitment"], &committed) != nil {
		return errors.New("the entry has no commitment that could be opened")
	}
	key, err := lowerHex(opening)
	if err != nil || len(key) < 16 || len(digests) == 0 {
		return errors.New("an opening is 16 bytes or more, of one digest or more")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "lightwell/%s/v1\n", kind)
	var last []byte
	for _, text := range digests {
		if last, err = lowerHex(text); err != nil || len(last) != sha256.Size {
			return errors.New("a digest is 32 bytes")
		}
		mac.Write(last)
	}
	if hex.EncodeToString(mac.Sum(nil)) != committed {
		return errors.New("the opening does not open the entry's commitment")
	}
	// The extra line is canonical JSON, so that the content's bytes in it are the bytes that were hashed.
	if sum := sha256.Sum256(content); content != nil && !bytes.Equal(sum[:], last) {
		return errors.New("the content is not what the commitment covers")
	}
	return nil
}

// lowerHex reads hex that has one text for its bytes.
func lowerHex(text string) ([]byte, error) {
	raw, err := hex.DecodeString(text)
	if err == nil && hex.EncodeToString(raw) != text {
		err = errors.New("hex is written in lower case")
	}
	return raw, err
}
