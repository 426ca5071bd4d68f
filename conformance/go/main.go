// Ledger-check verifies a Lightwell ledger, one receipt or one promise, with none of Lightwell's own code.
//
// The tree is checked by golang.org/x/mod/sumdb/tlog and the notes by golang.org/x/mod/sumdb/note, the
// packages behind Go's checksum database; this program only finds their bytes at C2SP tlog-tiles paths.
//
//	ledger-check -vkey KEY [-witness KEY]... [-quorum N] [-all | -sample N] LEDGER [CHECKPOINT...]
//	ledger-check verify -vkey KEY [-witness KEY]... [-quorum N] [-entry FILE] PROOF
//	ledger-check promise -vkey KEY -entry FILE PROMISE
//
// LEDGER is a folder or an http(s) address. Each CHECKPOINT is a file with a checkpoint saved before, which
// the ledger's present one must be consistent with. PROOF is a c2sp.org/tlog-proof@v1 file;
// PROMISE is the text that a cell answered a slate with.
//
// Exit codes: 0 everything holds, 1 something does not hold, 2 it could not be checked (usage, a file that
// cannot be read, a server that does not answer).
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	exitHolds   = 0
	exitWrong   = 1
	exitUnknown = 2
)

// unchecked is the error of what could not be looked at, as opposed to what was looked at and is wrong.
type unchecked struct{ error }

func uncheckedf(format string, args ...any) error {
	return unchecked{fmt.Errorf(format, args...)}
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, problems io.Writer) int {
	command := checkLedger
	if len(args) > 0 {
		switch args[0] {
		case "verify":
			command, args = verifyProof, args[1:]
		case "promise":
			command, args = verifyPromise, args[1:]
		}
	}
	err := command(args, out)
	if err == nil {
		return exitHolds
	}
	fmt.Fprintln(problems, "ledger-check:", strings.ReplaceAll(err.Error(), "\n", " "))
	var unseen unchecked
	if errors.As(err, &unseen) {
		return exitUnknown
	}
	return exitWrong
}

// texts is a flag that may be given more than once.
type texts []string

func (t *texts) String() string { return strings.Join(*t, " ") }

func (t *texts) Set(value string) error {
	*t = append(*t, value)
	return nil
}

// options are the flags that all commands take, and the rest of the command line.
type options struct {
	*flag.FlagSet
	vkey      string
	witnesses texts
	quorum    int
}

func newOptions(name string) *options {
	o := &options{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	o.SetOutput(io.Discard)
	o.StringVar(&o.vkey, "vkey", "", "the ledger's verifier key; its name is the ledger's origin")
	o.Var(&o.witnesses, "witness", "a witness's verifier key; may be given more than once")
	o.IntVar(&o.quorum, "quorum", -1, "how many witnesses must have cosigned; all of those given if left out")
	return o
}

// trust parses the command line and returns whom its keys say to believe.
func (o *options) trust(args []string) (*trusted, error) {
	if err := o.Parse(args); err != nil {
		return nil, unchecked{err}
	}
	if o.vkey == "" {
		return nil, uncheckedf("-vkey is needed: the verifier key of the ledger")
	}
	known, err := newTrusted(o.vkey, o.witnesses, o.quorum)
	if err != nil {
		return nil, unchecked{err}
	}
	return known, nil
}
