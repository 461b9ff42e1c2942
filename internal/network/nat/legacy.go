package nat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"silo/internal/linux"
)

// iptables-legacy keeps its rules in another part of the kernel, which only
// its own program can write without knowing all of a table.

// legacyChains are the chains that Pass looks at, with our rules for them.
func (t *Table) legacyChains() map[string][]string {
	tail := ` -m comment --comment "` + t.mark() + `" -j ACCEPT`
	dns := "-d " + t.gateway.String() + "/32 -i " + t.bridge + " -p %[1]s -m %[1]s --dport 53"
	return map[string][]string{
		"FORWARD": {"-i " + t.bridge + tail, "-o " + t.bridge + tail},
		"INPUT":   {fmt.Sprintf(dns, "udp") + tail, fmt.Sprintf(dns, "tcp") + tail},
	}
}

// legacyInUse tells whether the legacy filter table is there in the network's
// namespace. Asking iptables-legacy itself would make it.
func (t *Table) legacyInUse() (bool, error) {
	var names []byte
	err := linux.InNetNS(t.ns, func() (err error) {
		names, err = os.ReadFile("/proc/thread-self/net/ip_tables_names")
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return false, nil // no such module
	}
	return slices.Contains(strings.Fields(string(names)), "filter"), err
}

func (t *Table) passLegacy(ctx context.Context) error {
	used, err := t.legacyInUse()
	if err != nil || !used {
		return err
	}
	for chain, want := range t.legacyChains() {
		policy, rules, err := t.legacyRules(ctx, chain)
		if err != nil {
			return err
		}
		needed := legacyNeeded(policy, rules)
		if needed && t.legacyInOrder(rules, want) {
			continue
		}
		if err := t.unpassLegacyChain(ctx, chain, rules); err != nil {
			return err
		}
		if !needed {
			continue
		}
		for _, r := range slices.Backward(want) {
			if _, err := t.legacy(ctx, "-I "+chain+" "+r); err != nil {
				return err
			}
		}
	}
	return nil
}

// legacyNeeded tells whether a chain could drop something: not if it accepts
// what no rule of somebody else matches, and there is no such rule.
func legacyNeeded(policy string, rules []string) bool {
	return policy != "ACCEPT" || slices.ContainsFunc(rules, func(r string) bool { return !strings.Contains(r, `"`+mark) })
}

// legacyInOrder tells whether all our rules stand before all that are no
// Silo's.
func (t *Table) legacyInOrder(rules, want []string) bool {
	found := 0
	for _, r := range rules {
		if !strings.Contains(r, `"`+mark) {
			break
		}
		if slices.Contains(want, r) {
			found++
		}
	}
	return found == len(want)
}

func (t *Table) unpassLegacy(ctx context.Context) error {
	used, err := t.legacyInUse()
	if err != nil || !used {
		return err
	}
	for chain := range t.legacyChains() {
		_, rules, err := t.legacyRules(ctx, chain)
		if err != nil {
			return err
		}
		if err := t.unpassLegacyChain(ctx, chain, rules); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) unpassLegacyChain(ctx context.Context, chain string, rules []string) error {
	for _, r := range rules {
		if strings.Contains(r, `"`+t.mark()+`"`) {
			if _, err := t.legacy(ctx, "-D "+chain+" "+r); err != nil {
				return err
			}
		}
	}
	return nil
}

// legacyRules lists a chain: its policy, and its rules without "-A CHAIN ".
func (t *Table) legacyRules(ctx context.Context, chain string) (policy string, rules []string, err error) {
	out, err := t.legacy(ctx, "-S "+chain)
	if err != nil {
		return "", nil, err
	}
	for _, line := range strings.Split(out, "\n") {
		if p, ok := strings.CutPrefix(line, "-P "+chain+" "); ok {
			policy = p
		}
		if r, ok := strings.CutPrefix(line, "-A "+chain+" "); ok {
			rules = append(rules, r)
		}
	}
	return policy, rules, nil
}

// legacy runs iptables-legacy on the filter table in the network's namespace.
// The only quoted argument there is in a command is the comment.
func (t *Table) legacy(ctx context.Context, command string) (string, error) {
	program := ""
	for _, p := range []string{"/usr/sbin/iptables-legacy", "/sbin/iptables-legacy", "/usr/local/sbin/iptables-legacy"} {
		if _, err := os.Stat(p); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		return "", fmt.Errorf("iptables rules of the legacy kind may drop what containers send, and there is no program iptables-legacy to let them through: install it, or by hand: iptables -I FORWARD -i %[1]s -j ACCEPT; iptables -I FORWARD -o %[1]s -j ACCEPT", t.bridge)
	}
	args := []string{"-w", "5", "-t", "filter"}
	before, rest, quoted := strings.Cut(command, `"`)
	args = append(args, strings.Fields(before)...)
	if quoted {
		text, after, _ := strings.Cut(rest, `"`)
		args = append(append(args, text), strings.Fields(after)...)
	}
	var out, problem strings.Builder
	err := linux.InNetNS(t.ns, func() error {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Stdout, cmd.Stderr = &out, &problem
		return cmd.Run()
	})
	if err != nil {
		return "", fmt.Errorf("iptables-legacy %s: %w: %s", command, err, strings.TrimSpace(problem.String()))
	}
	return out.String(), nil
}
