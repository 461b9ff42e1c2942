// Package unit understands systemd unit files as far as Silo runs them:
// grammar, drop-ins, links, templates and specifiers, the graph of
// dependencies and its order, calendar expressions and time spans.
//
// It is pure. Unit files come out of an image and are hostile input: all
// reading goes through an fs.ReadLinkFS that holds the container's root, names
// are resolved here one folder at a time and never beyond it, and everything
// that a file can make large is bounded (limits.go). Processes, sockets,
// clocks and users are left to the manager in internal/service.
//
// A Set is what one container's folders say at one time:
//
//	set := unit.NewSet(root, host)            // root.FS() of an os.Root will do
//	tx, err := set.Start("default.target")    // jobs in order, what was dropped
//	for _, job := range tx.Jobs {
//		u := set.Load(job.Unit)           // cached
//		...
//	}
//
// What a unit asks and Silo does not do follows one table, policy.go: such a
// directive is a Note, said once, or refuses the unit if going on without it
// would run the wrong thing, run it as the wrong user, expose secrets or
// damage data.
//
// Not here: scripts of /etc/init.d get no unit. Generators are programs; the
// manager runs those that Set.Generators names before it makes the Set, and
// their output folders are on the search path.
package unit
