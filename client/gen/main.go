// Command gen copies the wire types that the client needs out of
// github.com/moby/moby/api into packages below client/.
//
// The originals import the types of OCI images, whose digests come with regular
// expressions that are compiled at every start of a program: a tenth of the
// time that a short command takes. Fields of such types become json.RawMessage
// here. A test in each package compares the copies with the originals.
//
// Usage: go run ./client/gen [ROOT]; ROOT is the root of the module.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const api = "github.com/moby/moby/api/types/"

// packages lists the types that each package is to have; those that they need
// follow.
var packages = map[string][]string{
	"container": {
		"CreateRequest", "CreateResponse", "Summary", "InspectResponse", "StatsResponse", "TopResponse", "UpdateConfig", "UpdateResponse",
		"WaitResponse", "WaitCondition", "ExecCreateRequest", "ExecCreateResponse", "ExecStartRequest", "ExecInspectResponse", "PruneReport", "DiskUsage",
	},
	"image":  {"Summary", "InspectResponse", "HistoryResponseItem", "DeleteResponse", "PruneReport", "DiskUsage"},
	"system": {"Info", "VersionResponse", "DiskUsage"},
	"volume": {"Volume", "ListResponse", "CreateRequest", "PruneReport", "DiskUsage"},
}

// keep are the packages that cost nothing and are imported as they are.
var keep = []string{
	"net/netip", "time", "os", "github.com/docker/go-units", api + "network", api + "mount", api + "common",
}

// moved are packages of the originals that have a copy.
var moved = map[string]string{
	api + "container": "silo/client/container", api + "image": "silo/client/image", api + "volume": "silo/client/volume",
}

// inline are packages whose types are copied where they are needed, except
// those that are raw.
var inline = []string{
	api + "blkiodev", "github.com/moby/docker-image-spec/specs-go/v1", "github.com/opencontainers/image-spec/specs-go/v1",
}

// raw are types that stay JSON.
var raw = []string{"Descriptor", "ClusterVolume", "ClusterVolumeSpec", "ManifestSummary", "Identity"}

// source is one package of originals.
type source struct {
	path   string
	types  map[string]*ast.TypeSpec
	files  map[string]*ast.File // the file of each type
	consts []*ast.GenDecl
}

// output is one package to be written.
type output struct {
	name    string
	order   []string
	decls   map[string]string
	imports map[string]bool
	consts  map[string]string
}

var sources = map[string]*source{}

func main() {
	if len(os.Args) > 1 {
		check(os.Chdir(os.Args[1]))
	}
	for name, types := range packages {
		o := &output{name: name, decls: map[string]string{}, imports: map[string]bool{}, consts: map[string]string{}}
		for _, t := range types {
			o.add(load(api+name), t)
		}
		o.write()
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// load parses a package for this platform.
func load(pkg string) *source {
	if s := sources[pkg]; s != nil {
		return s
	}
	list, err := exec.Command("go", "list", "-f", "{{.Dir}}\n{{join .GoFiles \"\\n\"}}", pkg).Output()
	check(err)
	lines := strings.Fields(string(list))
	s := &source{path: pkg, types: map[string]*ast.TypeSpec{}, files: map[string]*ast.File{}}
	for _, name := range lines[1:] {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(lines[0], name), nil, 0)
		check(err)
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if ok && g.Tok == token.CONST {
				s.consts = append(s.consts, g)
			}
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, spec := range g.Specs {
				t := spec.(*ast.TypeSpec)
				s.types[t.Name.Name], s.files[t.Name.Name] = t, f
			}
		}
	}
	sources[pkg] = s
	return s
}

// add copies a type and what it needs.
func (o *output) add(s *source, name string) {
	if _, ok := o.decls[name]; ok {
		return
	}
	t := s.types[name]
	if t == nil {
		check(fmt.Errorf("%s has no type %s", s.path, name))
	}
	o.decls[name] = ""
	o.order = append(o.order, name)
	expr := o.expr(s, s.files[name], t.Type)
	eq := ""
	if t.Assign.IsValid() {
		eq = "= "
	}
	o.decls[name] = "type " + name + " " + eq + text(expr)
	o.constants(s, name)
}

// constants copies the constants of a type.
func (o *output) constants(s *source, name string) {
	var b strings.Builder
	for _, g := range s.consts {
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == name && len(v.Values) == 1 {
				fmt.Fprintf(&b, "%s %s = %s\n", v.Names[0].Name, name, text(v.Values[0]))
			}
		}
	}
	if b.Len() > 0 {
		o.consts[name] = "const (\n" + b.String() + ")"
	}
}

func text(e ast.Expr) string {
	var b bytes.Buffer
	check(format.Node(&b, token.NewFileSet(), e))
	return b.String()
}

// expr gives a type with its references resolved.
func (o *output) expr(s *source, f *ast.File, e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.Ident:
		if s.types[e.Name] == nil {
			return e
		}
		if slices.Contains(raw, e.Name) {
			return o.raw()
		}
		o.add(s, e.Name)
		return e
	case *ast.StarExpr:
		x := o.expr(s, f, e.X)
		if isRaw(x) {
			return x
		}
		return &ast.StarExpr{X: x}
	case *ast.ArrayType:
		x := o.expr(s, f, e.Elt)
		if isRaw(x) {
			return x
		}
		return &ast.ArrayType{Len: e.Len, Elt: x}
	case *ast.MapType:
		return &ast.MapType{Key: o.expr(s, f, e.Key), Value: o.expr(s, f, e.Value)}
	case *ast.StructType:
		return o.structType(s, f, e)
	case *ast.SelectorExpr:
		return o.selector(f, e)
	}
	return e
}

func (o *output) structType(s *source, f *ast.File, e *ast.StructType) ast.Expr {
	fields := &ast.FieldList{}
	for _, field := range e.Fields.List {
		x := o.expr(s, f, field.Type)
		fields.List = append(fields.List, &ast.Field{Names: field.Names, Type: x, Tag: field.Tag})
	}
	return &ast.StructType{Fields: fields}
}

// selector resolves a type of another package.
func (o *output) selector(f *ast.File, e *ast.SelectorExpr) ast.Expr {
	pkg := importPath(f, e.X.(*ast.Ident).Name)
	switch {
	case slices.Contains(keep, pkg):
		o.imports[pkg] = true
		return e
	case moved[pkg] != "" && !slices.Contains(raw, e.Sel.Name):
		o.imports[moved[pkg]] = true
		return e
	case slices.Contains(inline, pkg) && !slices.Contains(raw, e.Sel.Name):
		o.add(load(pkg), e.Sel.Name)
		return e.Sel
	}
	return o.raw()
}

func (o *output) raw() ast.Expr {
	o.imports["encoding/json"] = true
	return &ast.SelectorExpr{X: ast.NewIdent("json"), Sel: ast.NewIdent("RawMessage")}
}

func isRaw(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "RawMessage"
}

// importPath finds the package that a name stands for in a file.
func importPath(f *ast.File, name string) string {
	for _, i := range f.Imports {
		p := strings.Trim(i.Path.Value, `"`)
		base := path.Base(p)
		if base == "go-units" {
			base = "units"
		}
		if i.Name != nil && i.Name.Name == name || i.Name == nil && base == name {
			return p
		}
	}
	check(fmt.Errorf("%s: no import %s", f.Name.Name, name))
	return ""
}

func (o *output) write() {
	var b bytes.Buffer
	fmt.Fprintf(&b, "// Code generated by client/gen from %s%s. DO NOT EDIT.\n\n", api, o.name)
	fmt.Fprintf(&b, "// Package %s holds Docker's %s types as the client needs them: see client/gen\n// for why they are copies.\npackage %s\n\nimport (\n", o.name, o.name, o.name)
	imports := make([]string, 0, len(o.imports))
	for i := range o.imports {
		imports = append(imports, i)
	}
	slices.Sort(imports)
	for _, i := range imports {
		fmt.Fprintf(&b, "%q\n", i)
	}
	b.WriteString(")\n")
	for _, name := range o.order {
		fmt.Fprintf(&b, "\n%s\n", o.decls[name])
		if c := o.consts[name]; c != "" {
			fmt.Fprintf(&b, "\n%s\n", c)
		}
	}
	out, err := format.Source(b.Bytes())
	if err != nil {
		os.Stderr.Write(b.Bytes())
	}
	check(err)
	dir := filepath.Join("client", o.name)
	check(os.MkdirAll(dir, 0o777))
	check(os.WriteFile(filepath.Join(dir, "types.go"), out, 0o666))
}
