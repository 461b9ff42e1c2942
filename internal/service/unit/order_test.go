package unit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// jobs lists a transaction as "start a.service", "stop b.service", ….
func jobs(tx *Transaction) []string { return strings.Split(strings.TrimSpace(tx.String()), "\n") }

// graph makes a set of services without default dependencies; each line is a
// name, a colon, and directives with blanks between.
func graph(lines ...string) *Set {
	files := map[string]string{}
	for _, l := range lines {
		name, deps, _ := strings.Cut(l, ":")
		files["/usr/lib/systemd/system/"+name+".service"] = "[Unit]\nDefaultDependencies=no\n" +
			strings.ReplaceAll(strings.TrimSpace(deps), " ", "\n") + "\n[Service]\nExecStart=/bin/true\n"
	}
	return setOf(files)
}

func TestBoot(t *testing.T) {
	s := fixtures(t)
	tx, err := s.Start(none, "default.target")
	if err != nil {
		t.Fatal(err)
	}
	list := jobs(tx)
	for _, pair := range [][2]string{
		{"sysinit.target", "basic.target"},
		{"basic.target", "web.service"},
		{"network-online.target", "web.service"},
		{"network.target", "store.service"},
		{"cluster@15-main.service", "cluster.service"},
		{"cluster.service", "multi-user.target"},
		{"multi-user.target", "default.target"},
		{"echo.socket", "sockets.target"},
		{"sockets.target", "basic.target"},
		{"tidy.timer", "timers.target"},
	} {
		a, b := slices.Index(list, "start "+pair[0]), slices.Index(list, "start "+pair[1])
		if a < 0 || b < 0 || a >= b {
			t.Errorf("%s at %d, %s at %d: want both, in this order\n%s", pair[0], a, pair[1], b, tx)
		}
	}
	for _, n := range []string{"start shutdown.target", "start tidy.service", "start kv.service"} {
		if slices.Contains(list, n) {
			t.Errorf("%q is in it, and nothing asks for it", n)
		}
	}
	again, err := s.Start(func(string) bool { return true }, "default.target")
	if err != nil || len(again.Jobs) != 0 {
		t.Errorf("when all are up there is nothing to do: %v %v", again, err)
	}
}

func TestStart(t *testing.T) {
	for name, c := range map[string]struct {
		set   *Set
		up    Active
		want  string // jobs, or the error after a !
		notes int
	}{
		"wants what is not there":    {graph("a: Wants=z.service"), none, "start a.service", 0},
		"requires what is not there": {graph("a: Requires=z.service"), none, "!start a.service: needs z.service: not-found: no file of this name", 0},
		"wants what requires it":     {graph("a: Wants=b.service", "b: Requires=z.service"), none, "start a.service", 1},
		"after what nobody starts":   {graph("a: After=b.service", "b:"), none, "start a.service", 0},
		"binds and orders":           {graph("a: BindsTo=b.service After=b.service", "b:"), none, "start b.service,start a.service", 0},
		"before":                     {graph("a: Requires=b.service Before=b.service", "b:"), none, "start a.service,start b.service", 0},
		"what is up is left alone":   {graph("a: Requires=b.service After=b.service", "b: Requires=c.service", "c:"), up("b.service"), "start a.service,start c.service", 0},
		"requisite that is down":     {graph("a: Requisite=b.service After=b.service", "b:"), none, "verify b.service,start a.service", 0},
		"requires in a circle":       {graph("a: Requires=b.service", "b: Requires=a.service"), none, "start a.service,start b.service", 0},
		"stops what it conflicts":    {graph("a: Conflicts=b.service", "b:"), up("b.service"), "stop b.service,start a.service", 0},
		"stops what names it":        {graph("a:", "b: Conflicts=a.service", "c: Wants=b.service"), up("b.service"), "stop b.service,start a.service", 0},
		"both required":              {graph("a: Requires=b.service Requires=c.service", "b: Conflicts=c.service", "c:"), none, "!start a.service: b.service conflicts with c.service, and both are required", 0},
		"one required":               {graph("a: Requires=b.service Wants=c.service", "b:", "c: Conflicts=b.service"), none, "start a.service,start b.service", 1},
		"none required":              {graph("a: Wants=b.service Wants=c.service", "b: Conflicts=c.service", "c:"), none, "start a.service,start b.service", 1},
		"circle of order":            {graph("a: Requires=b.service Wants=c.service After=b.service", "b: After=c.service", "c: After=a.service"), none, "start b.service,start a.service", 1},
		"circle of the required":     {graph("a: Requires=b.service After=b.service", "b: After=a.service"), none, "!order of jobs goes round in a circle, and all are required: b.service before a.service before b.service", 0},
		"a template":                 {setOf(map[string]string{"/etc/systemd/system/t@.service": simple}), none, "!start t@.service: a template: name an instance", 0},
	} {
		root := "a.service"
		if name == "a template" {
			root = "t@.service"
		}
		if name == "stops what names it" {
			c.set.Load("b.service") // it is up, so the manager has it
		}
		tx, err := c.set.Start(c.up, root)
		got := ""
		if err != nil {
			got = "!" + err.Error()
		} else {
			got = strings.Join(jobs(tx), ",")
			if len(tx.Notes) != c.notes {
				t.Errorf("%s: notes %q, want %d", name, tx.Notes, c.notes)
			}
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

func TestStopRestartReload(t *testing.T) {
	s := graph("a: PropagatesReloadTo=d.service", "b: Requires=a.service After=a.service", "c: PartOf=a.service After=b.service", "d: Wants=a.service ReloadPropagatedFrom=c.service", "e: BindsTo=b.service")
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		s.Load(n + ".service")
	}
	running := up("a.service", "b.service", "c.service", "d.service")
	if got := strings.Join(jobs(s.Stop(running, "a.service")), ","); got != "stop c.service,stop b.service,stop a.service" {
		t.Errorf("stop: %s", got)
	}
	tx, err := s.Restart(running, "a.service")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(jobs(tx), ","); got != "stop c.service,stop b.service,stop a.service,start a.service,start b.service,start c.service" {
		t.Errorf("restart: %s", got)
	}
	tx, err = s.Reload(running, "a.service")
	if err != nil || strings.Join(jobs(tx), ",") != "reload a.service,reload d.service" {
		t.Errorf("reload: %v, %v", tx, err)
	}
	if _, err := s.Reload(running, "e.service"); err == nil {
		t.Error("what is not running is reloaded")
	}
	ring := graph("a: After=b.service PartOf=b.service", "b: After=a.service")
	ring.Load("a.service")
	if tx := ring.Stop(up("a.service", "b.service"), "b.service"); len(tx.Jobs) != 2 || len(tx.Notes) != 1 {
		t.Errorf("a circle keeps services from being stopped: %v %v", tx, tx.Notes)
	}
}

// TestOrderHolds checks transactions of random graphs against what they mean.
func TestOrderHolds(t *testing.T) {
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := 2 + rnd.IntN(14)
		kinds := []string{"Requires", "Wants", "BindsTo", "After", "After", "Before", "Conflicts", "PartOf", "Requisite"}
		var lines []string
		for i := range n {
			l := fmt.Sprintf("u%02d:", i)
			for range rnd.IntN(5) {
				kind := kinds[rnd.IntN(len(kinds))]
				l += fmt.Sprintf(" %s=u%02d.service", kind, rnd.IntN(n+1)) // one that is not there
			}
			lines = append(lines, l)
		}
		isUp := map[string]bool{}
		s := graph(lines...)
		for i := range n {
			name := fmt.Sprintf("u%02d.service", i)
			isUp[name] = rnd.IntN(4) == 0
			s.Load(name)
		}
		active := func(name string) bool { return isUp[name] }
		tx, err := s.Start(active, "u00.service")
		if err == nil {
			checkTransaction(t, seed, s, tx, active, "u00.service")
		}
		if tx, err = s.Restart(active, "u00.service"); err == nil {
			checkTransaction(t, seed, s, tx, active, "u00.service")
		}
		checkOrder(t, seed, s, s.Stop(active, "u00.service"))
	}
}

// checkTransaction wants all that a start stands for.
func checkTransaction(t *testing.T, seed uint64, s *Set, tx *Transaction, active Active, root string) {
	t.Helper()
	checkOrder(t, seed, s, tx)
	starts, stops := map[string]bool{}, map[string]bool{}
	for _, j := range tx.Jobs {
		set := map[JobKind]map[string]bool{JobStart: starts, JobStop: stops}[j.Kind]
		if set[j.Unit] {
			t.Errorf("seed %d: two jobs to %s %s", seed, j.Kind, j.Unit)
		}
		if set != nil {
			set[j.Unit] = true
		}
	}
	after := func(name string) bool { return starts[name] || active(name) && !stops[name] }
	if !after(root) {
		t.Errorf("seed %d: %s is not up at the end", seed, root)
	}
	for name := range starts {
		u := s.Load(name)
		for _, other := range needs(u) {
			if !after(other) {
				t.Errorf("seed %d: %s is started without %s\n%s", seed, name, other, tx)
			}
		}
		for _, other := range u.Deps[Conflicts] {
			if after(other) {
				t.Errorf("seed %d: %s is started and %s is up, which it conflicts with\n%s", seed, name, other, tx)
			}
		}
	}
}

// checkOrder wants each After= and Before= among the jobs to hold, unless a
// note says that one was given up.
func checkOrder(t *testing.T, seed uint64, s *Set, tx *Transaction) {
	t.Helper()
	loose := strings.Contains(strings.Join(tx.Notes, "\n"), "one does not wait")
	reach := make([]map[int]bool, len(tx.Jobs))
	for i, j := range tx.Jobs {
		reach[i] = map[int]bool{}
		for _, k := range j.After {
			if k >= i {
				t.Fatalf("seed %d: job %d waits for job %d", seed, i, k)
			}
			reach[i][k] = true
		}
	}
	for i, a := range tx.Jobs {
		for k, b := range tx.Jobs {
			u := s.Load(a.Unit)
			if i == k || !slices.Contains(u.Deps[After], b.Unit) && !slices.Contains(s.Load(b.Unit).Deps[Before], a.Unit) && (a.Unit != b.Unit || b.Kind != JobStop) {
				continue
			}
			// a is after b: a start waits for what b does, and a stop of a goes
			// before whatever b does.
			later, earlier := i, k
			if a.Kind == JobStop {
				later, earlier = k, i
			}
			if !reach[later][earlier] && !loose {
				t.Errorf("seed %d: %s %s does not wait for %s %s\n%s", seed, tx.Jobs[later].Kind, tx.Jobs[later].Unit, tx.Jobs[earlier].Kind, tx.Jobs[earlier].Unit, tx)
			}
		}
	}
}

// TestLargeGraphs wants hostile graphs to be answered, not to be good.
func TestLargeGraphs(t *testing.T) {
	var chain, clique []string
	for i := range 1500 {
		chain = append(chain, fmt.Sprintf("a%d: Requires=a%d.service After=a%d.service", i, i+1, i+1))
	}
	for i := range 300 {
		l := fmt.Sprintf("a%d:", i)
		for k := range 300 {
			l += fmt.Sprintf(" Wants=a%d.service After=a%d.service Conflicts=b%d.service", k, k, k)
		}
		clique = append(clique, l)
	}
	if _, err := graph(chain...).Start(none, "a0.service"); err == nil || len(err.Error()) > 300 {
		t.Errorf("a chain without its end: %v", err)
	}
	if tx, err := graph(append(chain, "a1500:")...).Start(none, "a0.service"); err != nil || len(tx.Jobs) != 1501 || tx.Jobs[1500].Unit != "a0.service" {
		t.Errorf("a long chain: %v", err)
	}
	if _, err := graph(clique...).Start(none, "a0.service"); err == nil || !strings.Contains(err.Error(), "circle") {
		t.Errorf("all after all: %v", err)
	}
}
