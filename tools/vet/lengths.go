package main

import (
	"go/ast"
)

// The budget for lengths, in lines. Good and bad trees agree on the middle;
// they part at the tail, so the tail is what is limited.
const (
	mostFile     = 500 // more needs an exception
	hardFile     = 800 // no exception helps
	mostFunc     = 60
	mostTest     = 100 // a test tells one story from its start to its end
	mostMain     = 20
	mostFuncsPct = 4.0 // percentage of functions over mostFunc, exceptions included
)

func (r *repository) checkLengths() {
	funcs, long := 0, 0
	for _, f := range r.files {
		if f.lines > hardFile {
			r.problems = append(r.problems, "file: "+f.path+": over 800 lines: split it")
		} else if f.lines > mostFile {
			r.report("file", f.path, "%d lines, at most %d", f.lines, mostFile)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			length := r.line(fn.End()) - r.line(fn.Pos()) + 1 - r.tableLines(fn)
			funcs++
			most := mostFunc
			if f.test {
				most = mostTest
			}
			if length > most {
				long++
				r.report("func", f.path+":"+name(fn), "%d lines without its tables, at most %d", length, most)
			}
			if f.ast.Name.Name == "main" && fn.Name.Name == "main" && fn.Recv == nil && length > mostMain && isProgram(f.path) {
				r.report("func", f.path+":main", "%d lines, at most %d for the main of a program", length, mostMain)
			}
		}
	}
	if share := 100 * float64(long) / float64(max(funcs, 1)); share > mostFuncsPct {
		r.report("func", "all", "%.1f %% of %d functions are over %d lines, at most %.0f %%", share, funcs, mostFunc, mostFuncsPct)
	}
}

func isProgram(path string) bool {
	for _, p := range []string{"cmd/silo/", "cmd/silod/", "cmd/silo-keeper/", "cmd/silo-agent/"} {
		if len(path) > len(p) && path[:len(p)] == p {
			return true
		}
	}
	return false
}

// tableLines counts the lines of the table of a function: its longest
// composite literal of at least five lines. A table may be as long as it is.
func (r *repository) tableLines(fn *ast.FuncDecl) int {
	longest := 0
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if lines := r.line(lit.End()) - r.line(lit.Pos()); lines >= 5 && isTable(lit) {
			longest = max(longest, lines)
		}
		return false
	})
	return longest
}

// isTable tells whether a literal lists things: elements without field names,
// or with computed keys.
func isTable(lit *ast.CompositeLit) bool {
	switch lit.Type.(type) {
	case *ast.ArrayType, *ast.MapType:
		return true
	}
	return false
}

func name(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	if g, ok := t.(*ast.IndexExpr); ok {
		t = g.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}
