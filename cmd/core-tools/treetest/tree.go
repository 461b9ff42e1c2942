// Package treetest lays out trees of files for tests.
package treetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Lay makes files by their paths below a folder of the test's own, and gives
// the folder. A content that starts with "->" is a link.
func Lay(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "->"); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}
