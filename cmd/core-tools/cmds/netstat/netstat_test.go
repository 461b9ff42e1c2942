package main

import "testing"

func TestAddress(t *testing.T) {
	for word, want := range map[string]string{
		"0100007F:0050":                         "127.0.0.1:80",
		"00000000:0000":                         "0.0.0.0:*",
		"00000000000000000000000001000000:1F90": "[::1]:8080",
		"0000000000000000FFFF00000100007F:0016": "127.0.0.1:22",
		"nonsense":                              "nonsense",
	} {
		if got := address(word); got != want {
			t.Errorf("address(%s) = %s, want %s", word, got, want)
		}
	}
}
