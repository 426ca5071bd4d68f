//go:build !go1.27

package main

// newMLDSA says that the standard library of this Go has no ML-DSA.
func newMLDSA([]byte) (func(message, signature []byte) bool, error) {
	return nil, errNoMLDSA
}
