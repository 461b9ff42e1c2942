package early_test

import (
	"fmt"
	"os"
	"testing"

	"silo/internal/testenv"
)

// folder is for what tests of this run share.
var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "silo-early"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := testenv.Run(m)
	os.RemoveAll(folder)
	os.Exit(code)
}
