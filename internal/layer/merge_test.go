package layer

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	reader "github.com/erofs/go-erofs"
)

// TestMerge tells the rules of merging: each case has its layers, the lowest
// first, and what a container sees.
func TestMerge(t *testing.T) {
	big := strings.Repeat("0123456789", 10000)
	root := "/ drwxr-xr-x 0:0 2"
	cases := []struct {
		name   string
		layers [][]e
		want   []string
	}{
		{"no layer", nil, []string{root}},
		{"upper file wins", [][]e{{file("a", "old")}, {file("a", "new")}}, []string{root, "/a -rw-r--r-- 0:0 1 new"}},
		{"whiteout", [][]e{{file("a", "1"), file("b", "2")}, {file(".wh.a", "")}}, []string{root, "/b -rw-r--r-- 0:0 1 2"}},
		{"whiteout of a folder", [][]e{{file("d/a", "1"), file("b", "2")}, {file(".wh.d", "")}}, []string{root, "/b -rw-r--r-- 0:0 1 2"}},
		{"whiteout, then again", [][]e{{file("a", "1")}, {file(".wh.a", "")}, {file("a", "3")}}, []string{root, "/a -rw-r--r-- 0:0 1 3"}},
		{"whiteout of the middle only", [][]e{{file("a", "1")}, {file("a", "2")}, {file(".wh.a", "")}}, []string{root}},
		{
			"whiteout spares its own layer, before",
			[][]e{{file("d/a", "1")}, {file(".wh.d", ""), file("d/b", "2")}},
			[]string{"/ drwxr-xr-x 0:0 3", "/d drwxr-xr-x 0:0 2", "/d/b -rw-r--r-- 0:0 1 2"},
		},
		{
			"whiteout spares its own layer, after",
			[][]e{{file("d/a", "1")}, {file("d/b", "2"), file(".wh.d", "")}},
			[]string{"/ drwxr-xr-x 0:0 3", "/d drwxr-xr-x 0:0 2", "/d/b -rw-r--r-- 0:0 1 2"},
		},
		{
			"opaque",
			[][]e{{file("d/a", "1"), file("d/sub/x", "1")}, {file("d/sub/y", "2"), file("d/.wh..wh..opq", ""), file("d/b", "2")}},
			[]string{"/ drwxr-xr-x 0:0 3", "/d drwxr-xr-x 0:0 3", "/d/b -rw-r--r-- 0:0 1 2", "/d/sub drwxr-xr-x 0:0 2", "/d/sub/y -rw-r--r-- 0:0 1 2"},
		},
		{"opaque root", [][]e{{file("a", "1")}, {file(".wh..wh..opq", ""), file("b", "2")}}, []string{root, "/b -rw-r--r-- 0:0 1 2"}},
		{
			"opaque in the middle",
			[][]e{{file("d/a", "1")}, {file("d/.wh..wh..opq", "")}, {file("d/b", "3")}},
			[]string{"/ drwxr-xr-x 0:0 3", "/d drwxr-xr-x 0:0 2", "/d/b -rw-r--r-- 0:0 1 3"},
		},
		{"file over folder", [][]e{{file("d/a", "1")}, {file("d", "file")}}, []string{root, "/d -rw-r--r-- 0:0 1 file"}},
		{"folder over file", [][]e{{file("d", "file")}, {folder("d", 0o700)}}, []string{"/ drwxr-xr-x 0:0 3", "/d drwx------ 0:0 2"}},
		{
			"folder over file over folder",
			[][]e{{file("d/a", "1")}, {file("d", "file")}, {file("d/c", "3")}},
			[]string{"/ drwxr-xr-x 0:0 3", "/d drwxr-xr-x 0:0 2", "/d/c -rw-r--r-- 0:0 1 3"},
		},
		{
			"folders merge, upper attributes",
			[][]e{{folder("d", 0o1777), file("d/a", "1")}, {folder("d", 0o750), file("d/b", "2")}},
			[]string{"/ drwxr-xr-x 0:0 3", "/d drwxr-x--- 0:0 2", "/d/a -rw-r--r-- 0:0 1 1", "/d/b -rw-r--r-- 0:0 1 2"},
		},
		{
			"implied folder keeps lower attributes",
			[][]e{{folder("tmp", 0o1777)}, {file("tmp/x", "")}},
			[]string{"/ drwxr-xr-x 0:0 3", "/tmp dtrwxrwxrwx 0:0 2", "/tmp/x -rw-r--r-- 0:0 1"},
		},
		{
			"implied folder after whiteout does not",
			[][]e{{folder("tmp", 0o1777)}, {file(".wh.tmp", ""), file("tmp/x", "")}},
			[]string{"/ drwxr-xr-x 0:0 3", "/tmp drwxr-xr-x 0:0 2", "/tmp/x -rw-r--r-- 0:0 1"},
		},
		{"root keeps its attributes", [][]e{{folder("./", 0o700)}, {file("./a", "")}}, []string{"/ drwx------ 0:0 2", "/a -rw-r--r-- 0:0 1"}},
		{"last of a name wins", [][]e{{file("a", "1"), file("./a", "2"), file("/a", "3")}}, []string{root, "/a -rw-r--r-- 0:0 1 3"}},
		{"file over folder in one layer", [][]e{{file("d/a", "1"), file("d", "2")}}, []string{root, "/d -rw-r--r-- 0:0 1 2"}},
		{
			"paths count from the root",
			[][]e{{file("/abs", "1"), file("x/../y", "2"), file("/../../z", "3")}},
			[]string{root, "/abs -rw-r--r-- 0:0 1 1", "/y -rw-r--r-- 0:0 1 2", "/z -rw-r--r-- 0:0 1 3"},
		},
		{
			"symbolic link in its layer is followed within the root",
			[][]e{{symlink("l", "../../real"), file("l/a", "1"), symlink("m", "/l/sub/./.."), file("m/b", "2")}},
			[]string{
				"/ drwxr-xr-x 0:0 3", "/l Lrwxrwxrwx 0:0 1 -> ../../real", "/m Lrwxrwxrwx 0:0 1 -> /l/sub/./..",
				"/real drwxr-xr-x 0:0 3", "/real/a -rw-r--r-- 0:0 1 1", "/real/b -rw-r--r-- 0:0 1 2", "/real/sub drwxr-xr-x 0:0 2",
			},
		},
		{
			"symbolic link of a lower layer is replaced",
			[][]e{{folder("etc", 0o755), symlink("l", "/etc")}, {file("l/passwd", "evil")}},
			[]string{"/ drwxr-xr-x 0:0 4", "/etc drwxr-xr-x 0:0 2", "/l drwxr-xr-x 0:0 2", "/l/passwd -rw-r--r-- 0:0 1 evil"},
		},
		{
			"hard links",
			[][]e{{file("a", "1"), hard("d/b", "/a"), hard("c", "d/b")}},
			[]string{"/ drwxr-xr-x 0:0 3", "/a -rw-r--r-- 0:0 3 1", "/c -rw-r--r-- 0:0 3 1", "/d drwxr-xr-x 0:0 2", "/d/b -rw-r--r-- 0:0 3 1"},
		},
		{"hard link to a symbolic link", [][]e{{symlink("s", "a"), hard("b", "s")}}, []string{root, "/b Lrwxrwxrwx 0:0 2 -> a", "/s Lrwxrwxrwx 0:0 2 -> a"}},
		{
			"hard link through a symbolic link",
			[][]e{{file("d/f", "1"), symlink("s", "d"), hard("b", "s/f")}},
			[]string{"/ drwxr-xr-x 0:0 3", "/b -rw-r--r-- 0:0 2 1", "/d drwxr-xr-x 0:0 2", "/d/f -rw-r--r-- 0:0 2 1", "/s Lrwxrwxrwx 0:0 1 -> d"},
		},
		{"hard link to itself", [][]e{{file("a", "1"), hard("a", "./a")}}, []string{root, "/a -rw-r--r-- 0:0 1 1"}},
		{
			"link survives the whiteout of its target",
			[][]e{{file("a", big), hard("b", "a"), file("c", "gone")}, {file(".wh.a", ""), file("c", "new")}},
			[]string{root, "/b -rw-r--r-- 0:0 1 " + short([]byte(big)), "/c -rw-r--r-- 0:0 1 new"},
		},
		{
			"link survives the replacement of its target",
			[][]e{{file("a", "1"), hard("b", "a")}, {file("a", "2")}},
			[]string{root, "/a -rw-r--r-- 0:0 1 2", "/b -rw-r--r-- 0:0 1 1"},
		},
		{"hard link into a lower layer", [][]e{{file("a", "1")}, {}, {hard("b", "a")}}, []string{root, "/a -rw-r--r-- 0:0 2 1", "/b -rw-r--r-- 0:0 2 1"}},
		{
			"chain of hard links through layers",
			[][]e{{file("a", big)}, {hard("b", "a")}, {hard("c", "b"), hard("d", "c")}, {file(".wh.a", ""), file(".wh.b", "")}},
			[]string{root, "/c -rw-r--r-- 0:0 2 " + short([]byte(big)), "/d -rw-r--r-- 0:0 2 " + short([]byte(big))},
		},
		{
			"hard link to the nearest lower file",
			[][]e{{file("a", "1")}, {file("a", "2")}, {hard("b", "a")}, {file("a", "4")}},
			[]string{root, "/a -rw-r--r-- 0:0 1 4", "/b -rw-r--r-- 0:0 1 2"},
		},
		{"files of AUFS are left out", [][]e{{file(".wh..wh.aufs", "x"), file(".wh..wh.plnk/1.2", "x"), file("a", "1")}}, []string{root, "/a -rw-r--r-- 0:0 1 1"}},
		{"names of any bytes", [][]e{{file("\xff\xfe", "1"), file("a\nb", "2")}}, []string{root, "/a\nb -rw-r--r-- 0:0 1 2", "/\xff\xfe -rw-r--r-- 0:0 1 1"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var tars [][]byte
			for _, l := range c.layers {
				tars = append(tars, tarOf(t, l...))
			}
			check(t, c.want, tars...)
		})
	}
}

// TestLongestPath has no fsck.erofs: version 1.5 crashes on such a path.
func TestLongestPath(t *testing.T) {
	deep := strings.Repeat("d/", 2047) + "f"
	b := build(t, tarOf(t, file(deep, "deep")))
	f, err := os.Open(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fsys, err := reader.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(fsys, deep); err != nil || string(got) != "deep" {
		t.Fatalf("%q, %v", got, err)
	}
}
