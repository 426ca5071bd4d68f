module lightwell.example/ledger-check

go 1.19

require golang.org/x/mod v0.7.0

// Where Debian's golang-golang-x-mod-dev puts the package. Elsewhere, with a network:
// go mod edit -dropreplace golang.org/x/mod && go mod tidy
replace golang.org/x/mod => /usr/share/gocode/src/golang.org/x/mod
