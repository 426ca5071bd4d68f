package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	promiseHeader = "lightwell/promise/v2"
	promiseGroup  = 256     // entries that one signature may promise
	promiseTime   = 1 << 53 // times are below this
)

// promise is the ledger key's word that an entry is in the tree by a time.
type promise struct {
	origin string
	leaf   tlog.Hash
	by     int64 // seconds since the epoch
}

// verifyPromise checks one promise without the ledger and without a network.
func verifyPromise(args []string, out io.Writer) error {
	o := newOptions("ledger-check promise")
	entryFile := o.String("entry", "", "file with the entry's bytes")
	known, err := o.trust(args)
	if err != nil {
		return err
	}
	if o.NArg() != 1 || *entryFile == "" {
		return uncheckedf("which promise, of which entry? Give -entry FILE and one file")
	}
	text, err := os.ReadFile(o.Arg(0))
	if err != nil {
		return unchecked{err}
	}
	entry, err := os.ReadFile(*entryFile)
	if err != nil {
		return unchecked{err}
	}
	read, err := openPromise(string(text), known.log)
	if err != nil {
		return fmt.Errorf("promise: %w", err)
	}
	switch {
	case read.origin != known.log.Name():
		return fmt.Errorf("the promise is of %q, not of %q", read.origin, known.log.Name())
	case read.leaf != tlog.RecordHash(entry):
		return errors.New("the promise is of another entry")
	}
	fmt.Fprintf(out, "%s promised the entry of leaf hash %v by second %d\n", read.origin, read.leaf, read.by)
	return nil
}

// openPromise opens a promise that the ledger's key signed: a note by itself, or the place of an entry in a
// group, an empty line, and the note of the group.
func openPromise(text string, key note.Verifier) (*promise, error) {
	place, signed, grouped := "", text, strings.HasPrefix(text, "index ")
	if grouped {
		place, signed, _ = strings.Cut(text, "\n\n")
	}
	if err := checkSignatureLines(signed); err != nil {
		return nil, err
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(key))
	if err != nil {
		return nil, err
	}
	// A line more, even of the same key, would make another text of the same promise.
	if strings.Count(signed, "\n") != strings.Count(opened.Text, "\n")+2 {
		return nil, errors.New("a promise has one signature")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 6 || lines[0] != promiseHeader || lines[1] == "" {
		return nil, errors.New("not a promise")
	}
	size, err := parseBelow(lines[2], promiseGroup+1)
	if err != nil {
		return nil, err
	}
	root, err := parseHash(lines[3])
	if err != nil {
		return nil, err
	}
	by, err := parseBelow(lines[4], promiseTime)
	if err != nil {
		return nil, err
	}
	if size == 0 || grouped != (size > 1) {
		return nil, errors.New("a place is told in a group of two or more, and only there")
	}
	if !grouped {
		return &promise{lines[1], root, by}, nil
	}
	leaf, err := checkPlace(place, size, root)
	return &promise{lines[1], leaf, by}, err
}

// checkPlace returns the leaf hash that stands in a place, once it has been found to lead to the root.
func checkPlace(place string, size int64, root tlog.Hash) (leaf tlog.Hash, err error) {
	lines := strings.Split(place, "\n")
	if len(lines) < 2 {
		return leaf, errors.New("not the place of an entry in a group")
	}
	index, err := parseBelow(strings.TrimPrefix(lines[0], "index "), size)
	if err != nil {
		return leaf, err
	}
	if leaf, err = parseHash(lines[1]); err != nil {
		return leaf, err
	}
	var hashes tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := parseHash(line)
		if err != nil {
			return leaf, err
		}
		hashes = append(hashes, hash)
	}
	return leaf, tlog.CheckRecord(hashes, size, root, index, leaf)
}

// parseBelow reads a decimal number below a limit.
func parseBelow(text string, limit int64) (int64, error) {
	number, err := parseDecimal(text)
	if err == nil && number >= limit {
		err = fmt.Errorf("%d is out of range", number)
	}
	return number, err
}
