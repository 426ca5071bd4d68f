package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// checkLedger checks a ledger's checkpoint, entries of it, and that it grew from checkpoints saved before.
func checkLedger(args []string, out io.Writer) error {
	o := newOptions("ledger-check")
	all := o.Bool("all", false, "check every entry")
	sample := o.Int("sample", 32, "how many entries to draw at random; the first and the last are checked too")
	known, err := o.trust(args)
	if err != nil {
		return err
	}
	if o.NArg() == 0 || *sample < 0 {
		return uncheckedf("which ledger? Give a folder or an address, then saved checkpoints if there are any")
	}
	for _, line := range known.ignored {
		fmt.Fprintln(out, line)
	}
	files := openStore(o.Arg(0))
	signed, err := files("checkpoint")
	if err != nil {
		return uncheckedf("checkpoint: %w", err)
	}
	head, err := known.open(signed)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	fmt.Fprintf(out, "checkpoint: %s, %d entries, %s\n", head.origin, head.N, cosignedBy(head))
	ledger := &ledger{files, head, tlog.TileHashReader(head.Tree, &tiles{files, map[tlog.Tile][]byte{}})}
	if *all {
		if err := ledger.checkAll(); err != nil {
			return err
		}
		fmt.Fprintf(out, "entries: all %d compared with their leaf hashes\n", head.N)
	}
	indexes, err := ledger.draw(*sample)
	if err != nil {
		return err
	}
	for _, index := range indexes {
		if err := ledger.checkInclusion(index); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	fmt.Fprintf(out, "inclusion: %d entries proven\n", len(indexes))
	for _, name := range o.Args()[1:] {
		if err := ledger.checkSaved(known, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	fmt.Fprintf(out, "consistency: with %d saved checkpoints\n", o.NArg()-1)
	return nil
}

func cosignedBy(head *checkpoint) string {
	if len(head.cosigners) == 0 {
		return "no witness asked for"
	}
	return "cosigned by " + strings.Join(head.cosigners, ", ")
}

// ledger is a ledger as one checkpoint has it; hashes are checked against the root as they are read.
type ledger struct {
	files  store
	head   *checkpoint
	hashes tlog.HashReader
}

// draw returns the first entry, the last, and as many random ones as are wanted.
func (l *ledger) draw(count int) ([]int64, error) {
	if l.head.N == 0 {
		return nil, nil
	}
	indexes := []int64{0, l.head.N - 1}
	for i := 0; i < count; i++ {
		index, err := rand.Int(rand.Reader, big.NewInt(l.head.N))
		if err != nil {
			return nil, unchecked{err}
		}
		indexes = append(indexes, index.Int64())
	}
	return indexes, nil
}

// checkInclusion proves one entry's place: its bytes are read from the bundle, its proof from the tiles.
func (l *ledger) checkInclusion(index int64) error {
	entries, err := l.files.bundle(index/tileWidth, l.width(index/tileWidth))
	if err != nil {
		return err
	}
	proof, err := tlog.ProveRecord(l.head.N, index, l.hashes)
	if err != nil {
		return err
	}
	leaf := tlog.RecordHash(entries[index%tileWidth])
	return tlog.CheckRecord(proof, l.head.N, l.head.Hash, index, leaf)
}

// checkAll compares every entry with its leaf hash, which is shown to be in the tree as it is read.
func (l *ledger) checkAll() error {
	for bundle := int64(0); bundle*tileWidth < l.head.N; bundle++ {
		width := l.width(bundle)
		entries, err := l.files.bundle(bundle, width)
		if err != nil {
			return err
		}
		indexes := make([]int64, width)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, bundle*tileWidth+int64(i))
		}
		leaves, err := l.hashes.ReadHashes(indexes)
		if err != nil {
			return fmt.Errorf("tiles over entries %d and on: %w", bundle*tileWidth, err)
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != leaves[i] {
				return fmt.Errorf("entry %d: its bytes are not those of its leaf hash", bundle*tileWidth+int64(i))
			}
		}
	}
	return nil
}

// checkSaved checks that the ledger's present tree grew from the one of a checkpoint saved before.
func (l *ledger) checkSaved(known *trusted, name string) error {
	signed, err := os.ReadFile(name)
	if err != nil {
		return unchecked{err}
	}
	saved, err := known.open(signed)
	if err != nil {
		return err
	}
	if saved.N > l.head.N {
		return fmt.Errorf("had %d entries, the ledger now has %d: entries were taken away", saved.N, l.head.N)
	}
	if saved.N == 0 {
		return nil // every tree grew from the empty one
	}
	proof, err := tlog.ProveTree(l.head.N, saved.N, l.hashes)
	if err != nil {
		return err
	}
	if tlog.CheckTree(proof, l.head.N, l.head.Hash, saved.N, saved.Hash) != nil {
		return errors.New("the ledger did not grow from it: its history was rewritten, or there are two ledgers")
	}
	return nil
}

func (l *ledger) width(bundle int64) int {
	if rest := l.head.N - bundle*tileWidth; rest < tileWidth {
		return int(rest)
	}
	return tileWidth
}
