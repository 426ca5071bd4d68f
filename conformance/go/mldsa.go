//go:build go1.27

package main

import "crypto/mldsa"

// newMLDSA returns the check of plain ML-DSA-44 signatures (FIPS 204, empty context) by a public key.
func newMLDSA(public []byte) (func(message, signature []byte) bool, error) {
	key, err := mldsa.NewPublicKey(mldsa.MLDSA44(), public)
	if err != nil {
		return nil, err
	}
	return func(message, signature []byte) bool {
		return mldsa.Verify(key, message, signature, nil) == nil
	}, nil
}
