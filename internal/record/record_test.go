package record_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"silo/internal/record"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

type thing struct{ Name string }

// TestWhatAPowerCutLeaves damages records at each stage of their way to the
// disk.
func TestWhatAPowerCutLeaves(t *testing.T) {
	for _, tt := range []struct {
		name    string
		d       record.Durability
		sync    bool
		content string
		want    error // nil: it is read as it was written
	}{
		{"volatile and whole", record.Volatile, false, "", nil},
		{"volatile, no content", record.Volatile, false, "\x00\x00", record.ErrEmpty},
		{"volatile, what was there before", record.Volatile, false, "\x0eold", record.ErrEmpty},
		{"synced and whole", record.Volatile, true, "", nil},
		{"synced, then damaged", record.Volatile, true, "\x0eold", record.ErrCorrupt},
		{"durable, then damaged", record.Durable, false, "{", record.ErrCorrupt},
		{"durable, then no content", record.Durable, false, "\x00\x00", record.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.json")
			if err := record.Write(path, thing{"a"}, tt.d); err != nil {
				t.Fatal(err)
			}
			if tt.sync {
				if err := record.Sync(path); err != nil {
					t.Fatal(err)
				}
			}
			if tt.content != "" {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				err = errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte(tt.content), 0), os.Chmod(path, info.Mode()))
				if err != nil {
					t.Fatal(err)
				}
			}
			var got thing
			err := record.Read(path, &got)
			if !errors.Is(err, tt.want) || tt.want == nil && (err != nil || got.Name != "a") {
				t.Errorf("%+v, %v, want %v", got, err, tt.want)
			}
		})
	}
	if err := record.Read(filepath.Join(t.TempDir(), "x.json"), &thing{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no record: %v", err)
	}
}

// TestDraft: a record whose file is made ahead is empty until it is written.
func TestDraft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	d, err := record.NewDraft(path)
	if err != nil {
		t.Fatal(err)
	}
	var got thing
	if err := record.Read(path, &got); !errors.Is(err, record.ErrEmpty) {
		t.Errorf("before it is written: %v, want ErrEmpty", err)
	}
	if _, err := record.NewDraft(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second draft: %v, want ErrExist", err)
	}
	if err := d.Write(thing{"a"}); err != nil {
		t.Fatal(err)
	}
	d.Drop() // it is no draft any more
	if err := record.Read(path, &got); err != nil || got.Name != "a" {
		t.Errorf("%+v, %v", got, err)
	}
	// What is left of a write that was broken off.
	half := filepath.Join(filepath.Dir(path), "half.json")
	if err := os.WriteFile(half, []byte(`{"Name": "`), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := record.Read(half, &got); !errors.Is(err, record.ErrEmpty) {
		t.Errorf("half a draft: %v, want ErrEmpty", err)
	}
	other := filepath.Join(filepath.Dir(path), "y.json")
	if d, err = record.NewDraft(other); err != nil {
		t.Fatal(err)
	}
	d.Drop()
	if _, err := os.Stat(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a draft that was dropped: %v", err)
	}
}
