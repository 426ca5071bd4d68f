package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	// A bundle of 256 entries of 65,535 bytes, each with two bytes of length, is the largest file.
	fileLimit = tileWidth * (2 + 65535)
)

// errMissing says that a ledger has no file of the name.
var errMissing = errors.New("missing")

// store reads the files of a ledger by their path below its prefix.
type store func(path string) ([]byte, error)

// openStore returns the store of a folder or of an http address.
func openStore(place string) store {
	if strings.HasPrefix(place, "http://") || strings.HasPrefix(place, "https://") {
		client := &http.Client{Timeout: 30 * time.Second}
		prefix := strings.TrimRight(place, "/") + "/"
		return func(path string) ([]byte, error) { return get(client, prefix+path) }
	}
	return func(path string) ([]byte, error) {
		file, err := os.Open(filepath.Join(place, filepath.FromSlash(path)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errMissing
		}
		if err != nil {
			return nil, unchecked{err}
		}
		defer file.Close()
		return readAll(file)
	}
}

func get(client *http.Client, address string) ([]byte, error) {
	answer, err := client.Get(address)
	if err != nil {
		return nil, unchecked{err}
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return readAll(answer.Body)
	case http.StatusNotFound, http.StatusGone:
		return nil, errMissing
	}
	return nil, uncheckedf("%s: %s", address, answer.Status)
}

func readAll(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, fileLimit+1))
	if err != nil {
		return nil, unchecked{err}
	}
	if len(data) > fileLimit {
		return nil, errors.New("larger than any file of a ledger")
	}
	return data, nil
}

// filePath writes a path as C2SP tlog-tiles has it, such as tile/0/x001/x234/067.p/5.
func filePath(level string, index int64, width int) string {
	name := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		name = fmt.Sprintf("x%03d/%s", index%1000, name)
	}
	if width < tileWidth {
		name = fmt.Sprintf("%s.p/%d", name, width)
	}
	return "tile/" + level + "/" + name
}

// read returns a file of a width; whole says that the full one stands in for a partial one that is gone.
func (s store) read(level string, index int64, width int) (data []byte, whole bool, err error) {
	path := filePath(level, index, width)
	data, err = s(path)
	if errors.Is(err, errMissing) && width < tileWidth {
		data, err = s(filePath(level, index, tileWidth))
		whole = true
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	return data, whole || width == tileWidth, nil
}

// tiles is a tlog.TileReader over a store. It remembers what it read: proofs share most of their tiles.
type tiles struct {
	from store
	seen map[tlog.Tile][]byte
}

func (t *tiles) Height() int { return tileHeight }

func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, tile := range wanted {
		data, ok := t.seen[tile]
		if !ok {
			var err error
			if data, err = t.readTile(tile); err != nil {
				return nil, err
			}
			if tile.L == 0 && len(t.seen) > 4096 {
				// Leaf tiles of a large ledger are looked at once or twice: do not hold them all.
				t.seen = map[tlog.Tile][]byte{}
			}
			t.seen[tile] = data
		}
		found[i] = data
	}
	return found, nil
}

func (t *tiles) readTile(tile tlog.Tile) ([]byte, error) {
	level := fmt.Sprint(tile.L)
	data, whole, err := t.from.read(level, tile.N, tile.W)
	if err != nil {
		return nil, err
	}
	want := tile.W * tlog.HashSize
	if whole && len(data) == tileWidth*tlog.HashSize {
		return data[:want], nil
	}
	if len(data) != want {
		return nil, fmt.Errorf("%s: has %d bytes, not %d", filePath(level, tile.N, tile.W), len(data), want)
	}
	return data, nil
}

// bundle returns the first width entries of an entry bundle.
func (s store) bundle(index int64, width int) ([][]byte, error) {
	path := filePath("entries", index, width)
	data, whole, err := s.read("entries", index, width)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(data[0])<<8+int(data[1]) {
			return nil, fmt.Errorf("%s: is cut short", path)
		}
		end := 2 + int(data[0])<<8 + int(data[1])
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if len(entries) != width && !(whole && len(entries) == tileWidth) {
		return nil, fmt.Errorf("%s: has %d entries, not %d", path, len(entries), width)
	}
	return entries[:width], nil
}
