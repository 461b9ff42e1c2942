// Command vet checks the rules of this repository that no ready-made linter
// knows: lengths, package comments and names, who may import whom, how errors
// and commits begin, that no test skips in silence, and that files named in
// text exist. `make check` runs it.
//
// What may break a rule is a line in exceptions.txt with the reason.
package main

import (
	"flag"
	"fmt"
	"os"
	"sort"
)

func main() {
	root := flag.String("root", ".", "root of the repository")
	commits := flag.Bool("commits", true, "check the subjects of commits too")
	flag.Parse()
	problems, err := run(*root, *commits)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vet:", err)
		os.Exit(2)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		fmt.Printf("%d problems; what must stay goes into tools/vet/exceptions.txt with its reason\n", len(problems))
		os.Exit(1)
	}
}

// run gives all problems, in order of their text.
func run(root string, commits bool) ([]string, error) {
	r, err := load(root)
	if err != nil {
		return nil, err
	}
	r.checkLengths()
	r.checkPackages()
	r.checkImports()
	r.checkErrors()
	r.checkSkips()
	r.checkNamedFiles()
	if commits {
		if err := r.checkCommits(); err != nil {
			return nil, err
		}
	}
	r.checkExceptions()
	sort.Strings(r.problems)
	return r.problems, nil
}
